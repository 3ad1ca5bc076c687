"""Which sizes of an exported net are free, and pictures of several sizes to try it with.

A size is free where the net reshapes: batch, height and width of most nets, none behind an
InnerProduct. It is found out by reshaping the net.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..net import Net
from . import deploy

Shapes = dict[str, tuple[int, ...]]
Axes = dict[str, set[int]]  # the free axes of a blob

_STEPS = (1, 8, 32, 64, 128)  # a net that halves five times without cropping takes multiples of 32
_NEAR = 130  # how far lengths are tried one by one


class FixedSize(Exception):
    """A writer needs to know a size that is free."""


class Sizes(NamedTuple):
    """The free axes of every blob, and the inputs' shapes that an export is tried with."""

    base: Shapes  # of every blob
    free: Axes  # of every blob
    trials: list[Shapes]  # of the inputs: small, with an axis longer, about as large as the net's

    def words(self, blob: str) -> str:
        """A blob's shape, free sizes as ?."""
        shape, free = self.base[blob], self.free[blob]
        return "x".join("?" if axis in free else str(n) for axis, n in enumerate(shape)) or "1"


def find(net: Net, fixed: Iterable[int] = ()) -> Sizes:
    """Try which axes of the inputs may have other sizes; axes in `fixed` may not.

    The net's shapes are as before when it returns.
    """
    before: Shapes = {name: tuple(net.blobs[name].shape) for name in net.inputs}
    base = _shapes(net, before) or {}
    seen, step = [base], dict[tuple[str, int], int]()
    for axis in range(max(map(len, before.values()), default=0)):
        if axis in fixed:
            continue
        for members in _members(net, before, axis):
            found = next((d for d in _STEPS if _takes(net, before, members, axis, (d, 2 * d))), 0)
            if found:
                step |= {(name, axis): found for name in members}
                seen += _seen(net, before, members, axis, found)
                break
    if step and _shapes(net, _grown(before, step, 2)) is None:  # each alone, but not all together
        return find(net, range(8))
    small = _smallest(net, before, step)
    other = _grown(small, {k: d for k, d in step.items() if k[1] % 2 == 0}, 1)
    planes = {k: d for k, d in step.items() if k[1]}
    whole = _grown(_one_item(before, step), planes, 1)
    trials = [trial if _shapes(net, trial) else before for trial in (small, other, whole)]
    _shapes(net, before)
    return Sizes(base, _free(net, seen), trials)


def _members(net: Net, shapes: Shapes, axis: int) -> Iterator[list[str]]:
    """Inputs whose axis may change: all together, then each alone.

    Axis 1 holds channels, but of what recurrent layers read it holds sequences.
    """
    axes: dict[str, tuple[int, ...]] = dict.fromkeys(shapes, (0, 2, 3, 4))
    for step in deploy.steps(net):
        if step.layer.type in ("LSTM", "RNN"):
            axes |= dict.fromkeys(step.bottoms[:2], (0, 1))  # x and cont: steps, sequences
            axes |= dict.fromkeys(step.bottoms[2:], (1,))  # states: 1, sequences
            axes |= dict.fromkeys(step.bottoms[2:3] if step.layer.has_static else (), ())
    having = [n for n, shape in shapes.items() if axis < len(shape) and axis in axes[n]]
    yield having
    if len(having) > 1:
        yield from ([name] for name in having)


def _grown(shapes: Shapes, step: Mapping[tuple[str, int], int], times: int) -> Shapes:
    return {
        name: tuple(n + times * step.get((name, axis), 0) for axis, n in enumerate(shape))
        for name, shape in shapes.items()
    }


def _takes(net: Net, shapes: Shapes, members: list[str], axis: int, more: tuple[int, ...]) -> bool:
    grown = (_grown(shapes, {(name, axis): d for name in members}, 1) for d in more)
    return bool(members) and all(_shapes(net, larger) is not None for larger in grown)


def _seen(net: Net, shapes: Shapes, members: list[str], axis: int, step: int) -> list[Shapes]:
    """Every blob's shape for inputs that are longer along an axis, up to four times.

    Where the net does not take these, as where an InnerProduct stands at its end, every length that
    it takes around the given one: pooling rounds, so that there may be some.
    """

    def found(more: int) -> Shapes | None:
        return _shapes(net, _grown(shapes, {(name, axis): more for name in members}, 1))

    longest = max(shapes[name][axis] for name in members)
    far = [found(times * -(-longest // step) * step) for times in (1, 3)]
    if not all(far):
        shortest = min(shapes[name][axis] for name in members)
        ways = range(step, _NEAR, step), range(-step, -min(shortest, _NEAR), -step)
        far += [shapes for way in ways for shapes in itertools.takewhile(bool, map(found, way))]
    return [shapes for shapes in far if shapes]


def _smallest(net: Net, shapes: Shapes, step: Mapping[tuple[str, int], int]) -> Shapes:
    """The inputs' shapes with one item, and a plane no larger than it need be."""
    one = _one_item(shapes, step)
    for share in (8, 4, 2, 1):
        small = {
            name: tuple(
                _share(n, share, step[name, axis]) if axis and (name, axis) in step else n
                for axis, n in enumerate(shape)
            )
            for name, shape in one.items()
        }
        if _shapes(net, small) and _runs(net, small):
            return small
    return shapes


def _one_item(shapes: Shapes, step: Mapping[tuple[str, int], int]) -> Shapes:
    """The inputs' shapes with one item, or as few as steps from the given number lead to."""
    return {
        name: (_share(shape[0], shape[0], step[name, 0]), *shape[1:])
        if (name, 0) in step
        else shape
        for name, shape in shapes.items()
    }


def _runs(net: Net, inputs: Shapes) -> bool:
    """Whether the net computes something on inputs of these shapes, every window within its plane."""
    feed = values(net, inputs, np.random.default_rng(0))
    if any(0 in blob.shape for blob in net.blobs.values()):
        return False
    for step in deploy.steps(net):
        sides = list(net.blobs[step.bottoms[0]].shape)[2:] if step.bottoms else []
        if any(getattr(step.layer, "missing", lambda sides: ())(sides)):
            return False
    for name, array in feed.items():
        net.blobs[name].data[...] = array
    try:
        net._forward(0, len(net.layers) - 1)
    except (ValueError, RuntimeError):
        return False
    return True


def _share(size: int, share: int, step: int) -> int:
    """`size` divided by `share`, by whole steps less."""
    return size - (size - -(-size // share)) // step * step


def _shapes(net: Net, inputs: Shapes) -> Shapes | None:
    """Every blob's shape for these inputs; None where the net does not take them."""
    for name, shape in inputs.items():
        net.blobs[name].reshape(*shape)
        if any(layer.shapes_follow_values for layer in net.layers):
            net.blobs[name].data[...] = 1
    try:
        net.reshape()
    except (ValueError, NotImplementedError):
        return None
    return {name: tuple(blob.shape) for name, blob in net.blobs.items()}


def _free(net: Net, seen: list[Shapes]) -> Axes:
    """The axes along which the blobs' shapes differ; behind a Filter the first is free, too."""
    free = {
        name: {
            axis for axis, sizes in enumerate(zip(*(s[name] for s in seen))) if len({*sizes}) > 1
        }
        for name in net.blobs
    }
    following: set[str] = set()
    for step in deploy.steps(net):
        if step.layer.shapes_follow_values or following.intersection(step.bottoms):
            following.update(top for top in step.tops if net.blobs[top].num_axes)
    for name in following:
        free[name].add(0)
    return free


# ---- values

Maker = Callable[[Any, Any, Any, np.random.Generator], Any]


def _below(limit: Callable[[Any, Any], int]) -> Maker:
    """Integers from 0 up to what `limit` says of a layer and its bottoms."""
    return lambda layer, bottom, shape, rng: rng.integers(0, limit(layer, bottom), shape)


def _places(layer: Any, bottom: Any, shape: Any, rng: np.random.Generator) -> np.ndarray:
    """Places in a plane that is larger than this one, each once."""
    planes = [rng.permutation(int(np.prod(shape[2:]))) for _ in range(int(np.prod(shape[:2])))]
    return np.reshape(planes, shape)


def _regions(layer: Any, bottom: Any, shape: Any, rng: np.random.Generator) -> np.ndarray:
    """Regions (picture, x1, y1, x2, y2), in pixels of the pictures."""
    rows = np.prod(shape) // 5
    sides = [side / layer.param.spatial_scale for side in (bottom[0].shape[3], bottom[0].shape[2])]
    corners = np.sort(rng.uniform(0, 1, (rows, 2, 2)), axis=1) * sides
    pictures = rng.integers(0, bottom[0].shape[0], (rows, 1))
    return np.concatenate([pictures, corners.reshape(rows, 4)], 1).reshape(shape)


_two = _below(lambda layer, bottom: 2)
# (type, index of a bottom) -> what makes its values, where not all numbers will do
_INDICES: dict[tuple[str, int], Maker] = {
    ("Embed", 0): _below(lambda layer, bottom: layer.param.input_dim),
    ("BatchReindex", 1): _below(lambda layer, bottom: bottom[0].shape[0]),
    ("Filter", -1): _two,
    ("LSTM", 1): _two,
    ("RNN", 1): _two,
    ("LSTMUnit", 2): _two,
    ("Upsample", 1): _places,
    ("ROIPooling", 1): _regions,
}


def index_inputs(net: Net) -> set[str]:
    """The inputs that hold indices, or tell where sequences begin: they have no gradient."""
    return {
        step.bottoms[index]
        for step in deploy.steps(net)
        for kind, index in _INDICES
        if step.layer.type == kind and index < len(step.bottoms)
    }.intersection(net.inputs)


def values(net: Net, shapes: Shapes, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random inputs of these shapes: pictures without their mean, numbers about 0, or indices.

    The net is reshaped. The first step in time begins a sequence.
    """
    _shapes(net, shapes)
    made: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        picture = len(shape) == 4 and shape[1] == 3
        made[name] = rng.uniform(-1, 1, shape) * (120 if picture else 1)
    for step in deploy.steps(net):
        for (kind, index), maker in _INDICES.items():
            there = step.layer.type == kind and index < len(step.bottoms)
            source = step.bottoms[index] if there else ""
            if source in made:
                bottom = [net.blobs[name] for name in step.bottoms]
                made[source] = maker(step.layer, bottom, shapes[source], rng)
                if kind in ("LSTM", "RNN"):
                    made[source][0] = 0
                elif kind == "Filter":
                    made[source].flat[0] = 1  # selecting nothing computes nothing
    return {name: np.asarray(array, np.float32) for name, array in made.items()}
