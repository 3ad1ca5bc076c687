"""Which sizes of pictures a net takes, and what its first convolution's large padding is for."""

import copy
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from caffe.coord_map import PASS_THROUGH_LAYERS
from fcn.explain.coordinates import Layers, crop_places, layers_and_tops
from fcn.explain.fields import Field, fields
from fcn.explain.windows import AXES, HEIGHT, SIZED, WIDTH, crop_offset, output_length, window
from fcn.prototxts import NetParameter

JOINING = ("Eltwise", "Concat")  # want bottoms of one size
WHOLE = ("InnerProduct", "Flatten", "Reshape")  # take a map of one size as it is
# Layers through which lengths are followed; behind others they are not known
FOLLOWED = {
    *(*SIZED, *JOINING, *PASS_THROUGH_LAYERS, "Crop", "Slice", "Softmax", "Tile", "ArgMax"),
    *("BatchReindex", "Filter"),
}


def blob_lengths(layers: Layers, size: int, axis: int = HEIGHT) -> dict[str, int]:
    """The length of each map along an axis for pictures of `size`; ValueError if they do not fit.

    Blobs behind a layer that is not in FOLLOWED are left out.
    """
    found: dict[str, int] = {}
    for layer, _ in layers:
        if layer.bottom and layer.type not in FOLLOWED or not found.keys() >= set(layer.bottom):
            continue
        below = [found[name] for name in layer.bottom]
        out = below[0] if below else size
        if layer.type in SIZED:
            out = output_length(layer, out, axis)
        elif layer.type == "Crop":
            offset = crop_offset(layer, axis)
            if offset is not None:
                short = offset + below[1] - below[0]
                if short > 0:
                    raise ValueError(f"{layer.name}: {layer.bottom[0]} is {short} too short")
                out = below[1]
        elif layer.type in JOINING and len(set(below)) > 1:
            raise ValueError(f"{layer.name}: the bottoms' lengths {below} differ")
        if out < 1:
            raise ValueError(f"{layer.name}: its kernel does not fit into a bottom of {below[0]}")
        found.update(dict.fromkeys(layer.top, out))
    return found


def next_size_that_fits(layers: Layers, size: int) -> int:
    """The least size from `size` on that fits; `size` itself if none does, so that the net fails."""
    for larger in range(size, size + 1000):
        if fits(layers, larger):
            return larger
    return size


def fits(layers: Layers, size: int, axis: int = HEIGHT) -> bool:
    """Whether pictures of a size go through."""
    try:
        blob_lengths(layers, size, axis)
        return True
    except ValueError:
        return False


def smallest_size(layers: Layers, period: int, axis: int = HEIGHT) -> tuple[int | None, str | None]:
    """The size from which on all pictures fit (None if there is none), and why the next lower fails.

    With every `period` pixels all lengths grow by whole steps, so a whole period that fits proves
    the rest.
    """
    why, row = None, 0
    for size in range(1, 20 * period):
        try:
            blob_lengths(layers, size, axis)
            row += 1
        except ValueError as error:
            why, row = f"{size}: {error}", 0
        if row == period:
            return size - period + 1, why
    return None, why


# ---- the text


def period_of(layers: Layers, axis: int = HEIGHT) -> int:
    """The most pixels that outputs of a layer are apart, rounded up."""
    seen = fields([layer for layer, _ in layers], axis).values()
    return ceil(max((field.apart for field in seen if isinstance(field, Field)), default=1))


def explain_sizes(layers: Layers, picture: Sequence[int]) -> Iterator[str]:
    """Which sizes fit; `picture` is the height and width that the net was built for."""
    below = [layer for layer, _ in layers if layer.bottom]
    lost = [layer for layer in below if layer.type not in FOLLOWED]
    if not any(layer.type in (*SIZED, *WHOLE, "Crop") for layer in below):
        yield (
            "no convolution, pooling, deconvolution or crop: no layer moves what the picture shows"
            + ("" if lost else ", and pictures of every size fit")
        )
    elif not any(layer.type in WHOLE for layer in lost):
        yield from explain_smallest(layers)
    else:
        yield from explain_whole(layers, [each for each in lost if each.type in WHOLE], picture)
    other = next((layer for layer in lost if layer.type not in WHOLE), None)
    if other:
        yield f"  as far as {other.name} ({other.type}), behind which sizes cannot be told"


def explain_smallest(layers: Layers) -> Iterator[str]:
    """The size from which on pictures fit, along both axes if they differ."""
    sized = [layer for layer, _ in layers if layer.type in SIZED]
    if all(window(layer, WIDTH) == window(layer, HEIGHT) for layer in sized):
        yield from smallest_along(layers, HEIGHT)
    else:
        yield from ["heights:", *smallest_along(layers, HEIGHT)]
        yield from ["widths:", *smallest_along(layers, WIDTH)]


def smallest_along(layers: Layers, axis: int) -> Iterator[str]:
    """The size from which on pictures fit, along an axis."""
    period = period_of(layers, axis)
    size, why = smallest_size(layers, period, axis)
    if size is None:
        yield f"PROBLEM: not all pictures fit, however large ({why})"
        return
    yield f"pictures fit from {size} pixels on ({why})" if why else "pictures of every size fit"
    if period > 1:
        yield f"  tried for {period} sizes in a row: all lengths grow evenly with that many pixels"


def explain_whole(layers: Layers, whole: Sequence[Any], picture: Sequence[int]) -> Iterator[str]:
    """The sizes that give the maps which layers with weights for each of their places take."""
    both = [blob_lengths(layers, picture[axis], axis) for axis in AXES]
    first = [layer for layer in whole if layer.bottom[0] in both[HEIGHT]]
    shown = list(
        dict.fromkeys(f"{sizes_like(layers, first, picture[axis], axis)}" for axis in AXES)
    )
    yield f"pictures of {' by '.join(shown)} pixels fit:"
    for layer in first:
        name = layer.bottom[0]
        yield f"  {layer.name} ({layer.type}) takes {name} at {both[0][name]}x{both[1][name]} alone"


def sizes_like(layers: Layers, whole: Sequence[Any], size: int, axis: int) -> str:
    """The sizes for which the bottoms of some layers are as long as for pictures of `size`."""
    names = [layer.bottom[0] for layer in whole]

    def lengths(size: int) -> list[int]:
        found = blob_lengths(layers, size, axis)
        return [found[name] for name in names]

    wanted, most = lengths(size), 2 * size + 64
    same = [k for k in range(1, most) if fits(layers, k, axis) and lengths(k) == wanted]
    if same[-1] == most - 1:
        return f"{same[0]} and more"
    return f"{same[0]} to {same[-1]}" if len(same) > 1 else f"{same[0]}"


def explain_pad(net: NetParameter) -> Iterator[str]:
    """What would fit, and where the scores would lie, without the first convolution's large pad."""
    other = copy.deepcopy(net)
    crops = [layer.name for layer in net.layer if layer.type == "Crop"]
    first = next((layer for layer in other.layer if layer.type == "Convolution"), None)
    if first is None or not crops:
        return
    kernel, _, pad, _ = window(first, HEIGHT)
    enough = kernel // 2
    if pad <= enough or list(first.convolution_param.pad) != [pad]:
        return
    for layer in other.layer:  # each first convolution of a net with several bodies
        if layer.type == "Convolution" and list(layer.convolution_param.pad) == [pad]:
            layer.convolution_param.pad[:] = [enough]
    layers = layers_and_tops(other)
    body = layers[: [layer.type for layer, _ in layers].index("Crop")]
    size, _ = smallest_size(body, period_of(body))
    place = next(crop for crop in crop_places(layers) if crop.layer == crops[-1])
    yield ""
    yield f"{first.name} has pad {pad}; with pad {enough}, which its kernel asks for,"
    if size and size > 1:
        yield f"  pictures below {size} pixels would be too small for some kernel,"
    if place.shift is not None:
        begin = ": the scores would begin inside the picture" if place.shift > 0 else ""
        yield f"  the offset of {place.layer} would be {-place.shift:g}{begin}"
