"""How much memory a net needs at its shapes or at others, and how much there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from .. import context
from ..blob import Blob
from ..layer import is_built_in
from ..machine_memory import device_memory as device_memory
from ..proto import caffe_pb2
from ..topology import Topology
from .lifetimes import KeepAll

if TYPE_CHECKING:
    from ..net import Net

GIB = 2**30
STEP, SMALLEST = 0.98, 0.05  # of a picture's sides: how the search for one that fits goes down


class Need(NamedTuple):
    """Bytes that a net needs; `work`, what layers save for backward or compute in, is an estimate."""

    weights: int
    maps: int
    diffs: int = 0
    history: int = 0
    work: int = 0

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(self)

    def __str__(self) -> str:
        parts = ", ".join(
            f"{part} {size / GIB:.2f}" for part, size in self._asdict().items() if size
        )
        return f"about {self.total / GIB:.2f} GiB ({parts})"


def need(net: Net) -> Need:
    """What a net needs at its present shapes; nothing is allocated.

    For a TEST net: forward. For a TRAIN net: forward, backward and the solver's update.
    """
    return net._running.memory_use.need()


@dataclass
class MemoryUse:
    """Predicts the memory that a net needs under a memory policy."""

    net: Topology
    policy: KeepAll
    histories: int = 0  # running averages that a solver keeps of each parameter

    def need(self, blobs: Sequence[Blob] | None = None, policy: KeepAll | None = None) -> Need:
        """The need at the shapes of `blobs`, under `policy`; both default to the net's own."""
        net, policy = self.net, policy or self.policy
        blobs = net.blobs if blobs is None else blobs
        value = torch.finfo(context.dtype()).bits // 8
        sizes = [blob.count * value for blob in blobs]
        params = {id(p._data): p.count * value for layer in net.layers for p in layer.blobs}
        weights, learned = sum(params.values()), sum(p.count * value for p in net.learnable_params)
        workspaces = (
            layer.workspace([blobs[i] for i in bottoms], [blobs[i] for i in tops])
            for layer, bottoms, tops in zip(net.layers, net.bottom_ids, net.top_ids)
        )
        workspace = value * max(workspaces, default=0)
        maps = int(policy.maps(sizes))
        if net.phase == caffe_pb2.TEST:
            return Need(weights, maps, work=workspace + value * self._derived_weights())
        diffs, history = learned + int(policy.diffs(sizes)), self.histories * learned
        saved = int(policy.saved([blob.count for blob in blobs]))
        return Need(weights, maps, diffs, history, saved + 2 * workspace)

    def _derived_weights(self) -> int:
        """Values of weights that are kept a second time, and of the largest while it is made."""
        if context.device() != context.CPU:
            return 0
        counts = [layer.derived_weights() for layer in self.net.layers]
        return sum(counts) + max(counts, default=0)

    def need_of_pass(self) -> Need:
        """The need at the shapes that a pass will give the maps, where its inputs alone decide them."""
        try:
            return self.need(self.shapes_if(tuple) if self.is_predictable() else None)
        except ValueError:  # a layer cannot take its shape, and will say so itself
            return self.need()

    # ---- other sizes

    def is_predictable(self) -> bool:
        """Whether the shapes follow from the inputs' alone, without running a user's code."""
        return all(
            not layer.layer_param.bottom or is_built_in(layer) and not layer.shapes_follow_values
            for layer in self.net.layers
        )

    def shapes_if(self, change: Callable[[tuple[int, ...]], Sequence[int]]) -> list[Blob]:
        """Blobs without memory, of the shapes after change(shape) of what the sources give.

        Raises ValueError where a layer cannot take its shape.
        """
        net = self.net
        blobs = [Blob(blob.shape) for blob in net.blobs]
        reshaped = []
        try:
            for layer, bottoms, tops in zip(net.layers, net.bottom_ids, net.top_ids):
                if layer.layer_param.bottom:
                    reshaped.append((layer, bottoms, tops))
                    layer.reshape([blobs[i] for i in bottoms], [blobs[i] for i in tops])
                else:
                    for i in tops:
                        blobs[i].set_shape(change(tuple(blobs[i].shape)))
        finally:
            for layer, bottoms, tops in reshaped:  # put back what reshape leaves on the layer
                layer.reshape([net.blobs[i] for i in bottoms], [net.blobs[i] for i in tops])
        return blobs

    def picture_that_fits(self, room: int) -> tuple[int, int] | None:
        """(height, width) of the largest pictures, of the present shape, that need at most `room`.

        None if the net has no pictures, none fits, or the shapes cannot be predicted. `room` is in
        bytes.
        """
        shapes = [tuple(self.net.blobs[i].shape) for i in self.net.sources()]
        picture = next((shape for shape in shapes if _is_picture(shape)), None)
        if picture is None or not self.is_predictable():
            return None
        scale = 1.0
        while (scale := scale * STEP) > SMALLEST:
            change = _scaled_by(scale)
            try:
                fits = self.need(self.shapes_if(change)).total <= room
            except ValueError:  # not every net takes every size
                continue
            if fits:
                height, width = change(picture)[2:]
                return height, width
        return None


def _is_picture(shape: Sequence[int]) -> bool:
    return len(shape) == 4 and min(shape[2:]) > 1


def _scaled_by(scale: float) -> Callable[[Sequence[int]], Sequence[int]]:
    """A function that scales the height and width of pictures' shapes."""

    def change(shape):
        if not _is_picture(shape):
            return shape
        return [*shape[:2], *(max(1, round(size * scale)) for size in shape[2:])]

    return change
