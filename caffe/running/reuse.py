"""Reuse: in a TEST net later maps take over the memory of maps that nobody reads any more."""

from __future__ import annotations

from collections.abc import Collection

from ..syncedmem import Pool
from ..topology import Topology
from .lifetimes import Releasing


class Reuse(Releasing):
    """The policy of `Net.reuse_memory`: a map's memory is released after its last reader has run."""

    def __init__(self, net: Topology, keep: Collection[str] = ()):
        super().__init__(net, keep)
        self.pool: Pool = Pool()

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
