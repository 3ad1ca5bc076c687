"""How fast a net's weights move, and the learning rate as the cause where they stand still or run away."""

from collections.abc import Callable
from typing import Any, NamedTuple

import caffe
from fcn.watching.causes import Cause
from fcn.watching.snapshots import Snapshot

STRETCH = 50  # iterations over which a movement is measured
HARDLY = 1e-4  # weights that changed by a smaller share have hardly moved
FAR = 0.3  # those that changed by a larger one in a stretch have lost what they had learned
# A rate's step per pixel is rate * (pixels of a summed loss) / (1 - momentum). The least of those
# that were published, 1.9e-7, is that of the 8s stages.
LEAST_STEP = 2e-8
FALLEN = 1e-5  # a policy that left a smaller share of base_lr has ended the training
ADAPTIVE = ("Adam", "AdaDelta", "AdaGrad", "RMSProp")  # their step does not follow the loss's scale

NO_RATE = "set max_iter, or another policy, so that the rate is above 0 to the end"

# lr_policy -> what keeps its rate up
LONGER = {
    "step": "a larger stepsize or gamma",
    "multistep": "later stepvalues or a larger gamma",
    "exp": "a gamma nearer to 1",
    "inv": "a smaller gamma or power",
    "poly": "a larger max_iter",
    "sigmoid": "a larger stepsize",
}


class Moved(NamedTuple):
    """How far weights have moved in some iterations, as a share of their size."""

    share: float
    steps: int
    rate: float  # at the beginning

    def __str__(self) -> str:
        steps = f"{self.steps} steps" if self.steps != 1 else "1 step"
        if not self.share:
            return f"the weights did not move in {steps}"
        return f"the weights moved by {self.share:.1e} of their size in {steps}"


class Pace:
    """Measures how far a solver's weights move, stretch by stretch.

    `pixels` returns how many pixels the loss is summed over; 1 for a mean.
    """

    def __init__(self, solver: Any, pixels: Callable[[], float] = lambda: 1.0):
        self.solver, self.pixels = solver, pixels
        self.last: Moved | None = None  # the last whole stretch
        self.farthest = Moved(0.0, 0, 0.0)  # the stretch of the largest movement
        self.start = caffe.diagnosis.Movement(solver.net)
        self.begin()

    def begin(self) -> None:
        """Begin a stretch."""
        self.at, self.rate = self.solver.iter, self.solver.lr
        self.movement = caffe.diagnosis.Movement(self.solver.net)

    def measure(self) -> Moved:
        """The movement of the last whole stretch; of this one if that is whole, or the first."""
        steps = self.solver.iter - self.at
        if self.last is not None and steps < STRETCH:
            return self.last
        moved = Moved(self.movement.share(), steps, self.rate)
        self.farthest = max(moved, self.farthest, key=lambda each: each.share)
        if steps >= STRETCH:
            self.last = moved
            self.begin()
        return moved

    def since_start(self) -> float:
        """How far the weights are from where they began, as a share of their size."""
        return self.start.share()

    def too_slow(self, moved: Moved) -> Cause | None:
        """The rate as the cause of weights that hardly moved, if they did."""
        if not moved.steps or not moved.share < HARDLY:
            return None
        param, rate = self.solver.param, self.solver.lr
        if self.has_fallen(moved.rate):
            text = (
                f"the weights have hardly moved, because lr_policy '{param.lr_policy}' has let the "
                "rate fall to almost nothing"
            )
            longer = LONGER.get(param.lr_policy)
            way_out = "--set lr_policy=fixed" + (f", or {longer}" if longer else "")
        else:
            text = "the weights have hardly moved, because the rate is too small"
            way_out = (
                "take a larger base_lr, one that fits the loss: summed over pixels or their mean"
            )
        return Cause("rate", text, way_out, f"{moved}; rate {rate:g}, base_lr {param.base_lr:g}")

    def is_still(self, moved: Moved) -> bool:
        """Whether the rate alone says that nothing is learned: smaller than any that is known to."""
        return bool(moved.steps) and moved.share < HARDLY and self.is_tiny(moved.rate)

    def is_tiny(self, rate: float) -> bool:
        """Whether a rate is far below all that learn."""
        param = self.solver.param
        if self.has_fallen(rate):
            return True
        step = rate * self.pixels() / max(1 - param.momentum, 1e-9)
        return param.type not in ADAPTIVE and 0 <= step < LEAST_STEP

    def has_fallen(self, rate: float) -> bool:
        """Whether the policy has brought the rate down to almost nothing."""
        return 0 <= rate < FALLEN * self.solver.param.base_lr

    def too_fast(self) -> Moved | None:
        """The stretch in which weights moved by so much of their size that what they knew is lost."""
        return self.farthest if self.farthest.share > FAR else None


def too_large(solver: Any, good: Snapshot | None = None, evidence: str = "") -> Cause:
    """The rate as the cause of what was learned and is lost; `good`: the last good snapshot."""
    return Cause("too_large", "the rate is too large", smaller_rate(solver, good), evidence)


def smaller_rate(solver: Any, good: Snapshot | None) -> str:
    """What to do about a rate that is too large."""
    base = getattr(getattr(solver, "param", None), "base_lr", 0.0)  # BVLC's pycaffe shows no param
    change = f" --set base_lr={base / 10:g}" if base else ""
    if good is None:
        return f"take a smaller base_lr, and start again{':' if change else ''}{change}"
    return f"take a smaller base_lr, and go on from the last good snapshot: {good.ways_on(change)}"


def no_rate(solver: Any) -> str:
    """Why a policy gives no rate at this iteration; empty if it gives one."""
    param = getattr(solver, "param", None)
    if param is None or solver.lr >= 0:
        return ""
    beyond = f" beyond max_iter {param.max_iter}" if param.lr_policy == "poly" else ""
    return f"lr_policy '{param.lr_policy}' gives no rate{beyond}"
