"""Incremental: computes only what changed since the last pass of a TEST net, on the CPU.

A TEST net keeps its maps, so what inputs, weights and shapes left unchanged is still right. Every
blob has a version, and the window in which it differs from the version before; a group of layers
knows which versions it has read. For FCNs this saves a third of the work: conv1_1 pads the picture
by 100, so that half of conv1's map does not depend on it. Exact for any net: a blob that was read
through NumPy, or written to, counts as changed.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from .. import context
from ..blob import Blob, Memory
from ..layer import Window
from ..topology import Topology
from .groups import Group, Grouped
from .hooks import Hooks
from .versions import BlobVersion, extent, union

# Bytes of maps of other shapes that a net may keep: VOC's eight common sizes take 3.5 GiB of FCN-8s
STORED_BYTES = min(2**32, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)

Shapes = tuple[tuple[int, ...], ...]


class Read(NamedTuple):
    """The version and the shape of a bottom when a group read it."""

    number: int
    shape: tuple[int, ...]


class Stored(NamedTuple):
    """A group's maps of other shapes of its bottoms, put away until those shapes come again."""

    pass_number: int
    read: list[Read]
    versions: list[dict[str, Any]]
    owned: bool  # whether the maps are in memory of their own, not a bottom's

    @property
    def bytes(self) -> int:
        """Bytes of the maps' memory."""
        return sum(saved["memory"].size for saved in self.versions) * 4 * self.owned


@dataclass
class Computed:
    """What is known of a group's tops."""

    read: list[Read] | None = None  # what they were computed from; None: unknown
    precision: str | None = None
    partly_constant: bool = False  # whether a part of them does not depend on the net's inputs
    stored: dict[Shapes, Stored] = field(default_factory=dict)


class Incremental(Grouped):
    """Runs each group as far as it must."""

    def __init__(self, net: Topology, hooks: Sequence[Hooks] = ()):
        super().__init__(net, hooks)
        self.numbers = itertools.count(1)
        self.passes = itertools.count(1)
        self.this_pass = 0
        inputs = set(net.input_ids)
        self.versions = {blob: BlobVersion(blob, i in inputs) for i, blob in enumerate(net.blobs)}
        self.computed = {group: Computed() for group in self.groups}

    def forget(self) -> None:
        """Count every map as changed: another runner has computed them."""
        for computed in self.computed.values():
            computed.read = None

    def begin(self) -> None:
        """Number the pass, and drop stored maps where there are too many."""
        self.this_pass = next(self.passes)
        self._limit_stored()

    def update(self, group: Group) -> None:
        """Compute the part of a group's tops that is not up to date."""
        computed = self.computed[group]
        self._exchange(group, computed)
        for blob in group.bottom:
            version = self.versions[blob]
            if version.checked_in != self.this_pass:
                version.notice(next(self.numbers))
                version.checked_in = self.this_pass
        if group.unfinished:  # nothing it knew counts
            computed.read = None
            group.forget_weights()
        group.unfinished = True
        window, all_of_it = self._outdated(group, computed)
        if window or all_of_it:
            group.run(None if all_of_it else window)
            self._enter(group, computed, None if all_of_it else window)
        group.unfinished = False
        for blob in group.top:
            self.versions[blob].checked_in = self.this_pass

    # ---- what is out of date

    def _outdated(self, group: Group, computed: Computed) -> tuple[Window | None, bool]:
        """(the window of the tops to compute or None, whether all of them must be)."""
        everything = None, True
        changed = group.weights_changed()
        if computed.precision != context.precision():
            computed.precision, computed.read = context.precision(), None
        if changed or computed.read is None:
            computed.stored.clear()
        if changed or not group.deterministic or computed.read is None:
            return everything
        if not all(self._holds_work_of(group, blob) for blob in group.top):
            return everything
        windows: list[Window] = []
        for blob, read in zip(group.bottom, computed.read):
            version = self.versions[blob]
            if blob._shape != read.shape:
                return everything
            if version.number != read.number:
                known = version.number_before == read.number
                changed_in = version.window if known else extent(blob)
                if changed_in is None:
                    return everything
                windows.append(changed_in)
        if not windows:
            return None, False
        window = group.affected_window(union(windows))
        if window is None:
            return everything
        empty = window[0] >= window[1] or window[2] >= window[3]
        return (None, False) if empty else (window, False)

    def _holds_work_of(self, group: Group, blob: Blob) -> bool:
        """Whether a top holds what the group computed, untouched."""
        version = self.versions[blob]
        if version.writer is not group:
            return False
        if group.layers[0].aliases_bottom("data"):  # a write to the top is noticed on the bottom
            return blob._data is group.bottom[0]._data and blob._shape == version.shape
        return version.is_untouched()

    def _depends_on_inputs(self, group: Group) -> Window | None:
        """The window of the tops that depends on the net's inputs; None where it is not known."""
        windows = [self.versions[blob].from_inputs or extent(blob) for blob in group.bottom]
        known = [window for window in windows if window is not None]
        if not group.top or not known or len(known) < len(windows):
            return None
        return group.affected_window(union(known))

    # ---- what was computed

    def _enter(self, group: Group, computed: Computed, window: Window | None) -> None:
        """Enter the group's tops as new versions, which differ from those before in a window."""
        read = [Read(self.versions[b].number, b._shape) for b in group.bottom]
        depends = self._depends_on_inputs(group)
        computed.partly_constant = depends is not None and depends != extent(group.top[0])
        for blob in group.top:
            self.versions[blob].from_inputs = depends
            self._advance(blob, extent(blob) if window is None else window, group)
        computed.read = read

    def _advance(self, blob, window, writer):
        self.versions[blob].advance(next(self.numbers), window, writer)

    def _run_part(self, group, start, end):
        self.computed[group].read = None
        try:
            yield from super()._run_part(group, start, end)
        finally:
            for blob in group.top:
                self._advance(blob, extent(blob), None)

    # ---- maps of other shapes

    def _exchange(self, group: Group, computed: Computed) -> None:
        """When the bottoms' shapes have changed, store the tops' maps for when the old shapes come
        again, and take out those that were stored for the new ones."""
        shapes = tuple(blob._shape for blob in group.bottom)
        if not computed.partly_constant or computed.read is None:
            return
        shapes_read = tuple(read.shape for read in computed.read)
        if shapes == shapes_read:
            return
        versions = [self.versions[blob] for blob in group.top]
        saved = [version.save() for version in versions if version.writer is group]
        known = [entry for entry in saved if entry is not None]
        if len(known) == len(versions):
            owned = not group.layers[0].aliases_bottom("data")
            computed.stored[shapes_read] = Stored(self.this_pass, computed.read, known, owned)
            for blob in group.top if owned else ():
                blob._data = Memory(blob._count)
                # not zeroed: all of it will be written
                blob.x = torch.empty(blob._shape, dtype=blob._data.dtype, device=context.CPU)
        if found := computed.stored.pop(shapes, None):
            computed.read = found.read
            for version, entry in zip(versions, found.versions):
                version.restore(entry)

    def _limit_stored(self) -> None:
        """Drop the maps that were stored first until the rest takes at most STORED_BYTES."""
        stored = sorted(
            (
                (entry.pass_number, computed.stored, shapes)
                for computed in self.computed.values()
                for shapes, entry in computed.stored.items()
            ),
            key=lambda row: row[0],
        )
        too_much = sum(of_group[shapes].bytes for _, of_group, shapes in stored) - STORED_BYTES
        last = None
        for number, of_group, shapes in stored:
            if too_much <= 0 and number != last:  # the maps of one pass share memory
                break
            last = number
            too_much -= of_group.pop(shapes).bytes
