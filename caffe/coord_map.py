"""How coordinates of one blob relate to those of another, and the Crop that aligns the two.

A map is (axis, scale, shift): position i of the first blob lies at scale * i + shift of the second,
on every axis after `axis`, the channel axis (None: nothing on the way states one). Scale and shift
hold one value, or one for each of those axes. Works on net_spec's Tops, as pycaffe's coord_map.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict

from caffe.net_spec import layers as L

from .net_spec import Function, Top
from .proto import caffe_pb2

PASS_THROUGH_LAYERS = [
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Clip", "Dropout", "Eltwise", "ELU", "Exp", "Log", "LRN",
    "MVN", "Power", "PReLU", "ReLU", "Scale", "Sigmoid", "Split", "Swish", "TanH", "Threshold",
]  # fmt: skip
_LEGACY = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}


class UndefinedMapException(Exception):
    """The layer has no coordinate map (it mixes positions)."""


class AxisMismatchException(Exception):
    """Two maps on different axes."""


def conv_params(fn: Any) -> tuple[int, Any, Any, Any]:
    """(axis, stride, extent of the dilated kernel, pad), the last three as arrays.

    KeyError without kernel_size, AssertionError for settings by height and width.
    """
    params = fn.params.get("convolution_param", fn.params)
    params = params.get("pooling_param", params)
    if "kernel_size" not in params:
        raise KeyError(f"kernel_size ({fn.type_name}: the only way to state the kernel to crop)")
    legacy = _LEGACY & (set(params) | set(fn.params))
    if legacy:
        raise AssertionError(f"cropping does not support {', '.join(sorted(legacy))}: use lists")
    kernel = np.array(params["kernel_size"], ndmin=1)
    dilation = np.array(params.get("dilation", 1), ndmin=1)
    stride = np.array(params.get("stride", 1), ndmin=1)
    pad = np.array(params.get("pad", 0), ndmin=1)
    return params.get("axis", 1), stride, (kernel - 1) * dilation + 1, pad


def crop_params(fn: Any) -> tuple[int, Any]:
    """(axis, offsets) of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Any) -> tuple[Any, Any, Any]:
    """The map from a layer's bottoms to its tops; UndefinedMapException where it has none."""
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, kernel, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (kernel - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, kernel, pad = conv_params(fn)
        return axis, stride, (kernel - 1) / 2 - pad
    if fn.type_name in PASS_THROUGH_LAYERS:
        return None, 1, 0
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # maps count from the channel axis, Crop from the first cropped
    raise UndefinedMapException(f"no coordinate map through {fn.type_name}")


def compose(base_map: tuple[Any, Any, Any], next_map: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """base_map after next_map. AxisMismatchException where both state different axes."""
    base_axis, base_scale, base_shift = base_map
    next_axis, next_scale, next_shift = next_map
    if None not in (base_axis, next_axis) and base_axis != next_axis:
        raise AxisMismatchException(f"a map on axis {base_axis} meets one on axis {next_axis}")
    axis = next_axis if base_axis is None else base_axis
    return axis, base_scale * next_scale, base_scale * next_shift + base_shift


def inverse(coord_map: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
    """The map the other way round."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def _walk(top):
    """(ancestor, map to it) for `top` and all it is computed from by spatial layers, nearest first.

    A Crop's second bottom gives a size and no values, so it is left out.
    """
    maps, queue = {top: (None, 1, 0)}, deque([top])
    while queue:
        top = queue.popleft()
        yield top, maps[top]
        bottoms = top.fn.inputs[:1] if top.fn.type_name == "Crop" else top.fn.inputs
        for bottom in bottoms:
            if bottom in maps:
                continue
            try:
                maps[bottom] = compose(maps[top], coord_map(top.fn))
            except UndefinedMapException:
                break
            queue.append(bottom)


def coord_map_from_to(top_from: Top, top_to: Top) -> tuple[Any, Any, Any]:
    """The map between two tops, through the nearest blob both are computed from.

    RuntimeError where they have none in common by layers with a map.
    """
    from_maps = dict(_walk(top_from))
    for top, to_map in _walk(top_to):
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise RuntimeError(
        "Could not compute map between tops; are they connected by spatial layers? "
        f"(from a {top_from.fn.type_name} to a {top_to.fn.type_name} layer)"
    )


def axis_and_offset(top_from: Top, top_to: Top) -> tuple[int, list[int]]:
    """crop_param's axis and offset that put `top_from` exactly on `top_to`.

    AssertionError, as pycaffe, where the scales differ or the offset is negative or fractional.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    scale, shift = np.atleast_1d(scale), np.atleast_1d(shift)
    _check(scale == 1, f"scale mismatch on crop (a = {scale})")
    _check(shift <= 0, f"cannot crop negative offset (b = {shift})")
    _check(np.round(shift) == shift, f"cannot crop noninteger offset (b = {shift})")
    first = 2 if axis is None else axis + 1  # no axis stated on the way: Crop's default
    return first, [int(-value) for value in np.round(shift)]


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts `top_from` to lie exactly on `top_to`; errors as `axis_and_offset`."""
    axis, offset = axis_and_offset(top_from, top_to)
    return L.Crop(top_from, top_to, crop_param=dict(axis=axis, offset=offset))


def _check(holds, message):
    if not holds.all():
        raise AssertionError(message)


def functions_of(
    net: caffe_pb2.NetParameter,
) -> Iterator[tuple[caffe_pb2.LayerParameter, Function]]:
    """Each layer of a net, and the same as a Function, whose inputs are Tops and whose params are
    the messages that maps depend on."""
    tops: dict[str, Top] = {}
    for layer in net.layer:
        stated = {field.name: value for field, value in layer.ListFields()}
        params: dict[str, Any] = {
            name: MessageToDict(stated[name], preserving_proto_field_name=True)
            for name in ("convolution_param", "pooling_param", "crop_param")
            if name in stated
        }
        # a bottom that no layer computes is refused when the net is built
        inputs = [tops.get(name) or Function("", (), {}).tops[0] for name in layer.bottom]
        fn = Function(layer.type, inputs, params | {"ntop": len(layer.top)})
        tops.update(zip(layer.top, fn.tops))
        yield layer, fn
