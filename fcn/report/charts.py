"""The geometry of the page's charts. The template draws them; colours are the style sheet's.

Positions are percent of the plot, so that it can be stretched to any width while its texts keep their
size. A curve's points are thousandths, for the same reason.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

import fcn.report.curves as curves
from fcn.report.curves import number
from fcn.report.numbers import Curve

LABEL_GAP = 17  # pixels from one direct label to the next
MOST_DOTS = 60  # a curve with more points has none


class Tick(NamedTuple):
    """A number at an axis, or a mark in the plot."""

    at: float
    text: str


class Dot(NamedTuple):
    """A point with its values as a tooltip."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """A curve."""

    label: str
    color: int  # of the style sheet's series
    path: str
    dots: list[Dot]
    faint: bool
    only_dots: bool
    last: str  # its last value
    label_y: float  # pixels: where its label stands, at the right


class Chart(NamedTuple):
    """A chart with one or more curves over iterations."""

    title: str
    unit: str
    alt: str
    height: int
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Tick]


class Series(NamedTuple):
    """What a curve is made of."""

    label: str
    curve: Curve
    color: int
    faint: bool = False
    only_dots: bool = False
    steps: bool = False


def chart(
    title: str,
    unit: str,
    series: Sequence[Series],
    *,
    height: int = 260,
    log: bool = False,
    show: Callable[[float], str] = number,
    factor: float = 1,
    y_range: tuple[float, float] | None = None,
    marks: Sequence[tuple[float, str]] = (),
) -> Chart | None:
    """The chart of some curves; None if none has a point.

    `show` makes texts of values, and those at the axis are multiplied by `factor`.
    """
    series = [one for one in series if len(one.curve.x)]
    if not series:
        return None
    low, high = y_range or curves.bounds(one.curve.y for one in series)
    if low == high:
        low, high = (
            (low / 2, high * 2) if log else (low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2)
        )
    found = curves.log_ticks(low, high) if log else curves.ticks(low, high)
    if not y_range and not log:  # to the next round number, where there is room for a label
        step = found[1] - found[0] if len(found) > 1 else high - low
        low = min(low, max(found[0] - step, 0 if low >= 0 else -np.inf))
        high = max(high, found[-1] + (step if high > found[-1] else 0))
        found = curves.ticks(low, high)
    first, last = curves.bounds(one.curve.x for one in series)
    first = 0.0 if first < last / 4 else first
    across = _scale(first, max(last, first + 1), False)
    up = _scale(low, high, log)
    y_ticks = [
        Tick(_percent(100 - 100 * float(up(np.array(v)))), number(factor * v)) for v in found
    ]
    x_ticks = [
        Tick(_percent(100 * float(across(np.array(v)))), number(v))
        for v in curves.ticks(first, max(last, first + 1), 4)
    ]
    lines = [_line(one, across, up, height, show) for one in series]
    at = [Tick(_percent(100 * float(across(np.array(x)))), text) for x, text in marks]
    values = "; ".join(f"{line.label}: {line.last}" for line in lines if not line.faint)
    alt = f"{title} over iterations. At the end: {values}."
    return Chart(title, unit, alt, height, _spread(lines, height), x_ticks, y_ticks, at)


def _scale(low: float, high: float, log: bool) -> Callable[[np.ndarray], np.ndarray]:
    """A function from values to 0 (low) to 1 (high)."""
    if log:
        return lambda v: (np.log10(v) - np.log10(low)) / (np.log10(high) - np.log10(low))
    return lambda v: (v - low) / (high - low)


def _percent(value: float) -> float:
    return round(float(value), 2)


def _line(one: Series, across: Callable, up: Callable, height: int, show: Callable) -> Line:
    """A curve, thinned."""
    x, y = one.curve
    last = y[-1]
    if one.steps:
        x, y = _corners(x, y)
    x, y = curves.thin(x, y)
    left, top = 1000 * across(x), 1000 - 1000 * up(y)
    path = " ".join(f"{a:.5g},{b:.5g}" for a, b in zip(left, top))
    dots = []
    if one.only_dots or (len(x) <= MOST_DOTS and not one.faint and not one.steps):
        texts = [f"{one.label} {show(v)} at iteration {number(i)}" for i, v in zip(x, y)]
        dots = [Dot(_percent(a / 10), _percent(b / 10), t) for a, b, t in zip(left, top, texts)]
    end = (1 - float(up(np.array(last)))) * height
    return Line(one.label, one.color, path, dots, one.faint, one.only_dots, show(last), end)


def _corners(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve of steps: only the points at which it changes, each with the value before."""
    there = np.isfinite(y)
    x, y = x[there], y[there]
    changed = np.flatnonzero(y[1:] != y[:-1]) + 1
    if not len(x) or len(changed) > curves.POINTS // 2:
        return x, y
    index = np.sort(np.concatenate([[0], changed, changed, [len(x) - 1]]))
    before = np.sort(np.concatenate([[0], changed - 1, changed, [len(x) - 1]]))
    return x[index], y[before]


def _spread(lines: list[Line], height: int) -> list[Line]:
    """The lines, their labels moved apart where they would overlap; faint ones have none."""
    order = sorted(
        (k for k, line in enumerate(lines) if not line.faint), key=lambda k: lines[k].label_y
    )
    places = [lines[k].label_y for k in order]
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + LABEL_GAP)
    bottom = height + LABEL_GAP / 2
    for k in reversed(range(len(places))):
        places[k] = min(places[k], bottom)
        bottom = places[k] - LABEL_GAP
    moved = dict(zip(order, places))
    return [replace(line, label_y=round(moved.get(k, 0.0), 1)) for k, line in enumerate(lines)]


# ---- the confusion matrix


class Cell(NamedTuple):
    """A square of the matrix."""

    row: int
    column: int
    strength: float  # of its colour, 0 to 1
    percent: str  # what stands in it, if there is room
    text: str  # the tooltip


class Matrix(NamedTuple):
    """The confusion matrix, its rows normalised by the truth."""

    names: list[str]
    cells: list[Cell]
    size: int  # of a square, in pixels
    margin: int  # for the names, in pixels
    numbers: bool  # whether there is room for numbers in the squares


def strength(share: float) -> float:
    """How strongly a share is coloured: its root, so that small confusions show."""
    return round(share**0.5, 3)


def matrix(shares: np.ndarray, names: Sequence[str]) -> Matrix:
    """The geometry of a confusion matrix of shares; squares under a thousandth are not drawn."""
    count = len(names)
    size = 44 if count <= 8 else 34 if count <= 12 else 24 if count <= 25 else 15
    cells = []
    for row, column in zip(*np.nonzero(np.nan_to_num(shares) >= 0.001)):
        share = float(shares[row, column])
        percent = f"{100 * share:.0f}" if share >= 0.005 else ""
        text = f"{names[row]} given {names[column]}: {100 * share:.1f} %"
        cells.append(Cell(int(row), int(column), strength(share), percent, text))
    margin = min(150, round(16 + max(map(len, names)) * (6.3 if size > 20 else 5.6)))
    return Matrix(list(names), cells, size, margin, count <= 25)
