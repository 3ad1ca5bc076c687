"""Versions of blobs and parameters: what has changed since a layer last read them, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..blob import Blob
from ..layer import Window

NOWHERE: Window = (0, 0, 0, 0)


def extent(blob: Blob) -> Window | None:
    """The window that is all of a map; None for blobs without a plane."""
    return (0, blob._shape[2], 0, blob._shape[3]) if len(blob._shape) == 4 else None


def union(windows: Sequence[Window]) -> Window:
    """The smallest window that contains all of them."""
    tops, bottoms, lefts, rights = zip(*windows)
    return min(tops), max(bottoms), min(lefts), max(rights)


class BlobVersion:
    """A number that changes with a blob's values, and the window in which they changed.

    The engine's own writes are entered by `advance`. What others wrote, through NumPy or PyTorch,
    `notice` finds by the counters that both keep; an input is compared with a copy, so that a
    picture written over the whole blob counts only where it differs.
    """

    def __init__(self, blob: Blob, is_input: bool):
        self.blob = blob
        self.number = self.number_before = 0
        self.window: Window | None = None  # where the two differ; None: anywhere
        self.from_inputs: Window | None = (
            None  # where values depend on the net's inputs; None: anywhere
        )
        self.writer: object | None = None  # the group that computed the values; None: somebody else
        self.checked_in = 0  # the pass in which `notice` last looked
        self.is_input = is_input
        self.copy: torch.Tensor | None = None  # of an input
        self._remember()

    def _remember(self):
        self.shape, self.memory = self.blob._shape, self.blob._data
        self.state = self.memory.version()

    def is_untouched(self) -> bool:
        """Whether the blob's shape, memory and values are as the last `advance` left them."""
        blob = self.blob
        return (
            self.state is not None
            and blob._shape == self.shape
            and blob._data is self.memory
            and blob._data.version() == self.state
        )

    def advance(self, number: int, window: Window | None, writer: object | None) -> None:
        """Enter a new version that differs from the one before in a window."""
        self.number, self.number_before, self.window = number, self.number, window
        self.writer = writer
        self._remember()

    def notice(self, number: int) -> None:
        """Enter what others wrote since the last version, if anything, as version `number`."""
        if self.is_untouched() and not (self.is_input and self.copy is None):
            return
        window, copy = extent(self.blob), None
        before, self.copy = self.copy, None  # if this is interrupted, everything counts as new
        if self.is_input and window:
            window, copy = self._compare(before, window)
        if window != NOWHERE:
            self.advance(number, window, None)
        else:
            self._remember()
        self.copy = copy

    def _compare(self, before: torch.Tensor | None, whole: Window) -> tuple[Window, torch.Tensor]:
        """(the smallest window with all differences from `before`, a copy of the values)."""
        x = self.blob.x
        if before is None or before.shape != x.shape or not x.numel():
            return whole, x.clone()
        edges = [x[:, :, i] for i in (0, -1)] + [x[..., i] for i in (0, -1)]
        edges_before = [before[:, :, i] for i in (0, -1)] + [before[..., i] for i in (0, -1)]
        # a new picture differs on all four edges: then the rest need not be compared
        everywhere = all((a != b).any() for a, b in zip(edges, edges_before))
        differs = None if everywhere else (x != before).flatten(0, 1).any(0)
        before.copy_(x)
        if differs is None:
            return whole, before
        if not differs.any():
            return NOWHERE, before
        window = []
        for axis in (1, 0):
            cells = differs.any(axis).nonzero()
            window += [int(cells[0]), int(cells[-1]) + 1]
        return (window[0], window[1], window[2], window[3]), before

    def save(self) -> dict[str, Any] | None:
        """What is known of the blob, with its memory, for `restore`; None if others wrote to it."""
        untouched = self.state is not None and self.memory.version() == self.state
        return dict(vars(self), copy=None) if untouched else None

    def restore(self, saved: dict[str, Any]) -> None:
        """Give the blob back the memory and version of `save`."""
        vars(self).update(saved)
        self.blob._data = self.memory


class ParameterWatch:
    """Tells whether a parameter's values have changed since it was last asked."""

    def __init__(self, blob: Blob):
        self.blob = blob
        self.state: tuple | None = None
        self.digest: tuple | None = None

    def changed(self) -> bool:
        """By PyTorch's and the blob's counters; while a NumPy view is out, by the values' digest."""
        memory = self.blob._data
        state = (self.blob._shape, memory, memory.version())
        if state[-1] is not None and state == self.state:
            return False
        digest = (self.blob._shape, memory.digest())
        changed, self.state, self.digest = digest != self.digest, state, digest
        return changed
