"""ONNX of layers that work cell by cell, or with weights that meet every cell.

A writer adds a layer's nodes to the graph and returns the names of its tops. The first line of its
docstring says what it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ...c_math import c_pow
from ...proto import caffe_pb2
from .graph import Graph, Operand, Value

Bottoms: TypeAlias = Sequence[Value]
Writer: TypeAlias = Callable[[Graph, Any, Bottoms], "str | list[str]"]

ELTWISE, REDUCTION = caffe_pb2.EltwiseParameter, caffe_pb2.ReductionParameter


def one_op(kind: str) -> Writer:
    """The writer of a layer that is one operator."""

    def write(g: Graph, layer: Any, x: Bottoms) -> str:
        return g.op(kind, x[0])

    write.__doc__ = f"`{kind}`"
    return write


def same(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """nothing: the tops are the bottom"""
    return [x[0].name] * len(layer.layer_param.top)


def relu(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Relu`, with a slope `LeakyRelu`"""
    slope = layer.param.negative_slope
    return g.op("LeakyRelu", x[0], alpha=slope) if slope else g.op("Relu", x[0])


def prelu(g: Graph, layer: Any, x: Bottoms) -> str:
    """`PRelu`"""
    slope = layer.blobs[0]
    shape = [slope.count] + [1] * (x[0].rank - 2)
    return g.op("PRelu", x[0], g.weight(slope, "weight", slope.data.reshape(shape)))


def elu(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Elu`"""
    return g.op("Elu", x[0], alpha=layer.param.alpha)


def swish(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Sigmoid`, `Mul`"""
    return g.op("Mul", x[0], g.op("Sigmoid", scaled(g, x[0], layer.param.beta)))


def scaled(g: Graph, x: Operand, factor: float, shift: float = 0.0) -> str:
    """x * factor + shift, as few nodes as do it."""
    if factor != 1:
        x = g.op("Mul", x, factor)
    if shift:
        x = g.op("Add", x, shift)
    return g.name_of(x)


def power(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Mul`, `Add`, `Pow`"""
    p = layer.param
    if p.power * p.scale == 0:
        return g.op("Expand", c_pow(p.shift, p.power), g.sizes(x[0]))
    y = scaled(g, x[0], p.scale, p.shift)
    return y if p.power == 1 else g.op("Pow", y, p.power)


def exponential(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Exp`, `Mul`"""
    return scaled(g, g.op("Exp", scaled(g, x[0], layer.inner)), layer.outer)


def logarithm(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Log`, `Mul`, `Add`"""
    inner = scaled(g, x[0], layer.param.scale, layer.param.shift)
    return scaled(g, g.op("Log", inner), layer.factor)


def clip(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Clip`; NaN stays NaN"""
    return g.op("Clip", x[0], float(layer.param.min), float(layer.param.max))


def threshold(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Greater`, `Cast`"""
    return as_float(g, g.op("Greater", x[0], float(layer.param.threshold)))


def as_float(g: Graph, x: str) -> str:
    """Numbers of any type as float32."""
    return g.op("Cast", x, to=1)


def as_index(g: Graph, x: Operand) -> str:
    """Numbers of any type as int64, truncated towards zero."""
    return g.op("Cast", x, to=7)


# ---- a second operand


def spread(g: Graph, layer: Any, x: Bottoms, blob: Any, part: str) -> Operand:
    """The operand of Scale or Bias: a learned one, or the second bottom, which meets x's axes from
    `axis` on."""
    second = x[1] if blob is None else None
    shape = blob.shape if second is None else second.shape
    axis = layer.param.axis % x[0].rank if shape else x[0].rank
    behind = x[0].rank - axis - len(shape)
    if second is None:
        return g.weight(blob, part, blob.data.reshape([*shape, *[1] * behind]))
    if not behind:
        return second
    return g.op("Unsqueeze", second, np.arange(len(shape), len(shape) + behind))


def scale(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Mul`, `Add`"""
    factor = None if len(x) > 1 else layer.blobs[0]
    y = g.op("Mul", x[0], spread(g, layer, x, factor, "weight"))
    if not layer.param.bias_term:
        return y
    return g.op("Add", y, spread(g, layer, x, layer.blobs[-1], "bias"))


def bias(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Add`"""
    term = None if len(x) > 1 else layer.blobs[0]
    return g.op("Add", x[0], spread(g, layer, x, term, "bias"))


def eltwise(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Add`, `Mul` or `Max`"""
    p, parts = layer.param, [value.name for value in x]
    if p.operation == ELTWISE.SUM:
        parts = [scaled(g, name, c) for name, c in zip(parts, layer.coeff)]
    kind = {ELTWISE.SUM: "Add", ELTWISE.PROD: "Mul", ELTWISE.MAX: "Max"}[p.operation]
    total = parts[0]
    for part in parts[1:]:
        total = g.op(kind, total, part)
    return total


# ---- weights


def inner_product(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Flatten`, `Gemm`; with other axes than the first in front, `Reshape`, `MatMul`, `Add`"""
    p, blobs = layer.param, layer.blobs
    axis = p.axis % x[0].rank
    if axis == 1:
        flat = x[0].name if x[0].rank == 2 else g.op("Flatten", x[0], axis=1)
        bias = g.weight(blobs[1], "bias") if p.bias_term else None
        return g.op("Gemm", flat, g.weight(blobs[0], "weight"), bias, transB=int(not p.transpose))
    flat = g.op("Reshape", x[0], [0] * axis + [-1])
    weight = blobs[0].data if p.transpose else blobs[0].data.T
    y = g.op("MatMul", flat, g.weight(blobs[0], "weight", weight))
    return g.op("Add", y, g.weight(blobs[1], "bias")) if p.bias_term else y


def embed(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Gather`"""
    y = g.op("Gather", g.weight(layer.blobs[0], "weight"), as_index(g, x[0]), axis=0)
    return g.op("Add", y, g.weight(layer.blobs[1], "bias")) if layer.param.bias_term else y


# ---- statistics


def batch_norm(g: Graph, layer: Any, x: Bottoms) -> str:
    """`BatchNormalization`; with the batch's own statistics, these written out"""
    p = layer.param
    if not layer.uses_global:
        axes = [axis for axis in range(x[0].rank) if axis != 1]
        return normalized(g, x[0].name, axes, lambda v: g.op("Sqrt", g.op("Add", v, p.eps)))
    mean, variance, factor = (blob.data for blob in layer.blobs)
    share = 1 / factor[0] if factor[0] else 0.0
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    stored = g.weight(layer.blobs[0], "mean", mean * share)
    spread = g.weight(layer.blobs[1], "variance", variance * share)
    return g.op("BatchNormalization", x[0], ones, zeros, stored, spread, epsilon=p.eps)


def normalized(
    g: Graph, x: str, axes: Sequence[int], deviation: Callable[[str], str] | None
) -> str:
    """x without its mean along axes, over what `deviation` makes of the variance."""
    centred = g.op("Sub", x, g.op("ReduceMean", x, list(axes)))
    if deviation is None:
        return centred
    variance = g.op("ReduceMean", g.op("Mul", centred, centred), list(axes))
    return g.op("Div", centred, deviation(variance))


def mvn(g: Graph, layer: Any, x: Bottoms) -> str:
    """`ReduceMean`, `Sub`, `Sqrt`, `Div`"""
    p, y = layer.param, x[0].name
    if x[0].rank < 4:
        y = g.op("Reshape", y, g.joined(g.sizes(x[0]), [1] * (4 - x[0].rank)))
    axes = [1, 2, 3] if p.across_channels else [2, 3]

    def deviation(variance: str) -> str:
        return g.op("Add", g.op("Sqrt", variance), p.eps)

    return normalized(g, y, axes, deviation if p.normalize_variance else None)


def softmax(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Softmax`"""
    return g.op("Softmax", x[0], axis=layer.param.axis % x[0].rank)


def reduction(g: Graph, layer: Any, x: Bottoms) -> str:
    """`ReduceSum`, `ReduceL1`, `ReduceSumSquare` or `ReduceMean`"""
    p = layer.param
    kind = {
        REDUCTION.SUM: "ReduceSum",
        REDUCTION.ASUM: "ReduceL1",
        REDUCTION.SUMSQ: "ReduceSumSquare",
        REDUCTION.MEAN: "ReduceMean",
    }[p.operation]
    axes = list(range(p.axis % x[0].rank, x[0].rank))
    return scaled(g, g.op(kind, x[0], axes, keepdims=0), p.coeff)


def arg_max(g: Graph, layer: Any, x: Bottoms) -> str:
    """`ArgMax`; for more than one, or with values, `TopK`"""
    p = layer.param
    along = p.axis % x[0].rank if p.HasField("axis") else 1
    rows = x[0].name
    if not p.HasField("axis"):
        rows = g.op("Flatten", rows, axis=1) if x[0].rank > 1 else g.op("Unsqueeze", rows, [1])
    if p.top_k == 1 and not p.out_max_val:
        index = g.op("ArgMax", rows, axis=along, keepdims=1, select_last_index=1)
        picked = [as_float(g, index)]
    else:
        # the larger index of equal values comes first in Caffe: so the row is read backwards
        back = g.op("Slice", rows, [-1], [-(2**62)], [along], [-1])
        values, index = g.ops("TopK", 2, back, [p.top_k], axis=along)
        last = g.op("Sub", g.op("Gather", g.op("Shape", rows), [along], axis=0), 1)
        picked = [as_float(g, g.op("Sub", last, index))]
        picked = [values] if p.out_max_val and p.HasField("axis") else picked
        picked += [values] if p.out_max_val and not p.HasField("axis") else []
    if p.HasField("axis"):
        return picked[0]
    # (N, 1 or 2, k), and as many axes as the bottom had
    parts = [g.op("Unsqueeze", part, [1, *range(3, max(3, x[0].rank))]) for part in picked]
    return parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=1)
