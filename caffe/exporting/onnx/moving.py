"""ONNX of layers that move values, pick some of them, or give them another shape."""

from __future__ import annotations

from typing import Any

from .cells import Bottoms, as_index
from .graph import Graph, Ints


def concat(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Concat`"""
    return x[0].name if len(x) == 1 else g.op("Concat", *x, axis=layer.along)


def slice_(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`Split`"""
    count = len(layer.layer_param.top)
    if count == 1:
        return [x[0].name]
    if layer.along not in x[0].free:
        return g.ops("Split", count, x[0], layer.sizes, axis=layer.along)
    points = list(layer.param.slice_point)
    if not points:
        return g.ops("Split", count, x[0], axis=layer.along, num_outputs=count)
    last = g.sizes(x[0], layer.along, layer.along + 1) - points[-1]
    edges = [0, *points]
    known = [end - start for start, end in zip(edges, edges[1:])]
    return g.ops("Split", count, x[0], g.joined(known, last), axis=layer.along)


def crop(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Slice`, its ends computed from the reference's `Shape`"""
    start = layer.param.axis % x[0].rank
    offsets = list(layer.param.offset) or [0]
    offsets *= (x[0].rank - start) // len(offsets)
    ends = g.sizes(x[1], start, x[0].rank)
    if any(offsets):
        ends = ends + offsets
    return g.op("Slice", x[0], offsets, ends, list(range(start, x[0].rank)))


def tile(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Tile`"""
    repeats = [1] * x[0].rank
    repeats[layer.param.axis % x[0].rank] = layer.param.tiles
    return g.op("Tile", x[0], repeats)


def flatten(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Flatten` or `Reshape`"""
    p, rank = layer.param, x[0].rank
    start, end = p.axis % rank, p.end_axis % rank
    if (start, end) == (1, rank - 1):
        return g.op("Flatten", x[0], axis=1)
    behind = g.sizes(x[0], end + 1) if end > start else Ints(g, known=[0] * (rank - end - 1))
    return g.op("Reshape", x[0], g.joined([0] * start, [-1], behind))


def reshape(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Reshape`"""
    p, rank = layer.param, x[0].rank
    start = p.axis if p.axis >= 0 else rank + p.axis + 1
    end = rank if p.num_axes == -1 else start + p.num_axes
    parts: list[Any] = [[0] * start, layer.dims]
    if end - start == len(layer.dims):
        parts.append([0] * (rank - end))  # a 0 copies the size at its own place
    else:
        parts.append(g.sizes(x[0], end))
    return g.op("Reshape", x[0], g.joined(*parts))


def parameter(g: Graph, layer: Any, x: Bottoms) -> str:
    """a constant"""
    return g.weight(layer.blobs[0], "weight")


def batch_reindex(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Gather`"""
    return g.op("Gather", x[0], as_index(g, x[1]), axis=0)


def filter_(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`NonZero`, `Gather`"""
    *sources, selector = x
    flat = g.op("Reshape", selector, [-1])
    kept = g.op("Squeeze", g.op("NonZero", flat), [0])
    return [g.op("Gather", source, kept, axis=0) for source in sources]
