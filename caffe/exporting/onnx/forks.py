"""ONNX of the layers that forks of Caffe added; a row for each class, where a name has several."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import windows
from .cells import Bottoms, Writer, as_index, normalized, one_op, scaled
from .graph import Graph, Ints


def dropout(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Mul` where training did not scale"""
    if layer.drops:
        raise layer.error("drops at random in phase TEST, too: no two runs are alike to compare")
    return scaled(g, x[0], layer.factor)


def lone_eltwise(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Mul`"""
    return scaled(g, x[0], layer.coeff[0])


def relu6(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Clip`"""
    return g.op("Clip", x[0], 0.0, float(layer.param.threshold))


def hard_sigmoid(g: Graph, layer: Any, x: Bottoms) -> str:
    """`HardSigmoid`"""
    return g.op("HardSigmoid", x[0], alpha=layer.param.alpha, beta=layer.param.beta)


def axpy(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Mul`, `Add`"""
    factor: Any = x[0]
    if x[0].rank < x[1].rank:
        factor = g.op("Unsqueeze", x[0], np.arange(x[0].rank, x[1].rank))
    return g.op("Add", g.op("Mul", factor, x[1]), x[2])


def product(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Mul`"""
    return g.op("Mul", x[0], x[1])


def channel_norm(g: Graph, layer: Any, x: Bottoms) -> str:
    """`ReduceL2`"""
    return g.op("ReduceL2", x[0], [1])


# ---- normalization


def batch_norm(g: Graph, layer: Any, x: Bottoms) -> str:
    """`BatchNormalization`; with the batch's own statistics, these written out"""
    if len(layer.layer_param.top) > 1:
        raise layer.error("has statistics as further tops, which are not exported")
    scale, shift = (g.weight(b, p, b.data.ravel()) for b, p in zip(layer.blobs, ("scale", "shift")))
    if layer.keeps_running and not layer.uses_batch():
        mean, variance = (
            g.weight(b, p, b.data.ravel()) for b, p in zip(layer.blobs[2:], ("mean", "variance"))
        )
        return g.op("BatchNormalization", x[0], scale, shift, mean, variance, epsilon=layer.eps)
    spread = [-1] + [1] * (x[0].rank - 2)
    y = x[0].name
    if layer.uses_batch():
        axes = [axis for axis in range(x[0].rank) if axis != 1]
        y = normalized(g, y, axes, lambda v: g.op("Sqrt", g.op("Add", v, layer.eps)))
    scale, shift = (g.op("Reshape", each, spread) for each in (scale, shift))
    return g.op("Add", g.op("Mul", y, scale), shift)


def ssd_normalize(g: Graph, layer: Any, x: Bottoms) -> str:
    """`ReduceSumSquare`, `Sqrt`, `Div`, `Mul`"""
    axes = list(range(1, x[0].rank)) if layer.param.across_spatial else [1]
    squares = g.op("Add", g.op("ReduceSumSquare", x[0], axes), layer.param.eps)
    factor = layer.blobs[0]
    shape = [factor.count] + [1] * (x[0].rank - 2)
    y = g.op("Div", x[0], g.op("Sqrt", squares))
    return g.op("Mul", y, g.weight(factor, "weight", factor.data.reshape(shape)))


def item_normalize(g: Graph, layer: Any, x: Bottoms) -> str:
    """`ReduceL2`, `Div`"""
    y = x[0].name
    if x[0].rank < 4:
        y = g.op("Reshape", y, g.joined(g.sizes(x[0]), [1] * (4 - x[0].rank)))
    return g.op("Div", y, g.op("ReduceL2", y, [1, 2, 3]))


# ---- other sizes


def interp(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Resize`, behind `Slice` where it cuts"""
    p, y = layer.param, x[0].name
    inner = g.sizes(x[0], 2, 4)
    if p.pad_beg or p.pad_end:
        y = g.op("Slice", y, [-p.pad_beg] * 2, inner + p.pad_end, [2, 3])
        inner = inner + (p.pad_beg + p.pad_end)
    nearest = p.interp_type == "nearest_neighbor"
    how = (
        {"mode": "nearest", "nearest_mode": "round_prefer_ceil"} if nearest else {"mode": "linear"}
    )
    sizes = g.joined(g.sizes(x[0], 0, 2), _interp_size(g, layer, inner, x))
    return g.op(
        "Resize", y, None, None, sizes, coordinate_transformation_mode="align_corners", **how
    )


def _interp_size(g: Graph, layer: Any, inner: Ints, x: Bottoms) -> Any:
    """The top's height and width, by the layer's rules."""
    p = layer.param
    shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
    if shrinks != zooms or shrinks and not (p.HasField("height") and p.HasField("width")):
        if shrinks:
            inner = (inner - 1).over(p.shrink_factor) + 1
        return inner + (inner - 1) * (p.zoom_factor - 1) if zooms else inner
    if p.HasField("height") and p.HasField("width"):
        return [p.height, p.width]
    return g.sizes(x[1], 2, 4)


def padding(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Pad`"""
    beg, end = layer.param.pad_beg, layer.param.pad_end
    return g.op("Pad", x[0], [0, 0, beg, beg, 0, 0, end, end], 0.0)


def repeat_upsample(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Resize`"""
    scales = np.array([1, 1, layer.param.scale, layer.param.scale], np.float32)
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return g.op("Resize", x[0], None, scales, mode="nearest", **how)


def mask_upsample(g: Graph, layer: Any, x: Bottoms) -> str:
    """`ScatterElements`"""
    p = layer.param
    if p.HasField("upsample_h"):
        size: Any = [p.upsample_h, p.upsample_w]
    else:
        size = g.sizes(x[0], 2, 4) * list(layer.scales) - [p.pad_out_h, p.pad_out_w]
    whole = g.joined(g.sizes(x[0], 0, 2), size)
    flat = g.op("Reshape", g.op("Expand", 0.0, whole), [0, 0, -1])
    places, values = (g.op("Reshape", value, [0, 0, -1]) for value in (x[1], x[0]))
    return g.op(
        "Reshape", g.op("ScatterElements", flat, as_index(g, places), values, axis=2), whole
    )


# ---- values elsewhere


def permute(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Transpose`"""
    return g.op("Transpose", x[0], perm=list(layer.order))


def shuffle_channel(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Reshape`, `Transpose`"""
    group, channels = layer.param.group, x[0].shape[1]
    parts = g.op("Reshape", x[0], [0, group, channels // group, -1])
    turned = g.op("Transpose", parts, perm=[0, 2, 1, 3])
    return g.op("Reshape", turned, g.joined(g.sizes(x[0], 0, 1), [channels], g.sizes(x[0], 2)))


def reorg(g: Graph, layer: Any, x: Bottoms) -> str:
    """`Reshape`, `Transpose`"""
    stride, channels = layer.param.stride, x[0].shape[1]
    (num, rows), columns = (g.sizes(x[0], i, i + 1) for i in (0, 2)), g.sizes(x[0], 3, 4)
    few = channels // stride**2
    if layer.param.reverse:
        parts = g.op("Reshape", x[0], g.joined(num, [stride, stride, few], rows, columns))
        turned = g.op("Transpose", parts, perm=[0, 3, 4, 1, 5, 2])
        return g.op("Reshape", turned, g.joined(num, [few], rows * stride, columns * stride))
    parts = g.op("Reshape", x[0], g.joined(num, [few], rows, [stride], columns, [stride]))
    turned = g.op("Transpose", parts, perm=[0, 3, 5, 1, 2, 4])
    size = rows.over(stride), columns.over(stride)
    return g.op("Reshape", turned, g.joined(num, [channels * stride**2], *size))


def prior_box(g: Graph, layer: Any, x: Bottoms) -> str:
    """a constant; height and width are fixed"""
    return g.constant(prior_boxes(layer, x))


def prior_boxes(layer: Any, x: Any) -> np.ndarray:
    """The boxes of a PriorBox, which the shapes of its bottoms decide."""
    from ...blob import Blob

    for value in x:
        value.require_known((2, 3))
    bottom, top = [Blob(value.shape) for value in x], [Blob()]
    layer.reshape(bottom, top)
    layer.forward(bottom, top)
    return top[0].data.copy()


def roi_pooling(g: Graph, layer: Any, x: Bottoms) -> str:
    """`MaxRoiPool`"""
    scale = layer.param.spatial_scale
    regions = x[1].name if x[1].rank == 2 else g.op("Reshape", x[1], [-1, 5])
    return g.op("MaxRoiPool", x[0], regions, pooled_shape=list(layer.size), spatial_scale=scale)


FORKS: dict[str, Writer] = {
    "Axpy": axpy,
    "ChannelNorm": channel_norm,
    "ConvolutionDepthwise": windows.convolution,
    "DepthwiseConvolution": windows.convolution,
    "ForkDropout": dropout,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": one_op("HardSwish"),
    "Interp": interp,
    "ItemNormalize": item_normalize,
    "LoneEltwise": lone_eltwise,
    "MaskPooling": product,
    "MaskUpsample": mask_upsample,
    "PSPNetBN": batch_norm,
    "Padding": padding,
    "Permute": permute,
    "PriorBox": prior_box,
    "ROIPooling": roi_pooling,
    "ReLU6": relu6,
    "Reorg": reorg,
    "RepeatUpsample": repeat_upsample,
    "SSDNormalize": ssd_normalize,
    "SegNetBN": batch_norm,
    "ShuffleChannel": shuffle_channel,
    "WindowsBN": batch_norm,
}
