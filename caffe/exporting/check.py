"""Holds what was exported against the net itself, on random inputs of several sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

from ..layer import describe
from ..net import Net
from . import deploy, sizes

Arrays = Mapping[str, np.ndarray]

TOLERANCE = 1e-5  # norm of the difference over the norm: float32, summed in another order
# Where two values are nearly equal, these choose one or the other; the share of choices that may differ
_CHOOSING = ("ArgMax", "Threshold")
_CHOSEN = 1e-3


class Other(Protocol):
    """The exported net as another library runs it."""

    library: str

    def run(self, inputs: Arrays) -> Arrays:
        """The outputs by name."""

    def trace(self, inputs: Arrays) -> Mapping[int, Sequence[np.ndarray]]:
        """The tops of each layer, by its index in the net."""


class Trial(NamedTuple):
    """What the comparison on one set of inputs found."""

    shapes: sizes.Shapes  # of the inputs
    off: float  # largest norm of an output's difference over the output's norm
    zeros: bool = False  # all outputs are 0: they agree, whatever is before them
    chosen: tuple[str, ...] = ()  # layers that chose otherwise between nearly equal values

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {size_of(shape)}" for name, shape in self.shapes.items())
        words = f"{shapes}: off by {self.off:.1e}"
        if self.chosen:
            words += f", for {', '.join(self.chosen)} chose otherwise between nearly equal values"
        return words + ", but all outputs are 0: no weights?" * self.zeros


def size_of(shape: Sequence[int]) -> str:
    """A shape in words: 1x3x500x500, or "one number"."""
    return "x".join(map(str, shape)) or "one number"


def distance(wanted: np.ndarray, found: np.ndarray) -> float:
    """Norm of the difference over the norm; infinite where shapes or non-finite values differ."""
    finite = np.isfinite(wanted)
    if found.shape != wanted.shape or not np.array_equal(
        wanted[~finite], found[~finite], equal_nan=True
    ):
        return math.inf
    wanted, found = wanted[finite].astype(np.float64), found[finite].astype(np.float64)
    off = float(np.linalg.norm(wanted - found)) / max(float(np.linalg.norm(wanted)), 1e-30)
    return off if math.isfinite(off) else math.inf


def agree(
    net: Net,
    outputs: Sequence[str],
    trials: Sequence[Arrays],
    other: Other,
    tolerance: float = TOLERANCE,
) -> list[Trial]:
    """Run both on each trial's inputs; what they differ by. ValueError names the layer where they part."""
    bar = tqdm(trials, f"comparing with {other.library}", leave=False, disable=None)
    return [_trial(net, outputs, inputs, other, tolerance) for inputs in bar]


def _trial(
    net: Net, outputs: Sequence[str], inputs: Arrays, other: Other, tolerance: float
) -> Trial:
    feed(net, inputs)
    net._forward(0, len(net.layers) - 1)
    wanted = {name: net.blobs[name].data.copy() for name in outputs}
    if not any(np.isfinite(array).any() for array in wanted.values()):
        raise ValueError(
            f"net '{net.name}': there is nothing to compare: on random inputs its outputs are all "
            "infinite or no numbers. Are its weights loaded, the statistics of BatchNorm among them?"
        )
    found = other.run(inputs)
    off = max((distance(wanted[name], found[name]) for name in outputs), default=0.0)
    trial = Trial({name: array.shape for name, array in inputs.items()}, off)
    flat = not all(array.any() for array in wanted.values())  # zeros agree whatever is before them
    if not flat and off <= tolerance:
        return trial
    layer, chosen = parting(net, inputs, other, tolerance)
    if layer:
        raise ValueError(
            f"{layer}: here {other.library} and Caffe part, by {off:.1e} in the outputs where "
            f"{tolerance:g} is allowed ({trial}); nothing was written"
        )
    zeros = not any(array.any() for array in wanted.values())
    return trial._replace(zeros=zeros, chosen=tuple(chosen) if off > tolerance else ())


def feed(net: Net, inputs: Arrays) -> None:
    """Give a net its inputs, reshaping it; recurrent layers begin anew."""
    for name, array in inputs.items():
        net.blobs[name].reshape(*array.shape)
        net.blobs[name].data[...] = array
    net.reshape()
    for layer in net.layers:
        for blob in getattr(layer, "state", ()):
            blob.data[...] = 0


def parting(net: Net, inputs: Arrays, other: Other, tolerance: float) -> tuple[str, list[str]]:
    """The first layer whose tops differ by more than the tolerance, and by how much, "" if none does;
    and the layers that chose otherwise.

    Where a layer chooses between nearly equal values, a few choices may differ. The layers behind it go
    on from the other's choices: all are compared on equal inputs.
    """
    theirs = other.trace(inputs)
    chosen: list[str] = []
    for step, tops in own_tops(net, inputs):
        for name, wanted, found in zip(step.tops, tops, theirs[step.at]):
            few = _chooses(step) and (share := _differing(wanted, found, tolerance)) <= _CHOSEN
            if not few and (off := distance(wanted, found)) > tolerance:
                return f"{describe(step.layer.layer_param)}, off by {off:.1e}", chosen
            if few and share:
                net.blobs[name].data[...] = found
                chosen.append(step.layer.name)
    return "", chosen


def _chooses(step: deploy.Placed) -> bool:
    """Whether a layer's results jump; pooling's do where it gives the places of the maxima, too."""
    return step.layer.type in _CHOOSING or step.layer.type == "Pooling" and len(step.tops) == 2


def _differing(wanted: np.ndarray, found: np.ndarray, tolerance: float) -> float:
    """The share of values that differ; of places, which may be large numbers, by as little as one."""
    if wanted.shape != found.shape:
        return 1.0
    close = np.isclose(wanted, found, rtol=tolerance, atol=tolerance, equal_nan=True)
    places = (wanted == np.round(wanted)) & (found == np.round(found)) & (wanted != found)
    return float((~close | places).mean())


def own_tops(net: Net, inputs: Arrays) -> Iterator[tuple[deploy.Placed, list[Any]]]:
    """Each layer with its tops, computed one layer after the other."""
    feed(net, inputs)
    placed = {step.at: step for step in deploy.steps(net)}
    for at in range(len(net.layers)):
        net._forward(at, at)
        if at in placed:
            yield placed[at], [net.blobs[name].data.copy() for name in placed[at].tops]
