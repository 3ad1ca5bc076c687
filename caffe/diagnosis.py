"""What a net's values tell of its health: where they stopped to be numbers, what is zero or dead.

Everything is computed where the values are. A function waits for the device once, when it fetches
its few numbers; `Activity.add` never waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch

from . import context
from .blob import Blob
from .net import Net

_SAMPLE = 4096  # values of a parameter that `Movement` compares


class Origin(NamedTuple):
    """Where values that are not finite begin."""

    layer: str  # the first layer, in the order of a pass
    type: str
    kind: str  # "data": it has no bottoms; "weights"; "top": its input and weights are finite
    largest_weight: float | None  # of the layer; None without weights
    broken: list[str]  # layers whose weights are not finite

    def __str__(self) -> str:
        """One clause."""
        where = f"layer '{self.layer}' ({self.type})"
        if self.kind == "data":
            return f"{where}: the data that it reads are not finite"
        if self.kind == "weights":
            more = len(self.broken) - 1
            others = f", and those of {more} layer{'s' * (more > 1)} behind it" if more else ""
            return f"{where}: its weights are not finite{others}"
        text = f"{where}: what it reads is finite, what it gives is not"
        if self.largest_weight is not None:
            text += f"; its largest weight is {self.largest_weight:.3g}"
        return text


# ---- magnitudes


def _largest(values: Sequence[torch.Tensor]) -> list[float]:
    """The largest magnitude of each tensor, nan or inf where one is in it; one wait."""
    filled = [value for value in values if value.numel()]
    if context.on_gpu():
        norms = torch._foreach_norm(filled, ord=math.inf) if filled else ()
    else:  # where that norm takes fifteen times as long
        extremes = map(torch.aminmax, filled)
        norms = tuple(torch.maximum(-low, high) for low, high in extremes)
    found = iter(torch.stack([n.double() for n in norms]).tolist() if norms else [])
    return [next(found) if value.numel() else 0.0 for value in values]


def weight_magnitudes(net: Net, by_layer: bool = True) -> dict[Any, float]:
    """The largest magnitude of each layer's weights: {name: value}; nan or inf if one is not finite.

    Not `by_layer`: {(layer index, parameter index): value}.
    """
    keys = [(i, k) for i, layer in enumerate(net.layers) for k in range(len(layer.blobs))]
    values = _largest([net.layers[i].blobs[k].x.detach() for i, k in keys])
    if not by_layer:
        return dict(zip(keys, values))
    found: dict[str, float] = {}
    for (i, _), value in zip(keys, values):
        name = net.layers[i].name
        found[name] = _larger(found.get(name, 0.0), value)
    return found


def _larger(a: float, b: float) -> float:
    """The larger; nan if one of them is."""
    return a if math.isnan(a) else b if math.isnan(b) else max(a, b)


def map_magnitudes(net: Net) -> dict[str, float]:
    """The largest magnitude of each blob, as the last pass left it; without blobs that were let go."""
    there = [(name, blob.x) for name, blob in net.blobs.items() if _is_there(blob)]
    return dict(zip((name for name, _ in there), _largest([x for _, x in there])))


def _is_there(blob: Blob) -> bool:
    return blob.count > 0 and not blob._data.released and blob._data.newest is not None


def spread(net: Net, scores: str) -> float:
    """The largest difference between two classes' scores (axis 1) at one place; one wait."""
    low, high = torch.aminmax(net.blobs[scores].x, dim=1)
    return float((high - low).max())


# ---- what is not finite


def loss_blobs(net: Net) -> dict[str, Blob]:
    """The blobs with a loss weight."""
    return {name: net.blobs[name] for name, weight in net.blob_loss_weights.items() if weight}


def losses(blobs: dict[str, Blob]) -> dict[str, float]:
    """{name: value} of `loss_blobs`; one wait."""
    sums = {name: blob.x.sum() for name, blob in blobs.items() if _is_there(blob)}
    if not context.on_gpu():  # where nothing is waited for
        return {name: float(value) for name, value in sums.items()}
    values = torch.stack([value.double() for value in sums.values()]).tolist() if sums else []
    return dict(zip(sums, values))


def is_finite(blob: Blob) -> bool:
    """Whether all of a blob's values are finite; one wait. A sum, which costs less than a look at each."""
    x = blob.x
    return math.isfinite(x.sum()) or bool(torch.isfinite(x).all())  # a sum may overflow


def not_finite(net: Net) -> list[str]:
    """Names of the layers whose weights are not finite; one wait."""
    return [name for name, value in weight_magnitudes(net).items() if not math.isfinite(value)]


def origin(net: Net) -> Origin | None:
    """The first layer, in the order of a pass, with weights or tops that are not finite.

    Looks at the blobs as the last pass left them; None if everything is finite.
    """
    weights, maps = weight_magnitudes(net), map_magnitudes(net)
    broken = [name for name, value in weights.items() if not math.isfinite(value)]
    names = net._topology.blob_names
    for layer, bottoms, tops in zip(net.layers, net._topology.bottom_ids, net._topology.top_ids):
        bad = not all(math.isfinite(maps.get(names[i], 0.0)) for i in tops)
        if layer.name in broken or bad:
            data = not bottoms and layer.name not in broken
            kind = "weights" if layer.name in broken else "data" if data else "top"
            return Origin(layer.name, layer.type, kind, weights.get(layer.name), broken)
    return None


def gradient_not_finite(net: Net) -> str:
    """Where the gradients of the last backward stop to be finite, in a clause; "" if all are. One wait.

    Backward goes from the last layer to the first, so it is the last one with such a gradient.
    """
    values = _largest([blob.dx for blob in net.learnable_params])
    bad = {
        id(b._diff) for b, value in zip(net.learnable_params, values) if not math.isfinite(value)
    }
    if not bad:
        return ""
    layer = next(each for each in reversed(net.layers) if bad & {id(b._diff) for b in each.blobs})
    i = next(i for i, blob in enumerate(layer.blobs) if id(blob._diff) in bad)
    return (
        f"the gradient of layer '{layer.name}' ({layer.type}), parameter {i}, is not finite, the first "
        f"in backward of {len(bad)} of {len(values)}"
    )


def require_finite_gradients(solver: Any) -> None:
    """Let a solver raise FloatingPointError, from now on, before an update by gradients that are not finite.

    It looks at all gradients once in each step, and on a GPU waits for them.
    """

    def look() -> None:
        if where := gradient_not_finite(solver.net):
            raise FloatingPointError(
                f"iteration {solver.iter}: {where}; no weight was changed by it"
            )

    solver.add_callback(lambda: None, look)


class FirstNotFinite:
    """Watches the losses of a solver: finds the pass in which one is not finite for the first time.

    On a CPU every pass is looked at, so that `origin` is where it began. On a GPU only `look` looks,
    because it waits. `losses` is {blob: value} of the pass that was looked at last, `looked_at` its
    iteration; `iteration` is that of the pass in which a loss was not finite, and the last looked at.
    """

    def __init__(self, solver: Any) -> None:
        self.solver = solver
        self.origin: Origin | None = None
        self.iteration: int | None = None
        self.looked_at: int | None = None
        self.losses: dict[str, float] = {}
        self._blobs = loss_blobs(solver.net)

    def after_pass(self) -> bool:
        """Look at the losses if that costs no wait; whether one is not finite, now or before."""
        return self.iteration is not None if context.on_gpu() else self.look()

    def look(self) -> bool:
        """Look at the losses; whether one is not finite, now or before."""
        if self.iteration is None:
            self.losses, self.looked_at = losses(self._blobs), self.solver.iter
            if not all(map(math.isfinite, self.losses.values())):
                self.iteration = self.solver.iter
                self.origin = origin(self.solver.net)
        return self.iteration is not None

    def __str__(self) -> str:
        """One sentence."""
        bad = [name for name, value in self.losses.items() if not math.isfinite(value)]
        values = ", ".join(f"{name} is {self.losses[name]:g}" for name in bad)
        where = f": first in {self.origin}" if self.origin else ""
        return f"iteration {self.iteration}: {values}{where}"


# ---- dead channels, weights that do not move


class Activity:
    """Which channels of rectified maps were ever above zero, over the passes that were added."""

    def __init__(self, net: Net, types: Iterable[str] = ("ReLU",)) -> None:
        self.passes = 0
        self.tops = {
            layer.name: net._topology.tops[i][0]
            for i, layer in enumerate(net.layers)
            if layer.type in tuple(types) and not layer.layer_param.relu_param.negative_slope
        }
        self._seen: dict[str, torch.Tensor] = {}

    def add(self) -> None:
        """Look at the maps of the last pass; without a wait."""
        self.passes += 1
        for name, blob in self.tops.items():
            if not _is_there(blob) or blob.num_axes < 2:
                continue
            highest = blob.x.flatten(2).amax(2) if blob.num_axes > 2 else blob.x
            highest = highest.amax(0)
            seen = self._seen.get(name)
            if seen is not None and seen.shape == highest.shape:
                highest = torch.maximum(seen, highest)
            self._seen[name] = highest

    def dead(self) -> dict[str, float]:
        """The share of each layer's channels that were zero everywhere in every pass; one wait."""
        shares = [(seen <= 0).float().mean() for seen in self._seen.values()]
        return dict(zip(self._seen, torch.stack(shares).tolist() if shares else []))


class Movement:
    """How far a net's weights are from where they were, by a sample of each parameter."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.start = [self._sample(blob).clone() for blob in net.learnable_params]

    @staticmethod
    def _sample(blob: Blob) -> torch.Tensor:
        return blob.x.view(-1)[:: max(1, blob.count // _SAMPLE)]

    def share(self) -> float:
        """The norm of the change over the norm of the weights, of those that learn; one wait."""
        pairs = [
            (self._sample(blob), start)
            for blob, start, rate in zip(self.net.learnable_params, self.start, self.net.params_lr)
            if rate
        ]
        if not pairs:
            return 0.0
        moved = torch.stack([(now - then).double().square().sum() for now, then in pairs]).sum()
        size = torch.stack([then.double().square().sum() for _, then in pairs]).sum()
        moved, size = torch.stack((moved, size)).sqrt().tolist()
        return moved / size if size else math.inf if moved else 0.0
