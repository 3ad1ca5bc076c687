"""Finds out which layer of a file belongs to which layer of a net, by names, or by order and shapes."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..blob import Blob
from ..files.paths import Path
from ..net import Net
from .read import Content, Stored

_FIRST: tuple[str, ...] = ("weight", "depthwise", "bias")


class Target(NamedTuple):
    """A layer of the net that takes arrays."""

    name: str
    layer: Any
    bottom: tuple[int, ...]  # the shape that the layer reads
    scale: Any  # the Scale behind a BatchNorm, which takes its factor and bias; or None


class Pair(NamedTuple):
    """A layer of the file, and the layer of the net that it belongs to."""

    stored: Stored
    target: Target


def targets(net: Net, joined: bool) -> list[Target]:
    """The layers of a net that take arrays, in its order.

    With `joined`, a Scale is a part of the BatchNorm before it, as in other libraries.
    """
    found: list[Target] = []
    topology, taken = net._topology, set()
    for at, layer in enumerate(net.layers):
        if not len(layer.blobs) or at in taken:
            continue
        behind = _scale_behind(net, at) if layer.type == "BatchNorm" else None
        if joined:
            taken.add(behind)
        bottoms = topology.bottom_ids[at]
        shape = tuple(topology.blobs[bottoms[0]].shape) if bottoms else ()
        scale = net.layers[behind] if behind is not None else None
        found.append(Target(layer.name, layer, shape, scale))
    return found


def _scale_behind(net: Net, at: int) -> int | None:
    """The index of the Scale that reads a BatchNorm's top and has weights."""
    top = net._topology.top_ids[at][0]
    for i in range(at + 1, len(net.layers)):
        if top in net._topology.bottom_ids[i]:
            return i if net.layers[i].type == "Scale" and len(net.layers[i].blobs) else None
    return None


def pairs(
    net: Net, content: Content, path: Path, by: str | None, names: Mapping[str, str]
) -> list[Pair]:
    """The layers of the file with those of the net. ValueError where they cannot be told."""
    own = targets(net, joined=False)
    if names:
        return _by_table(own, content, path, names)
    known = {key: target for target in own for key in (identifier(target.name), target.name)}
    named = [
        _with_statistics(
            stored, known.get(stored.name) or known[identifier(stored.name)], own, path
        )
        for stored in content.layers
        if stored.name in known or identifier(stored.name) in known
    ]
    if by == "name" or by is None and 2 * len(named) >= len(content.layers):
        return named
    joined = any(s.is_batch_norm and "weight" in s.arrays for s in content.layers)
    own = targets(net, joined)
    try:
        return _by_order(own, content.layers, content, path, by)
    except ValueError:
        earlier = _shortcuts_first(content.layers)
        if earlier == content.layers:
            raise
        with contextlib.suppress(ValueError):
            return _by_order(own, earlier, content, path, by)
        raise


def _with_statistics(stored: Stored, target: Target, own: Sequence[Target], path: Path) -> Pair:
    """A layer with the one of its name. Running statistics under the name of a Scale, as brocolli gives
    it, go to the BatchNorm before that. ValueError where nothing takes them."""
    if stored.is_batch_norm and len(target.layer.blobs) < 3:
        before = next((each for each in own if each.scale is target.layer), None)
        if before is None:
            raise ValueError(
                f"{path}: {stored.name} holds running statistics, which {target.name} of the net "
                f"({target.layer.type}) does not take. Way out: by='order' (--by order), or names, a table "
                "from the file's layers to the net's"
            )
        return Pair(stored, before)
    return Pair(stored, target)


def with_layout(net: Net, content: Content) -> Content:
    """The content with its channels said to be first or last: as more of the net's layers fit."""
    if content.channels_last is not None:
        return content
    own = targets(net, joined=False)

    def fitting(content: Content) -> int:
        return sum(any(fits(t, stored, content) for t in own) for stored in content.layers)

    return max((content._replace(channels_last=last) for last in (False, True)), key=fitting)


def identifier(name: str) -> str:
    """A name as Python would have it: what exports make of conv1/7x7."""
    return re.sub(r"\W", "_", name)


def _by_table(
    own: Sequence[Target], content: Content, path: Path, names: Mapping[str, str]
) -> list[Pair]:
    """By the user's own table: layer of the file -> layer of the net."""
    stored = {layer.name: layer for layer in content.layers}
    known = {target.name: target for target in own}
    for wanted, there, where in (
        (names, stored, f"{path} has no layer"),
        (names.values(), known, "the net has no layer with weights named"),
    ):
        lacking = [name for name in wanted if name not in there]
        if lacking:
            raise ValueError(f"{where} {', '.join(lacking)}; there are {', '.join(there)}")
    return [Pair(stored[name], known[layer]) for name, layer in names.items()]


def _shortcuts_first(layers: list[Stored]) -> list[Stored]:
    """The layers with torchvision's `downsample`, a block's shortcut, before the block's others, where
    Caffe's ResNets have it."""
    names = [layer.name for layer in layers]

    def place(i: int) -> float:
        block, shortcut, _ = names[i].partition("downsample.")
        if not shortcut:
            return i
        return next(k for k, name in enumerate(names) if name.startswith(block)) - 0.5

    return [layers[i] for i in sorted(range(len(layers)), key=place)]


def _by_order(
    own: Sequence[Target], layers: Sequence[Stored], content: Content, path: Path, by: str | None
) -> list[Pair]:
    """One after the other, without layers whose shapes the other side does not have at all."""
    mine = [t for t in own if any(fits(t, stored, content) for stored in layers)]
    theirs = [s for s in layers if any(fits(t, s, content) for t in own)]
    for i, (target, stored) in enumerate(zip(mine, theirs)):
        if not fits(target, stored, content):
            before = f" behind {mine[i - 1].name} and {theirs[i - 1].name}" if i else ""
            raise ValueError(
                f"{path}: by order and shape the layers part{before}: {target.name} of the net has "
                f"{shapes_of(target)}, {stored.name} of the file {_stored_shapes(stored)}. "
                "Way out: names, a table from the file's layers to the net's"
            )
    if len(mine) != len(theirs):
        longer, side = (mine, "net") if len(mine) > len(theirs) else (theirs, "file")
        extra = ", ".join(each.name for each in longer[min(len(mine), len(theirs)) :])
        raise ValueError(
            f"{path}: by order and shape the {side} has more layers than the other side: {extra}; "
            f"{len(mine)} in the net, {len(theirs)} in the file. Way out: names, a table from the "
            "file's layers to the net's"
        )
    if by is None and mine:
        _check_same_net(own[: own.index(mine[-1])], mine, layers, theirs, path)
    return [Pair(stored, target) for stored, target in zip(theirs, mine)]


def _check_same_net(
    own: Sequence[Target],
    mine: Sequence[Target],
    layers: Sequence[Stored],
    theirs: Sequence[Stored],
    path: Path,
) -> None:
    """ValueError where both sides have layers without a counterpart before the last pair: of another net
    the weights of some layers may fit by chance."""
    names = {stored.name for stored in theirs}
    last = next(i for i, stored in enumerate(layers) if stored.name == theirs[-1].name)
    lacking = [target for target in own if target not in mine]
    extra = [stored for stored in layers[:last] if stored.name not in names]
    if lacking and extra:
        raise ValueError(
            f"{path}: by order and shape it is another net's: {lacking[0].name} of the net has "
            f"{shapes_of(lacking[0])}, {extra[0].name} of the file {_stored_shapes(extra[0])}, and behind "
            f"them others fit. Way out: by='order' (--by order) takes the {len(mine)} layers that do, or "
            "names, a table from the file's layers to the net's"
        )


def strided_elsewhere(found: Sequence[Pair]) -> str:
    """The first 1 x 1 layer with a stride that takes weights of torchvision's ResNets, which have strides in
    3 x 3 layers and shortcuts; "" if there is none."""
    if not any("downsample." in pair.stored.name for pair in found):
        return ""
    for stored, target in found:
        array = stored.arrays.get("weight")
        one = array is not None and array.ndim == 4 and array.shape[2:] == (1, 1)
        if (
            one
            and "downsample." not in stored.name
            and max(getattr(target.layer, "stride", [1])) > 1
        ):
            return target.name
    return ""


def fits(target: Target, stored: Stored, content: Content) -> bool:
    """Whether the arrays of a layer may be those of a layer of the net."""
    if stored.is_batch_norm:
        return (
            len(target.layer.blobs) > 2
            and target.layer.blobs[0].count == stored.arrays["mean"].size
        )
    if target.layer.type == "BatchNorm" or len(stored.arrays) != len(target.layer.blobs):
        return False
    blobs = ordered(stored, target.layer.blobs)
    return all(
        arranged(array, blob, target, content.channels_last) is not None for array, blob in blobs
    )


def ordered(stored: Stored, blobs: Sequence[Blob]) -> list[tuple[np.ndarray, Blob]]:
    """A layer's arrays with the blobs: weight and bias first, others as they stand in the file."""
    first = [role for role in _FIRST if role in stored.arrays]
    if len(first) < len(stored.arrays):
        first = list(stored.arrays)  # a class of its own, whose parameters are in Caffe's order
    return [(stored.arrays[role], blob) for role, blob in zip(first, blobs)]


def arranged(
    array: np.ndarray, blob: Blob, target: Target, channels_last: bool | None
) -> np.ndarray | None:
    """An array with its axes as the blob has them; None where it does not fit."""
    shape = tuple(blob.shape)
    if array.size != blob.count:
        return None
    if len(shape) < 2 or array.ndim < 2:
        return array.reshape(shape)
    if target.layer.type == "InnerProduct" and target.layer.param.transpose:
        found = _arranged(array, shape[::-1], target, channels_last)
        return None if found is None else found.T
    return _arranged(array, shape, target, channels_last)


def _arranged(
    array: np.ndarray, shape: tuple[int, ...], target: Target, channels_last: bool | None
) -> np.ndarray | None:
    if channels_last:
        return _from_channels_last(array, shape, target)
    if array.shape == shape:
        return array
    if array.ndim == 2 and array.T.shape == shape:
        return array.T
    # an inner product as a convolution, or the other way round
    return array.reshape(shape) if array.shape[0] == shape[0] else None


def _from_channels_last(
    array: np.ndarray, shape: Sequence[int], target: Target
) -> np.ndarray | None:
    """(kernel..., in, out) as (out, in, kernel...); the rows of a matrix behind a map go by cells."""
    if array.ndim == 2:
        plane = tuple(shape[2:]) or target.bottom[2:]
        inputs, outputs = array.shape
        if int(np.prod(plane)) > 1 and inputs % int(np.prod(plane)) == 0:
            array = array.reshape(*plane, -1, outputs)
            array = np.moveaxis(array, (-1, -2), (0, 1)).reshape(outputs, inputs)
        else:
            array = array.T
        return array.reshape(shape) if array.shape[0] == shape[0] else None
    turned = np.moveaxis(array, (-1, -2), (0, 1))
    if turned.shape == tuple(shape):
        return turned
    depthwise = np.moveaxis(array, (-2, -1), (0, 1)).reshape(-1, 1, *array.shape[:-2])
    return depthwise if depthwise.shape == tuple(shape) else None


def shapes_of(target: Target) -> str:
    """The shapes of a layer's blobs, in words."""
    return " and ".join(str(list(blob.shape)) for blob in target.layer.blobs)


def _stored_shapes(stored: Stored) -> str:
    return " and ".join(str(list(array.shape)) for array in stored.arrays.values())
