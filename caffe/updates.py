"""The six update rules (src/caffe/solvers/*.cpp): from a parameter's gradient to what is subtracted.

Each works on equal slices of flat tensors: `g`, the gradient, becomes the update in place, and the
histories move on. Slices that fit the cache make one trip through memory of what would be several.
"""

import math

from .solver import Solver


class SGDSolver(Solver):
    """h = momentum h + rate g; the rate is inside the history (sgd_solver.cpp)."""

    def compute_update(self, g, rate, history):
        history.mul_(self.param.momentum).add_(g, alpha=rate)
        g.copy_(history)


class NesterovSolver(Solver):
    """h' = momentum h + rate g; update (1 + momentum) h' - momentum h (nesterov_solver.cpp)."""

    def compute_update(self, g, rate, history):
        momentum = self.param.momentum
        before = history.clone()
        history.mul_(momentum).add_(g, alpha=rate)
        g.copy_(history).mul_(1 + momentum).sub_(before, alpha=momentum)


class AdaGradSolver(Solver):
    """h += g^2; update rate g / (sqrt(h) + delta) (adagrad_solver.cpp)."""

    def check(self):
        self.refuse(self.param.momentum, "momentum", "0: AdaGrad has none")

    def compute_update(self, g, rate, history):
        history.addcmul_(g, g)
        g.div_(history.sqrt().add_(self.param.delta)).mul_(rate)


class RMSPropSolver(Solver):
    """h = decay h + (1 - decay) g^2; update rate g / (sqrt(h) + delta) (rmsprop_solver.cpp)."""

    def check(self):
        self.refuse(self.param.momentum, "momentum", "0: RMSProp has none")
        self.refuse(not 0 <= self.param.rms_decay < 1, "rms_decay", "at least 0 and below 1")

    def compute_update(self, g, rate, history):
        decay = self.param.rms_decay
        history.mul_(decay).addcmul_(g, g, value=1 - decay)
        g.div_(history.sqrt().add_(self.param.delta)).mul_(rate)


class AdaDeltaSolver(Solver):
    """h = m h + (1-m) g^2; u = g sqrt((k + delta) / (h + delta)); k = m k + (1-m) u^2; update rate u.

    (adadelta_solver.cpp; the momentum m is the decay)
    """

    histories = 2

    def compute_update(self, g, rate, history, updates):
        momentum, delta = self.param.momentum, self.param.delta
        history.mul_(momentum).addcmul_(g, g, value=1 - momentum)
        g.mul_((updates + delta).div_(history + delta).sqrt_())
        updates.mul_(momentum).addcmul_(g, g, value=1 - momentum)
        g.mul_(rate)


class AdamSolver(Solver):
    """m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2; update rate c m / (sqrt(v) + delta).

    (adam_solver.cpp; c = sqrt(1 - b2^t) / (1 - b1^t), t = iteration + 1)
    """

    histories = 2

    def compute_update(self, g, rate, first, second):
        beta1, beta2, t = self.param.momentum, self.param.momentum2, self.iter + 1
        first.mul_(beta1).add_(g, alpha=1 - beta1)
        second.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        g.copy_(first).div_(second.sqrt().add_(self.param.delta)).mul_(rate * correction)


SOLVERS = {
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


def get_solver(path, param=None):
    """The solver of a solver prototxt's `type`. Raises ValueError for an unknown one.

    `param`, a SolverParameter, is used instead of the file's where given.
    """
    param = Solver.read(path) if param is None else param
    if param.type not in SOLVERS:
        raise ValueError(f"{path}: unknown solver type '{param.type}'; known: {', '.join(SOLVERS)}")
    return SOLVERS[param.type](path, param)
