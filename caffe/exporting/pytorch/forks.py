"""PyTorch of the layers that forks of Caffe added; a row for each class, where a name has several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..onnx.forks import prior_boxes
from . import fork_parts as parts
from .code import Code, Value, number
from .parts import batch_normalized
from .windows import convolution, numbers

Bottoms = Sequence[Value]


def dropout(c: Code, layer: Any, x: Bottoms) -> str:
    """a class of two lines"""
    if layer.drops:
        raise layer.error("drops at random in phase TEST, too: no two runs are alike to compare")
    if layer.param.scale_train:
        return f"{c.module(layer, f'nn.Dropout({number(layer.ratio)})')}({x[0]})"
    made = f"{c.part(parts.UnscaledDropout)}({number(layer.ratio)})"
    return f"{c.module(layer, made)}({x[0]})"


def lone_eltwise(c: Code, layer: Any, x: Bottoms) -> str:
    """`*`"""
    return f"{number(layer.coeff[0])} * {x[0]}"


def relu6(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.hardtanh`"""
    return f"F.hardtanh({x[0]}, 0.0, {number(layer.param.threshold)})"


def hard_sigmoid(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.hardtanh`"""
    alpha, beta = number(layer.param.alpha), number(layer.param.beta)
    return f"F.hardtanh({alpha} * {x[0]} + {beta}, 0.0, 1.0)"


def hard_swish(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.hardswish`"""
    return f"F.hardswish({x[0]})"


def axpy(c: Code, layer: Any, x: Bottoms) -> str:
    """`*`, `+`"""
    ones = ", None" * (x[1].rank - x[0].rank)
    factor = f"{x[0]}[...{ones}]" if ones else str(x[0])
    return f"{factor} * {x[1]} + {x[2]}"


def product(c: Code, layer: Any, x: Bottoms) -> str:
    """`*`"""
    return f"{x[0]} * {x[1]}"


def channel_norm(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.linalg.vector_norm`"""
    return f"torch.linalg.vector_norm({x[0]}, dim=1, keepdim=True)"


# ---- normalization


def batch_norm(c: Code, layer: Any, x: Bottoms) -> str:
    """`nn.BatchNorm2d`; SegNet's, and frozen ones, classes of their own"""
    if len(layer.layer_param.top) > 1:
        raise layer.error("has statistics as further tops, which are not exported")
    channels, eps = layer.channels, number(layer.eps)
    if not layer.keeps_running or layer.uses_batch():
        own = f"{layer.uses_batch()}"
        name = c.part(batch_normalized, parts.BatchScale)
        return f"{_flat(c, layer, f'{name}({channels}, {eps}, {own})')}({x[0]})"
    mean, variance = (blob.data.ravel() for blob in layer.blobs[2:])
    running: dict[str, Any] = {"running_mean": mean, "running_var": variance}
    if getattr(layer.param, "frozen", False):
        made = f"{c.part(parts.FrozenBN)}({channels}, {eps})"
    else:
        made = f"nn.BatchNorm{max(1, min(3, x[0].rank - 2))}d({channels}, eps={eps}, "
        made += f"momentum={number(1 - layer.keep)})"
        running["num_batches_tracked"] = 0
    return f"{_flat(c, layer, made, **running)}({x[0]})"


def _flat(c: Code, layer: Any, made: str, **buffers: Any) -> str:
    """A module whose weight and bias are vectors, where the layer's have four axes."""
    module = c.module(layer, made, "weight", "bias", **buffers)
    for name in ("weight", "bias"):
        key = f"{module.removeprefix('self.')}.{name}"
        c.state[key] = c.state[key].reshape(-1)
    return module


def ssd_normalize(c: Code, layer: Any, x: Bottoms) -> str:
    """a class of three lines"""
    axes = list(range(1, x[0].rank)) if layer.param.across_spatial else [1]
    factor = layer.blobs[0]
    made = f"{c.part(parts.Normalize)}({factor.count}, {axes}, {number(layer.param.eps)})"
    module = c.module(layer, made, "weight")
    key = f"{module.removeprefix('self.')}.weight"
    c.state[key] = c.state[key].reshape(-1)
    return f"{module}({x[0]})"


def item_normalize(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.linalg.vector_norm`"""
    ones = ", None" * (4 - x[0].rank)
    value = f"{x[0]}[...{ones}]" if ones else str(x[0])
    return f"{value} / torch.linalg.vector_norm({value}, dim=(1, 2, 3), keepdim=True)"


# ---- other sizes


def interp(c: Code, layer: Any, x: Bottoms) -> str:
    """a function over `F.interpolate`"""
    p = layer.param
    shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
    stated = p.HasField("height") and p.HasField("width")
    cut = f", cut=({-p.pad_beg}, {-p.pad_end})" if p.pad_beg or p.pad_end else ""
    kind = ", nearest=True" if p.interp_type == "nearest_neighbor" else ""
    if shrinks != zooms or shrinks and not stated:
        more = f", shrink={p.shrink_factor}" * shrinks + f", zoom={p.zoom_factor}" * zooms
    elif stated:
        more = f", size=[{p.height}, {p.width}]"
    else:
        more = f", size={x[1]}.shape[2:]"
    return f"{c.part(parts.interp)}({x[0]}{more}{cut}{kind})"


def padding(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.pad`"""
    return f"F.pad({x[0]}, {tuple(layer.sides)})"


def repeat_upsample(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.interpolate`"""
    return f"F.interpolate({x[0]}, scale_factor={layer.param.scale})"


def mask_upsample(c: Code, layer: Any, x: Bottoms) -> str:
    """a function of three lines"""
    p, name = layer.param, c.part(parts.upsample)
    if p.HasField("upsample_h"):
        return f"{name}({x[0]}, {x[1]}, [{p.upsample_h}, {p.upsample_w}])"
    odd = p.pad_out_h, p.pad_out_w
    size = ", ".join(
        f"{s} * {x[0]}.shape[{axis}]" + (" - 1" if less else "")
        for axis, s, less in zip((2, 3), layer.scales, odd)
    )
    return f"{name}({x[0]}, {x[1]}, [{size}])"


# ---- values elsewhere


def permute(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.permute`"""
    return f"torch.permute({x[0]}, ({numbers(layer.order)}))"


def shuffle_channel(c: Code, layer: Any, x: Bottoms) -> str:
    """a function of one line"""
    return f"{c.part(parts.shuffle)}({x[0]}, {layer.param.group})"


def reorg(c: Code, layer: Any, x: Bottoms) -> str:
    """a function of five lines"""
    way = parts.unreorg if layer.param.reverse else parts.reorg
    return f"{c.part(way)}({x[0]}, {layer.param.stride})"


def prior_box(c: Code, layer: Any, x: Bottoms) -> str:
    """a buffer; height and width are fixed"""
    boxes = prior_boxes(layer, x)
    made = f"{c.part(parts.Fixed)}({numbers(boxes.shape)})"
    return f"{c.module(layer, made, values=boxes)}()"


def roi_pooling(c: Code, layer: Any, x: Bottoms) -> str:
    """a function with the regions as a loop"""
    scale = number(layer.param.spatial_scale)
    pool = c.part(parts.round_away, parts.cell, parts.roi_pool)
    return f"{pool}({x[0]}, {x[1]}, {list(layer.size)}, {scale})"


FORKS: dict[str, Callable[[Code, Any, Bottoms], str]] = {
    "Axpy": axpy,
    "ChannelNorm": channel_norm,
    "ConvolutionDepthwise": convolution,
    "DepthwiseConvolution": convolution,
    "ForkDropout": dropout,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
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
