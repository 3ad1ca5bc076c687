"""How long each map of a net is needed, and how many bytes its maps take at once.

KeepAll, the plain policy, keeps every map. Its subclasses give memory back: Reuse in TEST, Recompute
in TRAIN. Blobs may share memory (Split, Reshape and others); it is given back when none needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from ..layer import declares, is_built_in
from ..syncedmem import Memory, Pool
from ..topology import Topology
from .hooks import Hooks


def lifetimes(net: Topology) -> tuple[list[int], list[int]]:
    """Of each blob the first and the last layer that has it as top or bottom."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, (bottoms, tops) in enumerate(zip(net.bottom_ids, net.top_ids)):
        for i in (*bottoms, *tops):
            first.setdefault(i, index)
            last[i] = index
    ids = range(len(net.blobs))
    return [first[i] for i in ids], [last[i] for i in ids]


def memory_roots(net: Topology, side: str) -> list[int]:
    """Of each blob the id of the first blob whose memory it shares, for "data" or "diff"."""
    roots = list(range(len(net.blobs)))
    for layer, bottoms, tops in zip(net.layers, net.bottom_ids, net.top_ids):
        if is_built_in(layer) and layer.aliases_bottom(side):
            for i in tops:
                roots[i] = roots[bottoms[0]]
    return roots


def fixed_tops(net: Topology) -> set[int]:
    """Ids of tops whose values must stay: a source's, and a Python layer's.

    A user's Python layer may write a top once, in setup, and count on finding it later.
    """
    return {
        i
        for layer, tops in zip(net.layers, net.top_ids)
        for i in tops
        if not layer.layer_param.bottom or not is_built_in(layer)
    }


class Span(NamedTuple):
    """A piece of memory: its bytes, the layers during which it is in use, whether it then stays."""

    size: float
    first: int
    last: int
    stays: bool


class KeepAll(Hooks):
    """Keeps all maps and diffs; counts the bytes that they and the layers' own tensors take."""

    def __init__(self, net: Topology, keep: Collection[str] = ()):
        self.net = net
        self.keep = set(keep)  # names of blobs that the user wants to read after a pass
        self.returned: set[str] = set()  # names of blobs that the caller of this pass gets back
        self.first, self.last = lifetimes(net)
        self.fixed = {*net.input_ids, *net.output_ids} | fixed_tops(net)

    def stays(self, i: int) -> bool:
        """Whether a blob's values stay after its last reader has run."""
        return True

    def keeps_diff(self, i: int) -> bool:
        """Whether a blob's diff stays after backward has read it."""
        return True

    def is_kept(self, i: int) -> bool:
        """Whether a blob must stay under every policy."""
        name = self.net.blob_names[i]
        return i in self.fixed or name in self.keep or name in self.returned

    # ---- bytes

    def maps(self, sizes: Sequence[float]) -> float:
        """The most bytes that maps take at once, from the bytes of each blob."""
        return self._peak(self.spans(sizes, "data", self.stays, range(len(sizes))))

    def diffs(self, sizes: Sequence[float]) -> float:
        """The most bytes that the maps' diffs take at once, from the bytes of each blob."""
        return self._peak(self.spans(sizes, "diff", self.keeps_diff, self._with_diffs()))

    def saved(self, counts: Sequence[int]) -> float:
        """The most bytes that layers save for backward at once, from the values of each blob."""
        return sum(self.saved_by_layer(counts))

    def saved_by_layer(self, counts: Sequence[int]) -> list[int]:
        """Bytes that each repeatable layer saves for backward, from the values of each blob."""
        return [
            sum(layer.saved_for_backward.values()) * (counts[ids[0]] if ids else 0)
            if declares(layer, "repeatable")
            else 0
            for layer, ids in zip(self.net.layers, self.net.top_ids)
        ]

    def spans(
        self,
        sizes: Sequence[float],
        side: str,
        stays: Callable[[int], bool],
        ids: Iterable[int],
    ) -> list[Span]:
        """A Span for each piece of memory that blobs of these ids have; sizes are bytes by id."""
        found: dict[int, Span] = {}
        roots = memory_roots(self.net, side)
        for i in ids:
            span = found.get(roots[i], Span(0, self.first[i], 0, False))
            found[roots[i]] = Span(
                max(span.size, sizes[i]),
                min(span.first, self.first[i]),
                max(span.last, self.last[i]),
                span.stays or stays(i),
            )
        return list(found.values())

    def _with_diffs(self) -> set[int]:
        """Ids of blobs that have a diff: tops, which backward reads, and bottoms, which it writes."""
        net, found = self.net, set()
        for index, needed in enumerate(net.layer_need_backward):
            if needed:
                found.update(net.top_ids[index])
                flags = net.bottom_need_backward[index]
                found.update(i for i, flag in zip(net.bottom_ids[index], flags) if flag)
        return found

    def _peak(self, spans):
        return max(
            sum(s.size for s in spans if s.stays or s.first <= at <= s.last)
            for at in range(len(self.net.layers))
        )


class Releasing(KeepAll):
    """Gives maps' memory back once they have been read; the next pass allocates it again."""

    def __init__(self, net: Topology, keep: Collection[str] = ()):
        super().__init__(net, keep)
        self.pool: Pool | None = None  # where memory of later maps comes from

    def begin_forward(self, start: int, end: int) -> None:
        """Give the maps that layers start..end make memory anew."""
        for blob, first in zip(self.net.blobs, self.first):
            if start <= first <= end:
                if blob._data.released:
                    blob._data = Memory(0, self.pool)  # of the size that the layer's reshape says
                if blob._diff.released:
                    blob._diff = Memory(0)

    def release(
        self,
        side: str,
        ids: Iterable[int],
        is_over: Callable[[int], bool],
        stays: Callable[[int], bool],
    ) -> None:
        """Release the memory ("_data" or "_diff") of blobs if none of those that share it needs it."""
        blobs = self.net.blobs
        for memory in {id(m): m for m in (getattr(blobs[i], side) for i in ids)}.values():
            sharing = [i for i, blob in enumerate(blobs) if getattr(blob, side) is memory]
            if all(is_over(i) and not stays(i) for i in sharing):
                memory.release(self.reason([self.net.blob_names[i] for i in sharing]))

    def drop_saved(self, index: int) -> None:
        """Drop what a repeatable layer's forward saved for backward."""
        layer = self.net.layers[index]
        if declares(layer, "repeatable"):
            for name in layer.saved_for_backward:
                setattr(layer, name, None)

    def reason(self, names: list[str]) -> str:
        """Why blobs of these names have no values, and how to keep them: the text of an error."""
        raise NotImplementedError
