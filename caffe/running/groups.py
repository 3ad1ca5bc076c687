"""Groups: a layer and those that follow and work in place on its only top, computed together."""

from __future__ import annotations

from collections.abc import Iterator

from .. import context
from ..kernels import library
from ..layer import Window, declares, is_built_in
from ..proto import caffe_pb2
from ..topology import Topology
from .runner import Runner
from .versions import ParameterWatch, extent

MANY = 64  # windows that a group remembers: an edited patch, of any place, is a new one


class Group:
    """Layers first..last of a net: one, and those that work in place on its only top."""

    def __init__(self, net: Topology, first: int, last: int):
        self.first, self.last = first, last
        self.layers = net.layers[first : last + 1]
        self.bottom, self.top = net.bottoms[first], net.tops[first]
        # a layer's own phase beats the net's
        self.deterministic = all(
            declares(layer, "deterministic") and layer.phase == caffe_pb2.TEST
            for layer in self.layers
        )
        # a user's class may change what the windows of a built-in one rely on
        self.by_windows = all(map(is_built_in, self.layers))
        head, *others = self.layers
        others = [layer for layer in others if not layer.is_identity()]
        count = head.fuses(others) if self.by_windows else 0
        self.fused = others[:count]  # what the head computes along with its own tops
        self.others = others[count:]
        self.unfinished = False  # an exception or Ctrl-C ended the last `run` or its preparation
        self.affected: dict[tuple, Window | None] = {}  # what `affected_window` has answered
        self.watches = [ParameterWatch(blob) for layer in self.layers for blob in layer.blobs]

    def weights_changed(self) -> bool:
        """Whether parameters have changed since the last call; the layers forget the old ones."""
        changed = any([watch.changed() for watch in self.watches])
        if changed:
            self.forget_weights()
        return changed

    def forget_weights(self) -> None:
        """Let the layers drop what they derived from their parameters."""
        for layer in self.layers:
            layer.forget_weights()

    def affected_window(self, window: Window) -> Window | None:
        """The window of the top that depends on a window of the bottoms; None: everything."""
        shapes = tuple(blob._shape for blob in (*self.bottom, *self.top))
        case = window, shapes, context.precision(), library.available()
        if case not in self.affected:
            if len(self.affected) > MANY:
                self.affected.clear()
            self.affected[case] = self._affected_window(window)
        return self.affected[case]

    def _affected_window(self, window):
        affected: Window | None = window if self.by_windows else None
        for layer in (self.layers[0], *self.others):
            if affected is not None:
                affected = layer.affected_window(affected)
        return affected

    def run(self, window: Window | None) -> None:
        """Compute a window of the tops; None: everything."""
        head = self.layers[0]
        if window is None and self.by_windows and len(self.top):
            window = extent(self.top[0])
        if window is None:
            head.forward(self.bottom, self.top)
            for layer in self.layers[1:]:
                layer.forward(self.top, self.top)
        elif self.fused:
            head.forward_fused(self.bottom, self.top, window, self.fused)
        else:
            head.forward_window(self.bottom, self.top, window)
        if window is not None:
            for layer in self.others:
                layer.forward_window(self.top, self.top, window)


def groups_of(net: Topology) -> list[Group]:
    """The groups of a net, in order; every layer is in one."""
    groups, first = [], 0
    while first < len(net.layers):
        last = first
        while _works_in_place(net, last + 1, net.top_ids[first]):
            last += 1
        groups.append(Group(net, first, last))
        first = last + 1
    return groups


def _works_in_place(net, index, tops):
    return (
        index < len(net.layers)
        and len(tops) == 1
        and net.layers[index - 1].type != "Input"
        and net.bottom_ids[index] == net.top_ids[index] == tops
    )


class Grouped(Runner):
    """Computes groups, each in full: on the CPU in TEST, where kernels fuse what works in place.

    The layers' hooks are called after their group, so nobody may want to see the map between them.
    """

    def __init__(self, net, hooks=()):
        super().__init__(net, hooks)
        self.groups = groups_of(net)

    def steps(self, start: int, end: int) -> Iterator[int]:
        for hook in self.hooks:
            hook.begin_forward(start, end)
        self.begin()
        for group in self.groups:
            if group.last < start or group.first > end:
                continue
            if group.first < start or group.last > end:  # the map between its layers is asked for
                yield from self._run_part(group, max(start, group.first), min(end, group.last))
                continue
            indices = range(group.first, group.last + 1)
            for i in indices:
                self.net.layers[i].reshape(self.net.bottoms[i], self.net.tops[i])
            if self.net.layers[group.first].type != "Input":
                self.update(group)
            for i in indices:
                yield i
                for hook in self.hooks:
                    hook.after_forward(i)

    def begin(self) -> None:
        """Called before the first group of a pass."""

    def update(self, group: Group) -> None:
        """Bring a group's tops up to date, at the shapes that its layers' reshape gave."""
        if group.unfinished:
            group.forget_weights()
        group.unfinished = True
        group.weights_changed()
        group.run(None)
        group.unfinished = False

    def _run_part(self, group, start, end):
        """Some layers of a group, one by one."""
        for i in range(start, end + 1):
            layer, bottom, top = self.net.layers[i], self.net.bottoms[i], self.net.tops[i]
            layer.reshape(bottom, top)
            layer.forward(bottom, top)
            yield i
            for hook in self.hooks:
                hook.after_forward(i)
