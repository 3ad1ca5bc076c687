"""PyTorch of layers that move a window over a plane: convolutions, pooling, LRN.

PyTorch's pooling has Caffe's windows, but where it would not pad so far, or drops a window that lies
beyond the plane; there a function of `parts` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...proto import caffe_pb2
from . import parts
from .code import Code, Value, number

POOL = caffe_pb2.PoolingParameter


def numbers(values: Sequence[int]) -> str:
    """Numbers, separated by commas."""
    return ", ".join(map(str, values))


def one_or_all(values: Sequence[int]) -> str:
    """A setting along each axis: one number if it is the same along all."""
    return str(values[0]) if len({*values}) == 1 else f"({numbers(values)})"


def convolution(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`nn.Conv2d`"""
    far = layer.missing(x[0].shape[layer.channel_axis + 1 :])
    if any(far):
        x[0].require_known(range(layer.channel_axis + 1, x[0].rank))
    padded = [f"F.pad({v}, {tuple(far)})" if any(far) else str(v) for v in x]
    return _convolved(c, layer, x, padded, "Conv")


def deconvolution(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`nn.ConvTranspose2d`"""
    return _convolved(c, layer, x, [str(v) for v in x], "ConvTranspose")


def _convolved(c: Code, layer: Any, x: Sequence[Value], texts: Sequence[str], kind: str) -> str:
    p, plane = layer.param, layer.num_spatial
    settings = [str(layer.channels), str(p.num_output), one_or_all(layer.kernel or [1])]
    for name, values, default in (
        ("stride", layer.stride, 1),
        ("padding", layer.pad, 0),
        ("dilation", layer.dilation, 1),
    ):
        if any(value != default for value in values):
            settings.append(f"{name}={one_or_all(values)}")
    settings += [f"groups={p.group}"] * (p.group > 1) + ["bias=False"] * (not p.bias_term)
    names = ["weight", "bias"][: 1 + p.bias_term]
    module = c.module(layer, f"nn.{kind}{plane or 1}d({', '.join(settings)})", *names)
    if not plane:
        key = f"{module.removeprefix('self.')}.weight"
        c.state[key] = c.state[key][..., None]
        texts = [f"{text}[..., None]" for text in texts]
    if layer.channel_axis == 1:
        results = [f"{module}({text})" for text in texts]
    else:
        apply = c.part(parts.at_axis)
        results = [f"{apply}({module}, {text}, {layer.channel_axis})" for text in texts]
    return ", ".join(f"{result}[..., 0]" if not plane else result for result in results)


def im2col(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """a function: a convolution with weights of 0 and 1"""
    spatial = x[0].shape[layer.channel_axis + 1 :]
    far = [
        max(0, (n - 1) * stride + extent - size - 2 * pad)
        for n, stride, extent, size, pad in zip(
            layer.windows(spatial), layer.stride, layer.extent, spatial, layer.pad
        )
    ]
    if any(far):
        x[0].require_known(range(layer.channel_axis + 1, x[0].rank))
    settings = f"{layer.kernel}, {layer.stride}, {layer.pad}, {layer.dilation}, {far}"
    name = c.part(parts.im2col)
    if layer.channel_axis == 1:
        return f"{name}({x[0]}, {settings})"
    apply = c.part(parts.at_axis)
    return f"{apply}(lambda x: {name}(x, {settings}), {x[0]}, {layer.channel_axis})"


def pooling(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`F.max_pool2d`, `F.avg_pool2d`; a function where the windows differ"""
    p, mask = layer.param, len(layer.layer_param.top) > 1
    if p.pool == POOL.STOCHASTIC:
        raise layer.error(
            "STOCHASTIC pooling is not exported: on a CPU there is none to hold it to"
        )
    if p.global_pooling and not mask:
        if p.pool == POOL.MAX:  # not amax, which shares the gradient among equal maxima
            return f"F.max_pool2d({x[0]}, {x[0]}.shape[2:])"
        return f"torch.mean({x[0]}, (2, 3), keepdim=True)"
    ceil = p.round_mode != POOL.FLOOR
    kernel, stride, pad = (list(each or []) for each in (layer.kernel, layer.stride, layer.pad))
    if mask:
        size = f"{x[0]}.shape[2:]" if p.global_pooling else str(kernel)
        more = "" if ceil else ", ceil=False"
        return f"{c.part(parts.max_pool_and_mask)}({x[0]}, {size}, {stride}, {pad}{more})"
    native = all(2 * a <= k for a, k in zip(pad, kernel))
    native = native and (any(pad) or all(s <= k for s, k in zip(stride, kernel)))
    if native:
        name = "F.max_pool2d" if p.pool == POOL.MAX else "F.avg_pool2d"
        settings = [str(x[0]), one_or_all(kernel), one_or_all(stride)]
        settings += [one_or_all(pad)] * any(pad) + ["ceil_mode=True"] * ceil
        return f"{name}({', '.join(settings)})"
    part = parts.max_pool if p.pool == POOL.MAX else parts.ave_pool
    name = c.part(parts.beyond, parts.room, part)
    return f"{name}({x[0]}, {kernel}, {stride}, {pad}{'' if ceil else ', ceil=False'})"


def spatial_pyramid(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """a function: poolings and `torch.cat`"""
    part = parts.max_pool if layer.param.pool == layer.param.MAX else parts.ave_pool
    pool = c.part(parts.beyond, parts.room, part)
    return f"{c.part(parts.spatial_pyramid)}({x[0]}, {layer.param.pyramid_height}, {pool})"


def lrn(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """`F.local_response_norm`; within a channel a function of two lines"""
    p = layer.param
    size, alpha, beta = p.local_size, number(p.alpha), number(p.beta)
    if layer.across:
        return f"F.local_response_norm({x[0]}, {size}, {alpha}, {beta}, {number(p.k)})"
    return f"{c.part(parts.lrn_within)}({x[0]}, {size}, {alpha}, {beta})"


WINDOWS: dict[str, Callable[[Code, Any, Sequence[Value]], str]] = {
    "Convolution": convolution,
    "Deconvolution": deconvolution,
    "Im2col": im2col,
    "LRN": lrn,
    "Pooling": pooling,
    "SPP": spatial_pyramid,
}
