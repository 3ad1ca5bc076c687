"""Numbers of weights: how large they are, how many are zero, whether all are numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_HUGE = 1e6


class Statistics(NamedTuple):
    """Of one blob."""

    shape: tuple[int, ...]
    least: float
    largest: float
    rms: float  # root of the mean square
    zeros: int
    strange: int  # NaN and infinite

    @property
    def total(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    def cells(self) -> tuple[str, str, str]:
        """(size, range, how many zeros) in words."""
        zeros = f"{100 * self.zeros / self.total:.0f}% zeros" if self.zeros else ""
        text = f"{self.least:.3g} to {self.largest:.3g}, rms {self.rms:.3g}" if self.total else ""
        return "x".join(map(str, self.shape)) or "1 number", text, zeros


def of(array: np.ndarray) -> Statistics:
    """The statistics of an array; NaN and infinite values are counted, and left out of the others."""
    if array.dtype.kind not in "fiub":
        return Statistics(array.shape, 0.0, 0.0, 0.0, 0, 0)
    flat = array.reshape(-1)
    finite = flat[np.isfinite(flat)] if flat.size else flat
    if not finite.size:
        return Statistics(array.shape, 0.0, 0.0, 0.0, 0, flat.size)
    rms = float(np.linalg.norm(finite.astype(np.float64)) / math.sqrt(finite.size))
    return Statistics(
        array.shape,
        float(finite.min()),
        float(finite.max()),
        rms,
        int(finite.size - np.count_nonzero(finite)),
        flat.size - finite.size,
    )


def wrong(layer: str, blobs: Iterable[Statistics], kind: str = "") -> list[str]:
    """What looks wrong in a layer's blobs, each in a sentence."""
    found = []
    for i, blob in enumerate(blobs):
        name, total, largest = f"{layer}[{i}]", blob.total, max(-blob.least, blob.largest)
        if blob.strange:
            found.append(f"{name}: {blob.strange:,} of {total:,} values are NaN or infinite")
        elif kind == "BatchNorm":
            if i == 2 and blob.zeros:
                found.append(f"{name}: the factor of its statistics is 0: they were never filled")
        elif i == 0 and total > 1 and blob.zeros == total:
            found.append(f"{name}: all {total:,} weights are zero: never filled, or not learned")
        elif i == 0 and total > 8 and blob.least == blob.largest:
            found.append(f"{name}: all {total:,} weights are {blob.least:.3g}")
        elif largest > _HUGE:
            found.append(f"{name}: values up to {largest:.2g}: has it diverged?")
    return found
