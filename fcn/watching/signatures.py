"""Numbers that tell exactly what a net gives: the same score to all classes, one class to all pixels."""

import math
from typing import Any

import numpy as np

NEAR = 1e-4  # relative difference of a loss from a signature
MAJORITY = 0.5  # of a class's pixels, and of the classes
SATURATED = 87.33654475  # -ln(FLT_MIN): no softmax loss of a pixel is larger


def is_near(value: float, signature: float, tolerance: float = NEAR) -> bool:
    """Whether a number is a signature."""
    return math.isfinite(value) and abs(value - signature) <= tolerance * signature


def a_pixel(loss: float, pixels: float | None, summed: bool | None) -> list[float]:
    """What the loss may be in a pixel: `summed` over `pixels`, or a mean; both if nobody knows."""
    found = [] if summed else [loss]
    return found + ([loss / pixels] if pixels and summed is not False else [])


def is_uniform(
    loss: float, classes: int, pixels: float | None = None, summed: bool | None = None
) -> bool:
    """Whether a loss is that of equal scores for all classes: ln(classes) a pixel."""
    each = a_pixel(loss, pixels, summed)
    return classes > 1 and any(is_near(value, math.log(classes)) for value in each)


def is_saturated(
    loss: float, pixels: float | None = None, summed: bool | None = None, wrong: float = 1.0
) -> bool:
    """Whether the softmax loss is at its largest in every pixel that is wrong; `wrong`: their share."""
    each = a_pixel(loss, pixels, summed)
    return wrong > 0.01 and any(is_near(value, SATURATED * wrong) for value in each)


def only_given(hist: Any) -> int | None:
    """The class that every pixel is given; None if there are several."""
    return _only(np.asarray(hist).sum(0))


def only_true(hist: Any) -> int | None:
    """The only class in the truth; None if there are several, or no pixel at all."""
    return _only(np.asarray(hist).sum(1))


def renumbered(hist: Any) -> dict[int, int]:
    """Classes that are given another one each: {class: the other}; empty unless most of them are."""
    hist = np.asarray(hist)
    present = np.flatnonzero(hist.sum(1))
    given = hist.argmax(1)
    pairs = {
        int(k): int(given[k])
        for k in present
        if given[k] != k and hist[k, given[k]] > MAJORITY * hist[k].sum()
    }
    one_each = len(set(pairs.values())) == len(pairs) >= 2
    return pairs if one_each and len(pairs) > MAJORITY * len(present) else {}


def _only(counts: np.ndarray) -> int | None:
    return int(counts.argmax()) if np.count_nonzero(counts) == 1 else None
