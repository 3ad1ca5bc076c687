"""What a solver does to gradients before its update rule (SGDSolver in sgd_solver.cpp).

Works on lists of flat tensors, one a parameter: on a GPU an operation on a list is a few kernels for
all parameters, on the CPU a list holds one slice that fits the cache.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch

from . import context
from .blob import Blob

SLICE = 1 << 15  # values updated at a time on the CPU: they fit the cache, and one thread does them

Tensors = list[torch.Tensor]


def groups(
    params: Sequence[Blob],
    multipliers: Sequence[tuple[float, float]],
    history: Sequence[Blob],
) -> dict[tuple[float, float], list[Tensors]]:
    """Parameters with equal multipliers together.

    multipliers: (lr_mult, decay_mult) a parameter. history: for each running average the blobs of
    all parameters. Returns (lr_mult, decay_mult) -> [values, gradients, *histories], each a list of
    flat tensors.
    """
    found = defaultdict(list)
    for i, blob in enumerate(params):
        sides = [blob.x, blob.dx, *(h.x for h in history[i :: len(params)])]
        found[multipliers[i]].append([side.view(-1) for side in sides])
    return {key: [list(side) for side in zip(*members)] for key, members in found.items()}


def portions(group: list[Tensors]) -> Iterator[list[Tensors]]:
    """The parts of a group that are updated together: on a GPU all, on the CPU a slice each."""
    if context.on_gpu():
        yield group
        return
    for of_one in zip(*group):
        for start in range(0, len(of_one[0]), SLICE):
            yield [[side[start : start + SLICE]] for side in of_one]


def norm(params: Sequence[Blob]) -> float | torch.Tensor:
    """The L2 norm of all gradients; on a GPU a float64 tensor there."""
    if context.on_gpu():
        norms = torch._foreach_norm([blob.dx for blob in params])
        return torch.stack(norms).double().square().sum().sqrt()
    return sum(float(blob.dx.square().sum()) for blob in params) ** 0.5


def add_decay(gradients: Tensors, values: Tensors, amount: float, kind: str, source: str) -> None:
    """Add the gradient of weight decay, L2 or L1, in place.

    ValueError for another kind, naming `source`, the solver's file.
    """
    if kind == "L2":
        torch._foreach_add_(gradients, values, alpha=amount)
    elif kind == "L1":
        torch._foreach_add_(gradients, torch._foreach_sign(values), alpha=amount)
    else:
        raise ValueError(f"{source}: unknown regularization_type '{kind}'; known: L2, L1")
