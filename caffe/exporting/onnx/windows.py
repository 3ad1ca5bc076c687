"""ONNX of layers that move a window over a plane: convolutions, pooling, LRN.

Caffe rounds the number of pooling windows up, and divides an average by the cells of the padded plane
that a window covers. Where ONNX would do otherwise, the plane is padded so far that it cannot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...proto import caffe_pb2
from .cells import Bottoms, scaled
from .graph import Graph, Ints, Operand, Value

POOL = caffe_pb2.PoolingParameter
LOWEST = float(np.finfo(np.float32).min)


# ---- convolutions


class Weights(NamedTuple):
    """The weights of a convolution, and what a node says of them."""

    values: Operand
    outputs: int
    group: int


def convolution(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`Conv`"""
    count = layer.param.num_output
    weights = Weights(_own(g, layer), count, layer.param.group)
    spatial = x[0].shape[layer.channel_axis + 1 :]
    far = layer.missing(spatial)[1::2][::-1]
    if any(far):
        x[0].require_known(range(layer.channel_axis + 1, x[0].rank))
    return [_convolved(g, layer, value, "Conv", weights, far) for value in x]


def deconvolution(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`ConvTranspose`; a group for each channel where the channels do not mix"""
    group, apart = layer.param.group, None
    if group == 1:
        apart = _diagonal(layer.blobs[0].data)
        group = 1 if apart is None else len(apart)
    weights = Weights(_own(g, layer, apart), layer.param.num_output, group)
    return [_convolved(g, layer, value, "ConvTranspose", weights, []) for value in x]


def im2col(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Conv` with weights of 0 and 1"""
    spatial = x[0].shape[layer.channel_axis + 1 :]
    cells, channels = math.prod(layer.kernel), x[0].shape[layer.channel_axis]
    one = np.eye(cells, dtype=np.float32).reshape([cells, 1, *layer.kernel])
    weights = Weights(np.tile(one, [channels, *[1] * (one.ndim - 1)]), channels * cells, channels)
    far = [
        max(0, (n - 1) * stride + extent - size - 2 * pad)
        for n, stride, extent, size, pad in zip(
            layer.windows(spatial), layer.stride, layer.extent, spatial, layer.pad
        )
    ]
    if any(far):
        x[0].require_known(range(layer.channel_axis + 1, x[0].rank))
    return _convolved(g, layer, x[0], "Conv", weights, far)


def _own(g: Graph, layer: Any, changed: np.ndarray | None = None) -> str:
    """A layer's weights, with a spatial axis at least."""
    if changed is None and not layer.num_spatial:
        changed = layer.blobs[0].data[..., None]
    return g.weight(layer.blobs[0], "weight", changed)


def _convolved(
    g: Graph, layer: Any, x: Value, kind: str, weights: Weights, far: Sequence[int]
) -> str:
    """A convolution of either kind, whatever axes lie before the channels.

    `far` is how far windows reach beyond the padded plane.
    """
    axis, plane = layer.channel_axis, layer.num_spatial
    direct = axis == 1 and plane
    inner = x.name
    if not direct:
        spatial = g.sizes(x, axis + 1) if plane else [1]
        inner = g.op("Reshape", x, g.joined([-1], x.shape[axis : axis + 1], spatial))
    pad, more = (list(each) or [0] * (plane or 1) for each in (layer.pad, far))
    y = g.op(
        kind,
        inner,
        weights.values,
        g.weight(layer.blobs[1], "bias") if len(layer.blobs) > 1 else None,
        kernel_shape=list(layer.kernel or [1]),
        strides=list(layer.stride or [1]),
        dilations=list(layer.dilation or [1]),
        pads=[*pad, *(a + b for a, b in zip(pad, more))],
        group=weights.group,
    )
    if direct:
        return y
    after = g.sizes_of(y, 2, 2 + plane)
    return g.op("Reshape", y, g.joined(g.sizes(x, 0, axis), [weights.outputs], after))


def _diagonal(weights: np.ndarray) -> np.ndarray | None:
    """Weights (C, C, kernel...) of channels that do not mix, as (C, 1, kernel...); else None.

    So are those of a bilinear upsampling, of which a C-th part is computed then.
    """
    channels = len(weights)
    if channels < 2 or weights.shape[1] != channels:
        return None
    mixing = np.any(weights.reshape(channels, channels, -1), axis=-1, keepdims=True)[..., 0]
    if mixing[~np.eye(channels, dtype=bool)].any():
        return None
    own = weights[np.arange(channels), np.arange(channels)]
    return np.ascontiguousarray(own[:, None])


# ---- pooling


class Windows(NamedTuple):
    """Windows of a plane, by height and width."""

    kernel: Sequence[int]
    stride: Sequence[int]
    pad: Sequence[int]
    floor: bool = False

    def attributes(self) -> dict[str, list[int]]:
        """As attributes of a node, without padding."""
        return dict(kernel_shape=list(self.kernel), strides=list(self.stride))


def pooling(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`MaxPool` or `AveragePool`, behind `Pad` where the windows differ; `Reduce...` if global"""
    p, count = layer.param, len(layer.layer_param.top)
    if p.pool == POOL.STOCHASTIC:
        raise layer.error(
            "STOCHASTIC pooling is not exported: on a CPU there is none to hold it to"
        )
    if p.global_pooling:
        kind = "ReduceMax" if p.pool == POOL.MAX else "ReduceMean"
        if count == 1:
            return [g.op(kind, x[0], [2, 3])]
        x[0].require_known((2, 3))
        layer.kernel = x[0].shape[2:]
    windows = Windows(layer.kernel, layer.stride, layer.pad, p.round_mode == POOL.FLOOR)
    size = g.sizes(x[0], 2, 4)
    if p.pool == POOL.AVE:
        return [averages(g, x[0].name, size, windows)]
    return maxima(g, x[0].name, size, windows, count)


def maxima(g: Graph, x: str, size: Ints, windows: Windows, tops: int = 1) -> list[str]:
    """MAX pooling, with the positions in the plane as a second top if wanted."""
    kernel, stride, pad, floor = windows
    pads = [*pad, *pad]
    # Where a window that rounding up adds may begin behind the plane, libraries differ on whether it
    # counts. The positions of maxima would be those of a padded plane.
    may_begin_behind = any(s > 1 and s + p > k for k, s, p in zip(kernel, stride, pad))
    if may_begin_behind and not floor and tops == 1:
        x, floor, pads = padded(g, x, size, windows, LOWEST), True, [0] * 4
    attributes: dict[str, Any] = windows.attributes() | dict(pads=pads, ceil_mode=int(not floor))
    if tops == 1:
        return [g.op("MaxPool", x, **attributes)]
    y, index = g.ops("MaxPool", 2, x, **attributes)  # which counts through all planes
    cells = g.op("ReduceProd", size, keepdims=1)
    return [y, g.op("Cast", g.op("Mod", index, cells), to=1)]


def averages(g: Graph, x: str, size: Ints, windows: Windows) -> str:
    """AVE pooling."""
    pad = [*windows.pad, *windows.pad]
    known = size.name is None
    beyond = _beyond(size, windows)
    if windows.floor or all(s == 1 for s in windows.stride) or known and not any(beyond.known):
        return g.op("AveragePool", x, **windows.attributes(), pads=pad, count_include_pad=1)
    total = g.op("AveragePool", padded(g, x, size, windows, 0.0), **windows.attributes())
    # Cells beyond the padded plane do not count: divide by the average of a plane of ones
    plane = g.joined([1, 1], size + [2 * p for p in windows.pad])
    ones = g.op("Expand", 1.0, plane)
    far = g.op("Pad", ones, g.joined([0] * 6, beyond), 0.0)
    return g.op("Div", total, g.op("AveragePool", far, **windows.attributes()))


def _beyond(size: Ints, windows: Windows) -> Ints:
    """How many cells the last windows reach beyond the padded plane (PoolWindows has the rule)."""
    kernel, stride, pad, floor = windows
    room = size + [2 * p - k + (0 if floor else s - 1) for p, k, s in zip(pad, kernel, stride)]
    count = room.over(stride) + 1
    if any(pad):  # the last window must start inside
        count = count.at_most((size + [p + s - 1 for p, s in zip(pad, stride)]).over(stride))
    reach = (count - 1) * stride + kernel
    return (reach - size - [2 * p for p in pad]).at_least(0)


def padded(g: Graph, x: str, size: Ints, windows: Windows, fill: float) -> str:
    """A map with room for every window around it."""
    near = [0, 0, *windows.pad]
    far = g.joined([0, 0], _beyond(size, windows) + list(windows.pad))
    return g.op("Pad", x, g.joined(near, far), fill)


def spatial_pyramid(g: Graph, layer: Any, x: Bottoms) -> str:
    """poolings and `Concat`; height and width are fixed"""
    x[0].require_known((2, 3))
    parts = []
    for level in layer.levels:
        windows = Windows(level.kernel, level.stride, level.pad)
        size = g.sizes(x[0], 2, 4)
        if layer.param.pool == layer.param.MAX:
            parts += maxima(g, x[0].name, size, windows)
        else:
            parts.append(averages(g, x[0].name, size, windows))
    if len(parts) == 1:
        channels = x[0].shape[1] * layer.cells[0]
        return g.op("Reshape", parts[0], [0, channels, 1, 1])
    return g.op("Concat", *(g.op("Flatten", part, axis=1) for part in parts), axis=1)


# ---- local response normalization


def lrn(g: Graph, layer: Any, x: Bottoms) -> str:
    """`LRN`; within a channel `AveragePool`, `Mul`, `Add`, `Pow`"""
    p = layer.param
    if layer.across:
        return g.op("LRN", x[0], size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)
    side, pads = [p.local_size] * 2, [layer.radius] * 4
    squares = g.op("Mul", x[0], x[0])
    mean = g.op("AveragePool", squares, kernel_shape=side, pads=pads, count_include_pad=1)
    return g.op("Mul", x[0], g.op("Pow", scaled(g, mean, layer.alpha, layer.k), -p.beta))
