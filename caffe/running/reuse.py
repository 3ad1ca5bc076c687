"""Reuse: in a TEST net later maps take over the memory of maps that nobody reads any more."""

from __future__ import annotations

from collections.abc import Collection

import torch

from ..topology import Topology
from .lifetimes import Releasing


class Pool:
    """Blocks of memory that maps have given back, for later maps: the smallest that fits is taken.

    For the CPU, where fresh memory costs about as much as computing a map does. For GPUs PyTorch
    has a pool of its own.
    """

    def __init__(self) -> None:
        self.free: list[tuple[torch.device, torch.Tensor]] = []
        self.largest = 0  # values of the largest map since the last `trim`

    def take(self, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A flat tensor of at least `size` values; what is in them is undefined."""
        self.largest = max(self.largest, size)
        usable = [
            (block.numel(), i)
            for i, (where, block) in enumerate(self.free)
            if where == device and block.dtype == dtype
        ]
        fitting = [entry for entry in usable if entry[0] >= size]
        if fitting:
            return self.free.pop(min(fitting)[1])[1]
        if usable:  # a larger block takes the place of the largest
            self.free.pop(max(usable)[1])
        block = torch.empty(size, dtype=dtype, device=device)
        block.pool = self
        return block

    def give(self, block: torch.Tensor, device: torch.device) -> None:
        """Take a block back. Tensors that layers made themselves are not pooled: they would pile up."""
        if device.type == "cpu" and getattr(block, "pool", None) is self:
            self.free.append((device, block))

    def trim(self) -> None:
        """Free blocks that are larger than any map was since the last call."""
        self.free = [entry for entry in self.free if entry[1].numel() <= self.largest]
        self.largest = 0


class Reuse(Releasing):
    """The policy of `Net.reuse_memory`: a map's memory is released after its last reader has run."""

    def __init__(self, net: Topology, keep: Collection[str] = ()):
        super().__init__(net, keep)
        self.pool = Pool()

    def release_all(self) -> None:
        """Release at once what the passes before have kept."""
        for index in range(len(self.net.layers)):
            self.after_forward(index)

    def stays(self, i: int) -> bool:
        return self.is_kept(i)

    def begin_forward(self, start: int, end: int) -> None:
        self.pool.trim()
        super().begin_forward(start, end)

    def after_forward(self, index: int) -> None:
        """Release the maps that this layer was the last to use."""
        ended = (i for i, last in enumerate(self.last) if last == index)
        self.release("_data", ended, lambda i: self.last[i] <= index, self.stays)
        self.drop_saved(index)

    def begin_backward(self, start: int, end: int) -> None:
        """Raise RuntimeError: the maps that backward needs are gone."""
        raise RuntimeError(
            f"net {self.net.name!r} has no backward: reuse_memory() gave away the maps that it needs. "
            "A second net, on these weights by share_with(), keeps its own"
        )

    def reason(self, names: list[str]) -> str:
        one = " and ".join(map(repr, names))
        return (
            f"blob {one}: its memory was reused, as reuse_memory() of net {self.net.name!r} wants it; to "
            f"read it after a forward: reuse_memory(keep=[{names[0]!r}]), or forward(blobs=[{names[0]!r}])"
        )
