"""PyTorch of layers that move values, pick some of them, or give them another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import parts
from .code import Code, Value


def same(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """nothing: the tops are the bottom"""
    return ", ".join([str(x[0])] * len(layer.layer_param.top))


def concat(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`torch.cat`"""
    return f"torch.cat([{', '.join(map(str, x))}], {layer.along})" if len(x) > 1 else str(x[0])


def slice_(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`torch.tensor_split` or `torch.chunk`"""
    points, count = list(layer.param.slice_point), len(layer.layer_param.top)
    if count == 1:
        return str(x[0])
    if points:
        return f"torch.tensor_split({x[0]}, {points}, {layer.along})"
    return f"torch.chunk({x[0]}, {count}, {layer.along})"


def crop(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """a function of three lines"""
    axis, offsets = layer.param.axis % x[0].rank, list(layer.param.offset) or [0]
    offsets *= (x[0].rank - axis) // len(offsets)
    return f"{c.part(parts.crop)}({x[0]}, {x[1]}, {axis}, {offsets})"


def tile(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`torch.tile`"""
    repeats = [1] * x[0].rank
    repeats[layer.param.axis % x[0].rank] = layer.param.tiles
    return f"torch.tile({x[0]}, {repeats})"


def flatten(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`torch.flatten`"""
    start, end = layer.param.axis % x[0].rank, layer.param.end_axis % x[0].rank
    return (
        f"torch.flatten({x[0]}, {start})"
        if end == x[0].rank - 1
        else (f"torch.flatten({x[0]}, {start}, {end})")
    )


def reshape(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`torch.reshape`"""
    p, rank = layer.param, x[0].rank
    start = p.axis if p.axis >= 0 else rank + p.axis + 1
    end = rank if p.num_axes == -1 else start + p.num_axes
    dims = [
        *(f"{x[0]}.shape[{i}]" for i in range(start)),
        *(f"{x[0]}.shape[{start + i}]" if d == 0 else str(d) for i, d in enumerate(layer.dims)),
        *(f"{x[0]}.shape[{i}]" for i in range(end, rank)),
    ]
    return f"torch.reshape({x[0]}, ({', '.join(dims)}{',' * (len(dims) == 1)}))"


def batch_reindex(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """indexing"""
    return f"{x[0]}[{x[1]}.long()]"


def filter_(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """a function of two lines"""
    *sources, selector = x
    return f"{c.part(parts.kept_items)}({selector}, {', '.join(map(str, sources))})"
