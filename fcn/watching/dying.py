"""Which rectified layers die while a net trains, and which were dead before."""

from collections.abc import Callable
from typing import Any

import fcn.watching.scored as said
from fcn.findings import Finding

WINDOW = 5  # looks that tell whether a channel is dead
MOSTLY, NOT_YET = 0.9, 0.5  # shares of dead channels: so many now, so few at first


class Dying:
    """Looks for channels that are zero everywhere; `activity` makes a `caffe.diagnosis.Activity`."""

    def __init__(self, activity: Callable[[], Any]):
        self.new = activity
        self.activity = activity()
        self.at_start: dict[str, float] = {}  # the share of each layer in the first pass
        self.early: dict[str, float] | None = None  # the least share of the first pass and window
        self.mostly: set[str] = set()  # layers, in the last window
        self.found: Finding | None = None  # the newest

    def first_pass(self) -> None:
        """Look at the pass before the first step."""
        activity = self.new()
        activity.add()
        self.at_start = activity.dead()

    @property
    def dead_at_start(self) -> set[str]:
        """The layers that gave zeros everywhere before the first step."""
        return {layer for layer, share in self.at_start.items() if share == 1}

    def look(self) -> Finding | None:
        """What a whole window of looks tells, once there is one."""
        if self.activity.passes < WINDOW:
            return None
        dead, self.activity = self.activity.dead(), self.new()
        if self.early is None:
            self.early = {k: min(v, self.at_start.get(k, v)) for k, v in dead.items()}
        early = self.early
        mostly = {
            layer
            for layer, share in dead.items()
            if share >= MOSTLY and early.get(layer, 1.0) <= NOT_YET
        }
        died = {k: v for k, v in dead.items() if v == 1 or k in mostly & self.mostly}
        self.mostly, self.found = mostly, None
        if died:
            layer = max(died, key=died.__getitem__)  # of equal ones the lowest
            before = layer in self.dead_at_start
            self.found = said.dead(layer, died[layer], early.get(layer, 1.0), WINDOW, before)
        return self.found
