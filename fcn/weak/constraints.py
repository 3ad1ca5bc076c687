"""The distribution nearest to a net's that meets linear constraints (Pathak, Kraehenbuehl and Darrell 2015).

P minimises the mean over cells of KL(P_i || Q_i) such that A mean(P) >= b, with mean(P) each class's share.
In the dual there is a multiplier a constraint, at most its `slack` where it may be violated at that price:
P_i is the softmax of the scores + A^T lambda.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

STEPS, SMALLEST = 3000, 1e-8  # evaluations at most; the step at which to stop
FASTER, SLOWER = 1.1, 0.5
HARD = 1e10


class Bound(NamedTuple):
    """share(classes) >= least if `sign` is 1, <= least if it is -1; violated at the price `slack` a share."""

    sign: int
    classes: tuple[int, ...]
    share: float
    slack: float = HARD

    def __str__(self) -> str:
        """`share of class 3 at least 0.05`."""
        what = f"class{'es' * (len(self.classes) > 1)} {', '.join(map(str, self.classes))}"
        return f"share of {what} {'at least' if self.sign > 0 else 'at most'} {self.share:g}"


def softmax(scores: np.ndarray) -> np.ndarray:
    """Of each row."""
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def require_possible(bounds: Sequence[Bound], classes: int) -> None:
    """Raise ValueError for hard constraints on shares that no distribution meets, naming them."""
    least, most = np.zeros(classes), np.ones(classes)
    said: dict[int, list[Bound]] = {}
    for bound in bounds:
        if bound.slack < HARD or len(bound.classes) != 1:
            continue
        k = bound.classes[0]
        said.setdefault(k, []).append(bound)
        if bound.sign > 0:
            least[k] = max(least[k], bound.share)
        else:
            most[k] = min(most[k], bound.share)
    for k in map(int, np.flatnonzero(least > most)):
        raise ValueError("cannot be met together: " + "; ".join(map(str, said[k])))
    if least.sum() > 1 + 1e-9:
        listed = "; ".join(str(b) for each in said.values() for b in each if b.sign > 0)
        raise ValueError(f"cannot be met together, shares add up to {least.sum():g}: {listed}")
    if most.sum() < 1 - 1e-9:
        raise ValueError(f"cannot be met together: all classes' shares are at most {most.sum():g}")


def project(scores: np.ndarray, bounds: Sequence[Bound]) -> np.ndarray:
    """P, cells x classes, for scores of that shape; ValueError for hard constraints that cannot be met.

    Projected gradient in the dual, from 0: a step that is better is kept and the next one larger.
    """
    cells, classes = scores.shape
    require_possible(bounds, classes)
    rows = np.zeros((len(bounds), classes))
    for row, bound in zip(rows, bounds):
        row[list(bound.classes)] = bound.sign
    wanted = np.array([bound.sign * bound.share for bound in bounds])
    limits = np.array([bound.slack for bound in bounds])
    scores = np.asarray(scores, np.float64)

    def dual(multipliers: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        raised = scores + multipliers @ rows
        top = raised.max(1, keepdims=True)
        exps = np.exp(raised - top)
        sums = exps.sum(1, keepdims=True)
        value = float((np.log(sums) + top).mean() - multipliers @ wanted)
        return value, rows @ (exps / sums).mean(0) - wanted, exps / sums

    multipliers, step = np.zeros(len(bounds)), 10.0
    value, gradient, best = dual(multipliers)
    for _ in range(STEPS):
        tried = np.clip(multipliers - step * gradient, 0, limits)
        if np.abs(tried - multipliers).max(initial=0) < SMALLEST:
            break
        new, slope, p = dual(tried)
        if new < value:
            multipliers, value, gradient, best, step = tried, new, slope, p, step * FASTER
        else:
            step *= SLOWER
            if step < SMALLEST:
                break
    return best
