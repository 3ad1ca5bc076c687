"""Which layer of a file may belong to which of a net, where their names do not tell."""

from collections import Counter
from collections.abc import Mapping, Sequence

from .stored import StoredBlob


def propose(
    wanted: Mapping[str, Sequence[Sequence[int]]],
    offered: Mapping[str, Sequence[StoredBlob | None]],
) -> dict[str, str]:
    """{layer of the net: layer of the file} where the shapes of the blobs leave only one.

    `wanted` has the shapes of the net's layers that got nothing, `offered` the file's blobs that went
    nowhere. A layer of the file that would fit several of the net's is not proposed.
    """
    candidates = {
        name: [other for other, blobs in offered.items() if _fits(shapes, blobs)]
        for name, shapes in wanted.items()
    }
    times = Counter(other for found in candidates.values() for other in found)
    return {
        name: found[0]
        for name, found in candidates.items()
        if len(found) == 1 and times[found[0]] == 1
    }


def _fits(shapes: Sequence[Sequence[int]], blobs: Sequence[StoredBlob | None]) -> bool:
    """Whether stored blobs are those of a layer with these shapes."""
    return (
        len(shapes) == len(blobs) > 0
        and all(blob is not None for blob in blobs)
        and all(blob.matches(shape) for shape, blob in zip(shapes, blobs) if blob is not None)
    )
