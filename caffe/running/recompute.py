"""Recompute: a TRAIN net computes maps again in backward instead of keeping them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from .. import context
from ..syncedmem import Memory
from ..topology import Topology
from .lifetimes import KeepAll, Releasing
from .segments import Segments


class Recompute(Releasing):
    """The policy of `Net.recompute`: maps inside a segment are dropped and computed again.

    The gradients are equal bit for bit: layers that draw at random find the generator as it was, and
    parameters that a forward updates are put back. Only layers that declare `repeatable` run twice.
    """

    def __init__(self, net: Topology, keep: Collection[str] = ()):
        super().__init__(net, keep)
        self.segments = Segments(net, KeepAll(net, keep))
        self.generators: dict[int, torch.Tensor] = {}  # layer -> generator before its forward
        self.without_saved: set[int] = set()  # layers that have lost what they saved for backward
        self.current: int | None = None  # the segment whose maps are there

    # ---- bytes

    def maps(self, sizes: Sequence[float]) -> float:
        return self.segments.maps(sizes)

    def saved(self, counts: Sequence[int]) -> float:
        return self.segments.saved(self.saved_by_layer(counts))

    def stays(self, i: int) -> bool:
        return i not in self.segments.dropped or self.is_kept(i)

    def keeps_diff(self, i: int) -> bool:
        return self.is_kept(i) or bool(self.net.loss_weights[i])

    # ---- forward

    def before_forward(self, index: int) -> None:
        """Note the random generator's state if the layer draws from it."""
        if self.net.layers[index].draws_random:
            self.generators[index] = context.generator().get_state()

    def after_forward(self, index: int) -> None:
        """Drop the maps that this layer was the last to use, unless backward begins here."""
        self.without_saved.discard(index)
        if self.segments.index_of[index] == len(self.segments.ranges) - 1:
            return
        ended = (i for i, last in enumerate(self.last) if last == index)
        self.release("_data", ended, lambda i: self.last[i] <= index, self.stays)
        self._drop_saved_of_repeated(index)

    # ---- backward

    def begin_backward(self, start: int, end: int) -> None:
        """Let the diffs that layers start down to end read be written again."""
        self.current = None
        for index in range(end, start + 1):
            for blob in self.net.bottoms[index]:
                blob._diff.released = None

    def before_backward(self, index: int) -> None:
        """Compute the maps of the layer's segment again, unless they are there."""
        segment = self.segments.index_of[index]
        if self.net.layer_need_backward[index] and segment != self.current:
            self.current = segment
            self._recompute(self.segments.ranges[segment])

    def after_backward(self, index: int) -> None:
        """Release what this layer made: its maps and their diffs were read for the last time."""
        made = [i for i in self.net.top_ids[index] if self.first[i] == index]
        self.release("_data", made, lambda i: self.first[i] >= index, self.stays)
        self.release("_diff", made, lambda i: self.first[i] >= index, self.keeps_diff)
        self._drop_saved_of_repeated(index)

    def _drop_saved_of_repeated(self, index):
        if index in self.segments.repeated and self.net.layers[index].saved_for_backward:
            self.drop_saved(index)
            self.without_saved.add(index)

    def _missing(self, segment: range) -> list[int]:
        """The layers to run again: where one of several that work in place must, all must."""
        roots = self.segments.roots
        tops_of = {i: {roots[j] for j in self.net.top_ids[i]} for i in segment}
        lost: set[int] = set()
        for i, tops in tops_of.items():
            if i in self.without_saved or any(blob._data.released for blob in self.net.tops[i]):
                lost |= tops
        while (more := lost.union(*(tops for tops in tops_of.values() if tops & lost))) != lost:
            lost = more
        return [i for i, tops in tops_of.items() if i in self.segments.repeated and tops & lost]

    def _recompute(self, segment: range) -> None:
        net = self.net
        generator_now = context.generator().get_state()
        for i in self._missing(segment):
            layer, bottom, top = net.layers[i], net.bottoms[i], net.tops[i]
            for blob in top:
                if blob._data.released:
                    blob._data = Memory(0)
            if i in self.generators:
                context.generator().set_state(self.generators[i])
            updated = [b.x.clone() for b in layer.blobs] if layer.updates_parameters else []
            layer.reshape(bottom, top)
            layer.forward(bottom, top)
            for blob, values in zip(layer.blobs, updated):
                blob.x.copy_(values)
            self.without_saved.discard(i)
        context.generator().set_state(generator_now)

    def reason(self, names: list[str]) -> str:
        one = " and ".join(map(repr, names))
        return (
            f"blob {one}: not kept between forward and backward, nor after it, as recompute() of net "
            f"{self.net.name!r} wants it; to read it: recompute(keep=[{names[0]!r}])"
        )
