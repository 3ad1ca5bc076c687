"""The six update rules (src/caffe/solvers/*.cpp): from a parameter's gradient to what is subtracted.

Each works in place on lists of flat tensors: the gradients `g` become the updates, the running
averages (histories) advance. On a GPU a list holds all parameters with the same multipliers, so that
a line is one kernel; on the CPU it holds one slice that fits the cache.
"""

import math

import torch

from .files.paths import Path
from .gradients import Tensors
from .proto import caffe_pb2
from .solver import Solver


def _decay_to_square(history: Tensors, g: Tensors, decay: float) -> None:
    """history = decay history + (1 - decay) g^2."""
    torch._foreach_mul_(history, decay)
    torch._foreach_addcmul_(history, g, g, value=1 - decay)


def _divide_by_root(g: Tensors, history: Tensors, delta: float) -> None:
    """g /= sqrt(history) + delta."""
    roots = torch._foreach_sqrt(history)
    torch._foreach_add_(roots, delta)
    torch._foreach_div_(g, roots)


class SGDSolver(Solver):
    """h = momentum h + rate g; the rate is inside the history (sgd_solver.cpp)."""

    def compute_update(self, g: Tensors, rate: float, *histories: Tensors) -> None:
        (history,) = histories
        torch._foreach_mul_(history, self.param.momentum)
        torch._foreach_add_(history, g, alpha=rate)
        torch._foreach_copy_(g, history)


class NesterovSolver(Solver):
    """h' = momentum h + rate g; update (1 + momentum) h' - momentum h (nesterov_solver.cpp)."""

    def compute_update(self, g: Tensors, rate: float, *histories: Tensors) -> None:
        (history,) = histories
        momentum = self.param.momentum
        before = [h.clone() for h in history]
        torch._foreach_mul_(history, momentum)
        torch._foreach_add_(history, g, alpha=rate)
        torch._foreach_copy_(g, history)
        torch._foreach_mul_(g, 1 + momentum)
        torch._foreach_sub_(g, before, alpha=momentum)


class AdaGradSolver(Solver):
    """h += g^2; update rate g / (sqrt(h) + delta) (adagrad_solver.cpp)."""

    def check(self) -> None:
        self.refuse(self.param.momentum != 0, "momentum", "0: AdaGrad has none")

    def compute_update(self, g: Tensors, rate: float, *histories: Tensors) -> None:
        (history,) = histories
        torch._foreach_addcmul_(history, g, g)
        _divide_by_root(g, history, self.param.delta)
        torch._foreach_mul_(g, rate)


class RMSPropSolver(Solver):
    """h = decay h + (1 - decay) g^2; update rate g / (sqrt(h) + delta) (rmsprop_solver.cpp)."""

    def check(self) -> None:
        self.refuse(self.param.momentum != 0, "momentum", "0: RMSProp has none")
        self.refuse(not 0 <= self.param.rms_decay < 1, "rms_decay", "at least 0 and below 1")

    def compute_update(self, g: Tensors, rate: float, *histories: Tensors) -> None:
        (history,) = histories
        _decay_to_square(history, g, self.param.rms_decay)
        _divide_by_root(g, history, self.param.delta)
        torch._foreach_mul_(g, rate)


class AdaDeltaSolver(Solver):
    """h = m h + (1-m) g^2; u = g sqrt((k + delta) / (h + delta)); k = m k + (1-m) u^2; update rate u.

    (adadelta_solver.cpp; the momentum m is the decay)
    """

    histories = 2

    def compute_update(self, g: Tensors, rate: float, *histories: Tensors) -> None:
        history, updates = histories
        momentum, delta = self.param.momentum, self.param.delta
        _decay_to_square(history, g, momentum)
        ratios = torch._foreach_add(updates, delta)
        torch._foreach_div_(ratios, torch._foreach_add(history, delta))
        torch._foreach_sqrt_(ratios)
        torch._foreach_mul_(g, ratios)
        _decay_to_square(updates, g, momentum)
        torch._foreach_mul_(g, rate)


class AdamSolver(Solver):
    """m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; update rate c m / (sqrt(v) + delta).

    (adam_solver.cpp; c = sqrt(1 - b2^t) / (1 - b1^t), t = iteration + 1)
    """

    histories = 2

    def compute_update(self, g: Tensors, rate: float, *histories: Tensors) -> None:
        first, second = histories
        beta1, beta2, t = self.param.momentum, self.param.momentum2, self.iter + 1
        torch._foreach_mul_(first, beta1)
        torch._foreach_add_(first, g, alpha=1 - beta1)
        _decay_to_square(second, g, beta2)
        correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        torch._foreach_copy_(g, first)
        _divide_by_root(g, second, self.param.delta)
        torch._foreach_mul_(g, rate * correction)


SOLVERS: dict[str, type[Solver]] = {
    cls.__name__.removesuffix("Solver"): cls
    for cls in (
        SGDSolver,
        NesterovSolver,
        AdaGradSolver,
        RMSPropSolver,
        AdaDeltaSolver,
        AdamSolver,
    )
}


def get_solver(path: Path, param: caffe_pb2.SolverParameter | None = None) -> Solver:
    """The solver of a solver prototxt's `type`. Raises ValueError for an unknown one.

    `param`, a SolverParameter, is used instead of the file's where given.
    """
    param = Solver.read(path) if param is None else param
    if param.type not in SOLVERS:
        raise ValueError(f"{path}: unknown solver type '{param.type}'; known: {', '.join(SOLVERS)}")
    return SOLVERS[param.type](path, param)
