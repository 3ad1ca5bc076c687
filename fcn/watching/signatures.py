"""Numbers that tell exactly what a net gives: the same score to all classes, one class to all pixels."""

import math
from typing import Any

import numpy as np

NEAR = 1e-4  # relative difference of a loss from a signature
SATURATED = 87.33654475  # -ln(FLT_MIN): no softmax loss of a pixel is larger


def is_near(value: float, signature: float, tolerance: float = NEAR) -> bool:
    """Whether a number is a signature."""
    return math.isfinite(value) and abs(value - signature) <= tolerance * signature


def per_pixel(loss: float, pixels: float | None, signature: float) -> bool:
    """Whether a loss, a mean over pixels or a sum over so many, is `signature` a pixel."""
    return is_near(loss, signature) or bool(pixels) and is_near(loss / (pixels or 1), signature)


def is_uniform(loss: float, classes: int, pixels: float | None = None) -> bool:
    """Whether a loss is that of equal scores for all classes: ln(classes) a pixel."""
    return classes > 1 and per_pixel(loss, pixels, math.log(classes))


def is_saturated(loss: float, pixels: float | None = None, wrong: float = 1.0) -> bool:
    """Whether the softmax loss is at its largest in every pixel that is wrong; `wrong`: their share."""
    return wrong > 0.01 and per_pixel(loss, pixels, SATURATED * wrong)


def only_given(hist: Any) -> int | None:
    """The class that every pixel is given; None if there are several."""
    return _only(np.asarray(hist).sum(0))


def only_true(hist: Any) -> int | None:
    """The only class in the truth; None if there are several, or no pixel at all."""
    return _only(np.asarray(hist).sum(1))


def _only(counts: np.ndarray) -> int | None:
    return int(counts.argmax()) if np.count_nonzero(counts) == 1 else None
