"""Makes curves readable: smooths them, thins them without losing extremes, finds their ticks."""

import math
from collections.abc import Iterable

import numpy as np

POINTS = 1000  # a curve is drawn with about as many


def thin(x: np.ndarray, y: np.ndarray, points: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """The curve with at most `points` points: the least and the greatest of each stretch, and both ends.

    Points without a value are left out.
    """
    there = np.isfinite(y)
    x, y = x[there], y[there]
    if len(x) <= points:
        return x, y
    edges = np.linspace(1, len(x) - 1, (points - 2) // 2 + 1).astype(int)
    keep = {0, len(x) - 1}
    for start, end in zip(edges[:-1], edges[1:]):
        keep.add(start + int(y[start:end].argmin()))
        keep.add(start + int(y[start:end].argmax()))
    index = np.array(sorted(keep))
    return x[index], y[index]


def smooth(y: np.ndarray, width: int) -> np.ndarray:
    """The mean of the last `width` values at each point, of those that there are."""
    there = np.isfinite(y)
    total = np.concatenate([[0.0], np.cumsum(np.where(there, y, 0.0))])
    count = np.concatenate([[0], np.cumsum(there)])
    end = np.arange(1, len(y) + 1)
    start = np.maximum(end - width, 0)
    number = count[end] - count[start]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, (total[end] - total[start]) / number, np.nan)


def wants_log(values: np.ndarray, factor: float = 20) -> bool:
    """True if a curve is to be drawn on a logarithmic scale: all positive, over a factor of `factor`."""
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() / values.min() > factor)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two values, at most `most` of them and evenly spaced."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(
        power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor >= raw * 0.999
    )
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten between two values; with few of them, their double and fivefold as well."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**power for power in powers for factor in factors]
        found = [value for value in found if low * 0.999 <= value <= high * 1.001]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def number(value: float) -> str:
    """A number for people: 120,000; 0.25; 1e-10."""
    if value != value or math.isinf(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 1000 and (value == round(value) or abs(value) < 1e6):
        return f"{value:,.0f}"
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:.4g}"
    mantissa, exponent = (
        f"{value:.3g}".split("e") if "e" in f"{value:.3g}" else (f"{value:.3g}", "")
    )
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def rate_changes(iteration: np.ndarray, rate: np.ndarray) -> list[tuple[float, float]]:
    """(iteration, new rate) at each change of the learning rate."""
    there = np.isfinite(rate)
    iteration, rate = iteration[there], rate[there]
    changed = np.flatnonzero(~np.isclose(rate[1:], rate[:-1], rtol=1e-6, atol=0)) + 1
    return [(float(iteration[k]), float(rate[k])) for k in changed]


def bounds(values: Iterable[np.ndarray]) -> tuple[float, float]:
    """The least and the greatest of all finite values; (0, 1) if there is none."""
    every = np.concatenate([np.zeros(0), *values])
    every = every[np.isfinite(every)]
    return (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
