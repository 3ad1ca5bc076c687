"""Explains why a net pads and crops as it does: `fcn explain voc-fcn8s`, or a prototxt's path.

For each layer: how many pixels of the picture its outputs are apart, and where the first one lies.
For each Crop: the offset that follows, and the one in the file. Then the sizes of pictures that fit,
and what would fit if the first convolution had only the padding that its kernel needs.
"""

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToDict

from caffe import layers as L
from caffe.coord_map import conv_params, coord_map_from_to, crop_params
from fcn import models, prototxts

SIZED = ("Convolution", "Pooling", "Deconvolution")  # layers with kernel, stride and pad
NOT_SETTINGS = ("name", "type", "top", "bottom", "param", "loss_weight", "phase")

Top: TypeAlias = Any  # net_spec's Top
Layers: TypeAlias = list[tuple[Any, Top]]  # each layer of a NetParameter with its first top


def layers_and_tops(net: prototxts.NetParameter) -> Layers:
    """The layers of a net, each with its first top as net_spec has it, which coord_map needs."""
    result: Layers = []
    blobs: dict[str, Top] = {}
    for layer in (layer for layer in net.layer if layer.top):
        settings = MessageToDict(layer, preserving_proto_field_name=True)
        settings = {key: value for key, value in settings.items() if key not in NOT_SETTINGS}
        bottoms = [blobs[name] for name in layer.bottom]
        tops = getattr(L, layer.type)(*bottoms, ntop=len(layer.top), **settings)
        tops = [tops] if len(layer.top) == 1 else list(tops)
        blobs.update(zip(layer.top, tops))
        result.append((layer, tops[0]))
    return result


# ---- sizes


def blob_lengths(layers: Layers, size: int) -> dict[str, int]:
    """Each blob's length along one axis for pictures of `size`; ValueError if they do not fit."""
    found: dict[str, int] = {}
    for layer, top in layers:
        below = [found[name] for name in layer.bottom]
        out = below[0] if below else size
        if layer.type in SIZED:
            out = output_length(top.fn, out)
        elif layer.type == "Crop":
            short = crop_params(top.fn)[1].max() + below[1] - below[0]
            if short > 0:
                raise ValueError(f"{layer.name}: {layer.bottom[0]} is {short} too short")
            out = below[1]
        elif layer.type in ("Eltwise", "Concat") and len(set(below)) > 1:
            raise ValueError(f"{layer.name}: the bottoms' lengths {below} differ")
        if out < 1:
            raise ValueError(f"{layer.name}: its kernel does not fit into a bottom of {below[0]}")
        found.update(dict.fromkeys(layer.top, out))
    return found


def output_length(fn: Any, size: int) -> int:
    """A layer's output length: convolutions round down, pooling rounds up."""
    _, strides, kernels, pads = conv_params(fn)
    stride, kernel, pad = int(strides[0]), int(kernels[0]), int(pads[0])
    if fn.type_name == "Deconvolution":
        return stride * (size - 1) + kernel - 2 * pad
    if fn.type_name == "Convolution":
        return (size + 2 * pad - kernel) // stride + 1
    out = -((size + 2 * pad - kernel) // -stride) + 1
    return out - (pad > 0 and (out - 1) * stride >= size + pad)  # no window begins in the padding


def next_size_that_fits(layers: Layers, size: int) -> int:
    """The least size from `size` on that fits; `size` itself if none does, so that the net fails."""
    for larger in range(size, size + 1000):
        try:
            blob_lengths(layers, larger)
            return larger
        except ValueError:
            pass
    return size


def smallest_size(layers: Layers, period: int) -> tuple[int | None, str | None]:
    """The size from which on all pictures fit (None if there is none), and why the next lower fails.

    With every `period` pixels all lengths grow by whole steps, so a whole period that fits proves
    the rest.
    """
    why, row = None, 0
    for size in range(1, 20 * period):
        try:
            blob_lengths(layers, size)
            row += 1
        except ValueError as error:
            why, row = f"{size}: {error}", 0
        if row == period:
            return size - period + 1, why
    return None, why


# ---- positions


def position_map(top: Top, other: Top) -> tuple[float, float] | None:
    """(scale, shift): position i of `top` lies at scale * i + shift of `other`.

    None if the two are not connected, or only by layers that mix positions.
    """
    try:
        _, *both = coord_map_from_to(top, other)
    except RuntimeError:
        return None
    scale, shift = (float(max(v) if hasattr(v, "__len__") else v) for v in both)
    return scale, shift


def layer_positions(layers: Layers) -> list[tuple[str, str, float, float]]:
    """(name, type, pixels apart, where the first output lies in its picture) of each layer."""
    # A layer that has no map to its bottom (Input, Concat) begins a new picture.
    pictures = [
        top for _, top in layers if not top.fn.inputs or position_map(top, top.fn.inputs[0]) is None
    ]
    rows = []
    for layer, top in layers:
        if layer.type in (*SIZED, "Crop"):
            places = [place for picture in pictures if (place := position_map(top, picture))]
            rows += [(layer.name, layer.type, *place) for place in places[:1]]
    return rows


# ---- the text


def explain(net: prototxts.NetParameter) -> Iterator[str]:
    """The explanation of a deploy net, line by line."""
    layers = layers_and_tops(net)
    rows = layer_positions(layers)
    yield f"{'layer':20} {'type':14} {'apart':>6} {'first at':>9}   (pixels of the picture)"
    for name, kind, scale, shift in rows:
        yield f"{name:20} {kind:14} {scale:6g} {shift:9g}"
    yield ""
    for layer, top in layers:
        if layer.type == "Crop":
            yield from explain_crop(layer, top)
    period = int(max([scale for _, _, scale, _ in rows] + [1]))
    size, why = smallest_size(layers, period)
    if size is None:
        yield f"PROBLEM: not all pictures fit, however large ({why})"
    else:
        yield f"pictures fit from {size} pixels on" + (f" ({why})" if why else "")
        yield f"  tried for {period} sizes in a row: all lengths grow evenly with that many pixels"
    yield from explain_pad(net, period)


def explain_crop(layer: Any, top: Top) -> Iterator[str]:
    """Where a Crop's offset comes from."""
    place = position_map(*top.fn.inputs)
    if place is None:
        yield f"{layer.name}: its bottoms have no picture in common"
        return
    scale, shift = place
    stated = int(crop_params(top.fn)[1].max())
    yield f"{layer.name}: [i] of {layer.bottom[0]} lies at {scale:g} i {shift:+g} of {layer.bottom[1]}"
    if scale != 1:
        yield "  PROBLEM: their scales differ, so no crop aligns them"
    elif stated != -shift:
        yield f"  PROBLEM: so the offset should be {-shift:g}; the file says {stated}"
    else:
        yield f"  so [{stated}] lies on [0]: offset {stated}, as in the file"


def explain_pad(net: prototxts.NetParameter, period: int) -> Iterator[str]:
    """What would fit, and where the scores would lie, without the first convolution's large pad."""
    other = copy.deepcopy(net)
    crops = [layer.name for layer in net.layer if layer.type == "Crop"]
    first = next((layer for layer in other.layer if layer.type == "Convolution"), None)
    if first is None or not crops:
        return
    settings = first.convolution_param
    pad, enough = (settings.pad or [0])[0], settings.kernel_size[0] // 2
    if pad <= enough:
        return
    yield ""
    for layer in other.layer:  # each first convolution of a net with several bodies
        if layer.type == "Convolution" and list(layer.convolution_param.pad) == [pad]:
            layer.convolution_param.pad[:] = [enough]
    layers = layers_and_tops(other)
    top = next(top for layer, top in layers if layer.name == crops[-1])
    place = position_map(*top.fn.inputs)
    body = layers[: [layer.type for layer, _ in layers].index("Crop")]
    size, _ = smallest_size(body, period)
    yield f"{first.name} has pad {pad}; with pad {enough}, which its kernel asks for,"
    yield f"  pictures below {size} pixels would be too small for some kernel,"
    if place:
        begin = ": the scores would begin inside the picture" if place[1] > 0 else ""
        yield f"  and the offset of {crops[-1]} would be {-place[1]:g}{begin}"


# ---- the command


def run(args: argparse.Namespace) -> int:
    """Print the explanation; returns the exit code."""
    path = Path(args.net)
    if not path.is_file():
        path = models.prototxt_of(models.model_name(args.net), args.sample)
    net = prototxts.deploy(prototxts.read_net(path))
    try:
        print("\n".join([str(path), *explain(net)]))
    except AssertionError as error:  # coord_map's, for a layer that it cannot map
        raise ValueError(f"{path}: {error}") from error
    return 0
