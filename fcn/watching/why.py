"""Why: the cause that holds in a training run, of those that may be."""

from typing import Any, NamedTuple

from fcn.watching.causes import Cause, why_equal
from fcn.watching.dying import Dying
from fcn.watching.mismatch import STEPS, why_means, why_unlike
from fcn.watching.pace import Pace, too_large
from fcn.watching.snapshots import Snapshots

PATIENCE = 100  # iterations after which a small rate explains scores that are as at the start


class Losses(NamedTuple):
    """Losses of a score layer, a pixel: those of a scoring, of training, and of equal scores."""

    scored: float
    trained: float
    guess: float


class Why:
    """Finds the cause of scores that are equal or bad; one that is certain comes before one that may be."""

    def __init__(self, solver: Any, pace: Pace, dying: Dying, snapshots: Snapshots):
        self.solver, self.pace, self.dying, self.snapshots = solver, pace, dying, snapshots
        self.begun_at = solver.iter

    def equal(self, name: str) -> Cause | None:
        """Of scores that are the same for all classes: the net itself, or a rate that is too small."""
        moved = self.pace.measure()
        slow = self.pace.too_slow(moved)
        still = self.pace.is_still(moved)
        cause = why_equal(self.solver.net, name, self.dying.dead_at_start)
        # A score layer of zeros learns, but for such a rate.
        if cause and not (still and cause.kind == "zero"):
            return cause
        early = self.solver.iter - self.begun_at < PATIENCE
        return None if early and not still else slow

    def one_class(self, name: str, losses: Losses) -> Cause | None:
        """Of the same class in every pixel."""
        if cause := self.equal(name):
            return cause
        if died := self.dying.found:
            return Cause("dead", died.what, died.way_out, died.evidence)
        return self.means() or self.by_losses(losses)

    def below_start(self, losses: Losses) -> Cause | None:
        """Of scores below those of the start."""
        self.pace.measure()
        if cause := self.means() or self.by_losses(losses):
            return cause
        fast = self.pace.too_fast()
        return self.too_large(f"{fast}; ") if fast else None

    def by_losses(self, losses: Losses) -> Cause | None:
        """Of a scoring whose loss is larger than a guess's: pictures that differ, or the rate."""
        if not losses.scored > losses.guess or self.solver.iter == self.begun_at:
            return None
        if losses.trained < losses.guess and self.solver.iter - self.begun_at >= STEPS:
            return why_unlike(losses.trained, losses.scored, losses.guess)
        return self.too_large(
            f"loss {losses.scored:.3g} a pixel, {losses.guess:.3g} for equal scores; "
        )

    def means(self) -> Cause | None:
        """The means that the data layers subtract, if they differ."""
        nets = getattr(self.solver, "test_nets", None)
        return why_means(self.solver.net, nets[0]) if nets else None

    def too_large(self, evidence: str = "") -> Cause | None:
        """The rate as the cause of what is lost, with the way back; None if the start had lost it."""
        if self.snapshots.begun_badly:
            return None
        evidence = f"{evidence}rate {self.solver.lr:g}; {self.snapshots}"
        return too_large(self.solver, self.snapshots.good, evidence)
