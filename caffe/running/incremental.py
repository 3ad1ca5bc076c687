"""Which part of a net must be computed again: a TEST net's maps stay in its blobs, and what its
inputs, weights and shapes left unchanged is not computed twice.

Every blob has a version, and the window in which it differs from the version before. A unit, one
layer and those that work in place on its top, remembers the versions it has seen. For FCNs this is
worth a third of the work: conv1_1 pads the picture by 100, so that half of conv1's map does not
depend on it. Exact for any net: reading a blob through NumPy, or writing to it, makes it suspect,
and what is suspect is computed whole.
"""

import itertools
import os
from typing import NamedTuple

import torch

from .. import context
from ..blob import Memory
from ..layers.conv import Convolution
from ..layers.neuron import Dropout, ReLU
from ..proto import caffe_pb2

WHOLE = "whole"
# Bytes of maps of other shapes that a net may keep: VOC's eight common sizes take 3.5 GiB of FCN-8s
ASIDE = min(2**32, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)


class Track:
    """A blob's version, and how that came about."""

    def __init__(self, blob, is_input):
        self.blob = blob
        self.version = self.before = 0
        self.window = None  # where `version` differs from `before`; None: anywhere
        self.reached = None  # the window in which the net's inputs have a part; None: anywhere
        self.writer = None  # the unit whose work the blob holds; None: somebody else's
        self.checked = 0  # the pass in which this was last known to be true
        self.is_input = is_input
        self.copy = None  # of an input
        self.remember()

    def remember(self):
        self.shape, self.memory = self.blob._shape, self.blob._data
        self.state = self.memory.state()

    def is_as_left(self):
        """Whether nobody has touched the blob since `remember`."""
        blob = self.blob
        return (
            self.state is not None
            and blob._shape == self.shape
            and blob._data is self.memory
            and blob._data.state() == self.state
        )

    def advance(self, version, window, writer):
        self.version, self.before, self.window = version, self.version, window
        self.writer = writer
        self.remember()

    def look(self, version):
        """Take note of what others wrote, as the new `version`."""
        if self.is_as_left() and not (self.is_input and self.copy is None):
            return
        window, copy = extent(self.blob), None
        before, self.copy = self.copy, None  # if this is not finished, all is new
        if self.is_input and window:
            window, copy = self.compare(before, window)
        if window != (0, 0, 0, 0):
            self.advance(version, window, None)
        else:
            self.remember()
        self.copy = copy

    def put_aside(self):
        """The blob's content and what is known of it, for `take_back`; None if somebody has touched it."""
        untouched = self.state is not None and self.memory.state() == self.state
        return dict(vars(self), copy=None) if untouched else None

    def take_back(self, known):
        vars(self).update(known)
        self.blob._data = self.memory

    def compare(self, before, window):
        """The smallest window with all differences from `before`, (0, 0, 0, 0) without any; a copy."""
        x = self.blob.x
        if before is None or before.shape != x.shape or not x.numel():
            return window, x.clone()
        ends = [x[:, :, i] for i in (0, -1)] + [x[..., i] for i in (0, -1)]
        ends_before = [before[:, :, i] for i in (0, -1)] + [before[..., i] for i in (0, -1)]
        whole = all((a != b).any() for a, b in zip(ends, ends_before))  # as of any other picture
        differs = None if whole else (x != before).flatten(0, 1).any(0)
        before.copy_(x)
        if whole:
            return window, before
        if not differs.any():
            return (0, 0, 0, 0), before
        edges = []
        for axis in (1, 0):
            cells = differs.any(axis).nonzero()
            edges += [int(cells[0]), int(cells[-1]) + 1]
        return tuple(edges), before


def extent(blob):
    """The window that is all of a map; None for blobs that are no maps."""
    return (0, blob._shape[2], 0, blob._shape[3]) if len(blob._shape) == 4 else None


def union(windows):
    tops, bottoms, lefts, rights = zip(*windows)
    return min(tops), max(bottoms), min(lefts), max(rights)


class Unit:
    """Layers first..last: one, and those that follow and work in place on its only top."""

    def __init__(self, net, first, last):
        self.first, self.last = first, last
        self.layers = net.layers[first : last + 1]
        self.bottom, self.top = net._bottoms[first], net._tops[first]
        head, *others = self.layers
        # a layer's own phase beats the net's
        self.pure = all(layer.pure and layer.phase == caffe_pb2.TEST for layer in self.layers)
        self.slope = None
        if isinstance(head, Convolution) and others and isinstance(others[0], ReLU):
            self.slope = others.pop(0).param.negative_slope
        self.others = [x for x in others if not (isinstance(x, Dropout) and not x.drops)]
        self.windowed = all(hasattr(x, "forward_window") for x in (head, *self.others))
        self.watches = [Watch(blob) for layer in self.layers for blob in layer.blobs]
        self.precision = None
        self.seen = None  # version and shape of every bottom that the tops were computed from
        self.lasting = False  # whether a part of the tops does not depend on the net's inputs
        self.unfinished = False
        self.aside = {}  # shapes of the bottoms -> what the tops held when they had these

    def due(self, tracks_of):
        """The window of the tops that is not up to date; WHOLE, or None if all is."""
        if self.unfinished:  # a pass that an exception or Ctrl-C ended here: nothing it knew counts
            self.seen = None
            self.forget_weights()
        self.unfinished = True
        window = self.not_up_to_date(tracks_of)
        self.unfinished = window is not None
        return window

    def forget_weights(self):
        for layer in self.layers:
            layer.forget_weights()

    def not_up_to_date(self, tracks_of):
        changed = [watch.changed() for watch in self.watches]
        if any(changed):
            self.forget_weights()
        if self.precision != context.precision():
            self.precision, self.seen = context.precision(), None
        if any(changed) or self.seen is None:
            self.aside.clear()
        tops = [tracks_of[top] for top in self.top]
        if any(changed) or not self.pure or self.seen is None:
            return WHOLE
        if not all(track.writer is self and self.is_as_left(track) for track in tops):
            return WHOLE
        windows = []
        for blob, (version, shape) in zip(self.bottom, self.seen):
            track = tracks_of[blob]
            if blob._shape != shape:
                return WHOLE
            if track.version != version:
                windows.append(track.window if track.before == version else extent(blob))
        if not windows:
            return None
        if not self.windowed or None in windows:
            return WHOLE
        window = self.layers[0].reach(union(windows))
        if window is None:
            return WHOLE
        return window if window[0] < window[1] and window[2] < window[3] else None

    def is_as_left(self, track):
        # whoever writes to a top that shares its memory writes to the bottom, and is found out there
        if self.layers[0].shares:
            return track.blob._data is self.bottom[0]._data and track.blob._shape == track.shape
        return track.is_as_left()

    def swap(self, tracks_of, number):
        """When the bottoms' shapes have changed: put the tops' maps aside for when they come again, and
        take out what they were the last time the shapes were as now."""
        shapes = tuple(blob._shape for blob in self.bottom)
        if not self.lasting or self.seen is None or shapes == tuple(s for _, s in self.seen):
            return
        tracks = [tracks_of[blob] for blob in self.top]
        known = [track.put_aside() for track in tracks if track.writer is self]
        if len(known) == len(tracks) and None not in known:
            own = not self.layers[0].shares
            self.aside[tuple(s for _, s in self.seen)] = Aside(number, self.seen, known, own)
            for blob in self.top if own else ():
                blob._data = Memory(blob._count)
                blob.x = torch.empty(
                    blob._shape, dtype=blob._data.dtype, device=context.CPU
                )  # not zeroed: all of it will be written
        if found := self.aside.pop(shapes, None):
            self.seen = found.seen
            for track, known in zip(tracks, found.known):
                track.take_back(known)

    def reached(self, tracks_of):
        """The window of the tops in which the net's inputs have a part; None where it is not known."""
        windows = [tracks_of[blob].reached or extent(blob) for blob in self.bottom]
        if not self.windowed or not self.top or None in windows:
            return None
        return self.layers[0].reach(union(windows))

    def run(self, window):
        head = self.layers[0]
        if window == WHOLE:
            window = extent(self.top[0]) if self.windowed and len(self.top) else None
        if window is None:
            head.forward(self.bottom, self.top)
            for layer in self.layers[1:]:
                layer.forward(self.top, self.top)
            return
        if self.slope is None:
            head.forward_window(self.bottom, self.top, window)
        else:
            head.forward_window(self.bottom, self.top, window, self.slope)
        for layer in self.others:
            layer.forward_window(self.top, self.top, window)


class Aside(NamedTuple):
    """Maps put aside in a pass, and the versions of the bottoms that they were computed from."""

    number: int
    seen: list
    known: list
    own: bool  # whether they are in memory of their own

    @property
    def bytes(self):
        return sum(known["memory"].size for known in self.known) * 4 * self.own


class Watch:
    """Tells whether a parameter's values have changed since it was last asked."""

    def __init__(self, blob):
        self.blob = blob
        self.state = self.digest = None

    def changed(self):
        memory = self.blob._data
        state = (self.blob._shape, memory, memory.state())
        if state[-1] is not None and state == self.state:
            return False
        digest = (self.blob._shape, memory.digest())
        changed, self.state, self.digest = digest != self.digest, state, digest
        return changed


class Changes:
    """Runs a TEST net's layers, each as far as it must."""

    def __init__(self, net):
        self.net = net
        self.counter = itertools.count(1)
        self.passes = itertools.count(1)
        inputs = {id(blob) for i, blob in enumerate(net._blobs) if i in net._inputs}
        self.tracks = {blob: Track(blob, id(blob) in inputs) for blob in net._blobs}
        self.units = []
        first = 0
        while first < len(net.layers):
            last = first
            while self._in_place(last + 1, net._top_index[first]):
                last += 1
            self.units.append(Unit(net, first, last))
            first = last + 1

    def forget(self):
        """Somebody else runs the layers: nothing is known of any map."""
        for unit in self.units:
            unit.seen = None

    def _in_place(self, index, tops):
        net = self.net
        return (
            index < len(net.layers)
            and len(tops) == 1
            and net.layers[index - 1].type != "Input"
            and net._bottom_index[index] == net._top_index[index] == tops
        )

    def forward(self, start, end):
        """Layers start..end; yields each unit's layers when they are up to date."""
        number = next(self.passes)
        self._make_room()
        for unit in self.units:
            if unit.last < start or unit.first > end:
                continue
            if unit.first < start or unit.last > end:  # the map between its layers is asked for
                unit.seen = None
                yield from self._singly(unit, max(start, unit.first), min(end, unit.last))
                continue
            for i in range(unit.first, unit.last + 1):
                self.net.layers[i].reshape(self.net._bottoms[i], self.net._tops[i])
            if self.net.layers[unit.first].type == "Input":
                yield from range(unit.first, unit.last + 1)
                continue
            if self.net._reuse:
                unit.seen = None  # its maps are given away before the next pass
            else:
                unit.swap(self.tracks, number)
                self._look(unit, number)
            window = unit.due(self.tracks)
            if window is not None:
                unit.run(window)
                self._enter(unit, window)
            for blob in unit.top:
                self.tracks[blob].checked = number
            yield from range(unit.first, unit.last + 1)

    def _make_room(self):
        """Let go of the maps that were put aside first, where there are too many."""
        aside = [
            (known.number, unit, shapes)
            for unit in self.units
            for shapes, known in unit.aside.items()
        ]
        too_much = sum(unit.aside[shapes].bytes for _, unit, shapes in aside) - ASIDE
        last = None
        for number, unit, shapes in sorted(aside, key=lambda entry: entry[0]):
            if too_much <= 0 and number != last:  # a pass's maps share memory
                break
            last = number
            too_much -= unit.aside.pop(shapes).bytes

    def _look(self, unit, number):
        for blob in unit.bottom:
            track = self.tracks[blob]
            if track.checked != number:
                track.look(next(self.counter))
                track.checked = number

    def _singly(self, unit, start, end):
        try:
            for i in range(start, end + 1):
                layer, bottom, top = self.net.layers[i], self.net._bottoms[i], self.net._tops[i]
                layer.reshape(bottom, top)
                layer.forward(bottom, top)
                yield i
        finally:
            self._advance(unit, [extent(blob) for blob in unit.top], None)

    def _enter(self, unit, window):
        seen = [(self.tracks[b].version, b._shape) for b in unit.bottom]
        reached = unit.reached(self.tracks)
        unit.lasting = reached is not None and reached != extent(unit.top[0])
        for blob in unit.top:
            self.tracks[blob].reached = reached
        changed = [extent(blob) if window == WHOLE else window for blob in unit.top]
        self._advance(unit, changed, unit)
        unit.seen, unit.unfinished = seen, False

    def _advance(self, unit, windows, writer):
        """A unit's tops are new versions of themselves."""
        read = {id(blob._data) for blob in unit.bottom}
        for blob, window in zip(unit.top, windows):
            if id(blob._data) not in read:
                blob._data.count_write()  # of a C kernel, for whoever shares the memory
            self.tracks[blob].advance(next(self.counter), window, writer)
