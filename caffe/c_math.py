"""Arithmetic as C has it, where Python's own differs."""

import math

import numpy as np


def c_pow(base: float, exponent: float) -> float:
    """C's pow: infinity where the result is too large, NaN where it is not real; Python raises."""
    with np.errstate(all="ignore"):
        return float(np.power(np.float64(base), exponent))


def c_round(value: float) -> int:
    """C's round: halves go away from zero; Python rounds them to even."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
