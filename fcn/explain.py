"""Why a net pads and crops as it does: `fcn explain voc-fcn8s`, or a prototxt's path.

Of each layer: how many pixels of the picture its outputs are apart, and where the first one lies.
Of each Crop: the offset that follows from that, and the one in the file. Then the sizes of pictures
that fit, and what would fit if the first convolution were padded by no more than its kernel asks.
"""

import argparse
import copy
import sys
from pathlib import Path

from google.protobuf.json_format import MessageToDict

from caffe import layers as L
from caffe.coord_map import conv_params, coord_map_from_to, crop_params

from .nets import deploy, read_net
from .weights import MISSING, model, prototxt_of

SIZED = ("Convolution", "Pooling", "Deconvolution")
NOT_SETTINGS = ("name", "type", "top", "bottom", "param", "loss_weight", "phase")


def tops_of(net):
    """A list of (layer of a NetParameter, its first top as net_spec's Top)."""
    made, blobs = [], {}
    for layer in (layer for layer in net.layer if layer.top):
        settings = MessageToDict(layer, preserving_proto_field_name=True)
        settings = {key: value for key, value in settings.items() if key not in NOT_SETTINGS}
        bottoms = [blobs[name] for name in layer.bottom]
        tops = getattr(L, layer.type)(*bottoms, ntop=len(layer.top), **settings)
        tops = [tops] if len(layer.top) == 1 else list(tops)
        blobs.update(zip(layer.top, tops))
        made.append((layer, tops[0]))
    return made


def lengths(made, size):
    """Each blob's length along one axis, for pictures of `size`; ValueError if they do not fit."""
    found = {}
    for layer, top in made:
        below = [found[name] for name in layer.bottom]
        out = below[0] if below else size
        if layer.type in SIZED:
            out = length(top.fn, out)
        elif layer.type == "Crop":
            short = crop_params(top.fn)[1].max() + below[1] - below[0]
            if short > 0:
                raise ValueError(f"{layer.name}: {layer.bottom[0]} is {short} too short")
            out = below[1]
        elif layer.type in ("Eltwise", "Concat") and len(set(below)) > 1:
            raise ValueError(f"{layer.name}: the bottoms' lengths {below} differ")
        if out < 1:
            raise ValueError(f"{layer.name}: its kernel finds {below[0]} only, and leaves nothing")
        found.update(dict.fromkeys(layer.top, out))
    return found


def length(fn, size):
    """A layer's output length: convolutions round down, pooling rounds up."""
    _, strides, kernels, pads = conv_params(fn)
    stride, kernel, pad = int(strides[0]), int(kernels[0]), int(pads[0])
    if fn.type_name == "Deconvolution":
        return stride * (size - 1) + kernel - 2 * pad
    if fn.type_name == "Convolution":
        return (size + 2 * pad - kernel) // stride + 1
    out = -((size + 2 * pad - kernel) // -stride) + 1
    return out - (pad > 0 and (out - 1) * stride >= size + pad)  # none begins in the padding


def fitting(made, size):
    """The least size, from `size` on, that fits; `size` itself if none does: the net says why."""
    for larger in range(size, size + 1000):
        try:
            lengths(made, larger)
            return larger
        except ValueError:
            pass
    return size


def smallest(made, period):
    """(smallest size from which on all pictures fit, or None; why the one below does not).

    Lengths grow evenly with every `period` pixels, so a whole period that fits proves the rest.
    """
    why, row = None, 0
    for size in range(1, 20 * period):
        try:
            lengths(made, size)
            row += 1
        except ValueError as error:
            why, row = f"{size}: {error}", 0
        if row == period:
            return size - period + 1, why
    return None, why


def mapped(top, other):
    """(scale, shift): position i of `top` lies at scale i + shift of `other`; None if nowhere."""
    try:
        _, *both = coord_map_from_to(top, other)
    except RuntimeError:  # not connected, or by layers that mix positions
        return None
    return tuple(float(max(v) if hasattr(v, "__len__") else v) for v in both)


def table(made):
    """(name, type, pixels apart, where the first output lies in its picture) of each layer."""
    # a layer without a map of its own (Input, Concat) begins a new picture
    pictures = [
        top for _, top in made if not top.fn.inputs or mapped(top, top.fn.inputs[0]) is None
    ]
    rows = []
    for layer, top in made:
        if layer.type in (*SIZED, "Crop"):
            places = [place for picture in pictures if (place := mapped(top, picture))]
            rows += [(layer.name, layer.type, *place) for place in places[:1]]
    return rows


def explain(net):
    """The explanation of a net, line by line; `net` is a deploy form (NetParameter)."""
    made = tops_of(net)
    rows = table(made)
    yield f"{'layer':20} {'type':14} {'apart':>6} {'first at':>9}   (pixels of the picture)"
    for name, kind, scale, shift in rows:
        yield f"{name:20} {kind:14} {scale:6g} {shift:9g}"
    yield ""
    for layer, top in made:
        if layer.type == "Crop":
            yield from of_crop(layer, top)
    period = int(max([scale for _, _, scale, _ in rows] + [1]))
    size, why = smallest(made, period)
    if size is None:
        yield f"PROBLEM: not all pictures fit, however large ({why})"
    else:
        yield f"pictures fit from {size} pixels on" + (f" ({why})" if why else "")
        yield f"  tried for {period} sizes in a row: all lengths grow evenly with that many pixels"
    yield from of_pad(net, period)


def of_crop(layer, top):
    """What a Crop's offset comes from."""
    place = mapped(*top.fn.inputs)
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


def of_pad(net, period):
    """What would be without the first convolution's large pad."""
    other = copy.deepcopy(net)
    first = next(layer for layer in other.layer if layer.type == "Convolution")
    settings = first.convolution_param
    pad, enough = (settings.pad or [0])[0], settings.kernel_size[0] // 2
    crops = [layer.name for layer in net.layer if layer.type == "Crop"]
    if pad <= enough or not crops:
        return
    yield ""
    for layer in other.layer:  # each first convolution of a net with several bodies
        if layer.type == "Convolution" and list(layer.convolution_param.pad) == [pad]:
            layer.convolution_param.pad[:] = [enough]
    made = tops_of(other)
    top = next(top for layer, top in made if layer.name == crops[-1])
    place = mapped(*top.fn.inputs)
    body = made[: [layer.type for layer, _ in made].index("Crop")]
    size, _ = smallest(body, period)
    yield f"{first.name} has pad {pad}; with pad {enough}, which its kernel asks for,"
    yield f"  pictures below {size} pixels would leave some kernel nothing to cover,"
    if place:
        begin = ": the scores would begin inside the picture" if place[1] > 0 else ""
        yield f"  and the offset of {crops[-1]} would be {-place[1]:g}{begin}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn explain`."""
    parser.add_argument("net", help="model folder, or a prototxt")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")


def run(args: argparse.Namespace) -> int:
    """Print the explanation of a net; returns the exit status."""
    try:
        path = Path(args.net)
        if not path.is_file():
            path = prototxt_of(model(args.net), args.sample)
        print("\n".join([str(path), *explain(deploy(read_net(path)))]))
    except (FileNotFoundError, ValueError, KeyError, AssertionError) as error:
        print(f"fcn explain: {error}", file=sys.stderr)
        return MISSING
    return 0
