"""Which snapshots of a run are good: those whose loss is finite and has not exploded.

Weights may be finite and wrecked all the same, so a snapshot is trusted only after a loss was
computed from it, in the passes that follow.
"""

import math
import os
import statistics
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

CALM = 10  # iterations after a loss that is too large until snapshots are trusted again
LARGE = 1.2  # a loss above so many times that of a guess is too large to trust the weights
GUESSES = 2.0  # one above so many times has exploded
MEDIANS = 10.0  # and one above so many times the median of the run's last losses
RISEN = 3.0  # the median of the last losses has risen above so many times that of earlier ones
LAST = 10  # losses whose median tells how a run goes
REMEMBERED, FEW = 100, 20  # losses of which a median is taken: at most, and at least


class Snapshot(NamedTuple):
    """The two files of a snapshot; `state` is empty if there are weights alone."""

    weights: str
    state: str = ""

    @classmethod
    def of(cls, path: str | Path) -> "Snapshot":
        """The snapshot that a .solverstate or a .caffemodel belongs to."""
        text = str(path)
        is_state = ".solverstate" in Path(text).name
        return cls(text.replace(".solverstate", ".caffemodel"), text if is_state else "")

    def ways_on(self, change: str = "") -> str:
        """The options that go on from it; `change` is a further one."""
        weights, state = map(os.path.abspath, self)
        options = f"--weights {weights}{change}"
        return f"--resume {state}{change}, or afresh: {options}" if self.state else options


class Snapshots:
    """The snapshots of a run: `good` is the newest good one, `doubtful` are those since.

    `begun_from` is the snapshot that the run goes on from, if it does.
    """

    def __init__(self, begun_from: str | Path | None = None):
        self.good = Snapshot.of(begun_from) if begun_from else None
        self.doubtful: list[Snapshot] = []
        self.large_at: int | None = None  # the newest iteration whose loss was too large
        self.exploded_since: int | None = None  # the first iteration of those in a row
        self.begun_badly = False  # the first loss had exploded, and none was right since
        self.past: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        self._looks = 0

    def spared(self) -> str:
        """The solverstate that must not be removed: that of the newest good snapshot."""
        return self.good.state if self.good else ""

    def written(self, snapshot: Snapshot) -> None:
        """A snapshot was written; no loss was computed from it yet."""
        self.doubtful.append(snapshot)

    def passed(
        self,
        iteration: int,
        losses: Mapping[str, float],
        guesses: Mapping[str, float],
        well: bool = True,
    ) -> None:
        """These are the losses of a pass; `guesses` are those of equal scores, as far as known.

        Not `well`: something else tells that the net is wrecked.
        """
        self._looks += 1
        times = max((self._times(k, v, guesses.get(k)) for k, v in losses.items()), default=0.0)
        if times > LARGE:
            self.large_at = iteration
        elif (
            well
            and not any(map(self._has_risen, losses))
            and (self.large_at is None or iteration - self.large_at >= CALM)
        ):
            self.begun_badly = False
            if self.doubtful:
                self.good, self.doubtful = self.doubtful[-1], []
        if times <= GUESSES:
            self.exploded_since = None
        elif self.exploded_since is None:
            self.exploded_since = iteration
        if self._looks == 1 and self.exploded_since is not None:
            self.begun_badly = True
            self.doubtful[:0] = [self.good] if self.good else []
            self.good = None
        for name, loss in losses.items():
            if math.isfinite(loss):
                self.past[name].append(loss)

    def _times(self, name: str, loss: float, guess: float | None) -> float:
        """How many guesses a loss is; inf if it is far above what is usual in the run, or no number."""
        far = len(self.past[name]) >= FEW and loss > MEDIANS * self.usual(name)
        if far or not math.isfinite(loss):
            return math.inf
        return loss / guess if guess else 0.0

    def _has_risen(self, name: str) -> bool:
        """Whether a loss is far above what it was not long ago, as of weights that lose what they knew."""
        past = list(self.past[name])
        groups = [past[k : k + LAST] for k in range(0, len(past) - 2 * LAST + 1, LAST)]
        best = min(map(statistics.median, groups), default=math.inf)
        return bool(groups) and statistics.median(past[-LAST:]) > RISEN * best

    def usual(self, name: str) -> float:
        """The median of a loss's last values; nan if there is none."""
        past = self.past[name]
        return statistics.median(past) if past else math.nan

    def __str__(self) -> str:
        """What there is, as a clause."""
        newest = f"last good snapshot: {self.good.weights}" if self.good else "no good snapshot"
        names = [Path(each.weights).name for each in self.doubtful]
        if not names:
            return newest
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        return f"{newest}; not to be trusted: {names[-1]}{more}"
