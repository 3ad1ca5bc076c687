"""What a report shows of a run, as numbers: loss, scores, classes, confusions. Nothing is drawn here."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fcn.measures import scores
from fcn.report.curves import number, rate_changes, smooth
from fcn.report.reading import Run
from fcn.report.records import Record
from fcn.tasks import task_of

MEASURES = {
    "mean_iu": "mean IU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "fw_iu": "f.w. IU",
}
SMOOTHED_OVER = 50  # stretches of a curve: the running mean is over a 50th of the lines
CONFUSIONS = 12  # listed


class Curve(NamedTuple):
    """Values over iterations."""

    x: np.ndarray
    y: np.ndarray


class Loss(NamedTuple):
    """A run's loss."""

    raw: Curve
    smoothed: Curve
    held_back: Curve  # at the scorings; empty if it cannot be had in the same unit
    width: int  # lines that the running mean is over
    per_pixel: bool
    not_finite: int  # lines whose loss is no finite number
    rate: Curve
    changes: list[tuple[float, float]]  # (iteration, new rate)

    @property
    def first_rate(self) -> float | None:
        """The learning rate of the first line; None if no line has it."""
        there = self.rate.y[np.isfinite(self.rate.y)]
        return float(there[0]) if there.size else None

    @property
    def rate_words(self) -> str:
        """A sentence about a rate that does not change; empty if it does, or if nobody knows."""
        there = self.rate.y[np.isfinite(self.rate.y)]
        if not there.size or self.changes:
            return ""
        rate = number(float(there[0]))
        if there.size == 1:
            return f"The learning rate is {rate} in the only line that has one."
        lines = "throughout" if there.size == len(self.rate.y) else "in all lines that have one"
        return f"The learning rate is {rate} {lines}."

    @property
    def unit(self) -> str:
        """What the numbers are."""
        return "loss per pixel" if self.per_pixel else "loss, as the net sums it"


class ClassScore(NamedTuple):
    """A class in a scoring; None where it has no score."""

    number: int
    name: str
    iu: float | None
    accuracy: float | None
    frequency: float | None


class Confusion(NamedTuple):
    """Pixels of one class that are given another."""

    truth: int
    given: int
    share: float  # of the truth's pixels
    pixels: int


def loss_of(run: Run) -> Loss | None:
    """A run's loss, per pixel where the log has it; None without a log."""
    log = run.log
    per_pixel = "loss_per_pixel" in log and bool(np.isfinite(log["loss_per_pixel"]).any())
    name = "loss_per_pixel" if per_pixel else "loss"
    if name not in log:
        return None
    x, y = log["iteration"], log[name]
    width = max(1, len(y) // SMOOTHED_OVER)
    finite = np.isfinite(y)
    raw, mean = Curve(x[finite], y[finite]), Curve(x[finite], smooth(y[finite], width))
    rate = Curve(x, log.get("rate", np.full(len(x), np.nan)))
    held_back = _held_back(run, per_pixel)
    missing = int(len(y) - finite.sum())
    return Loss(raw, mean, held_back, width, per_pixel, missing, rate, rate_changes(*rate))


def _held_back(run: Run, per_pixel: bool) -> Curve:
    """The loss of the scored pictures, in the unit of the log's."""
    points = []
    if len(run.scores) == 1 and {"loss", "loss_per_pixel"} <= run.log.keys():
        with np.errstate(all="ignore"):
            ratios = run.log["loss"] / run.log["loss_per_pixel"]
        ratios = ratios[np.isfinite(ratios)]
        ratio = np.median(ratios) if ratios.size else np.nan
        for record in next(iter(run.scores.values())):
            loss, pixels = record.get("loss"), np.sum(record.get("hist") or 0)
            if loss is None:
                continue
            if not per_pixel or 0.99 < ratio < 1.01:  # the net's loss is a mean over pixels
                points.append((record["iteration"], loss))
            elif pixels:
                points.append((record["iteration"], loss * record.get("images", 1) / pixels))
    x, y = zip(*points) if points else ((), ())
    return Curve(np.array(x, float), np.array(y, float))


def together(curves: Iterable[Curve]) -> np.ndarray:
    """The values of several curves in one array."""
    return np.concatenate([np.zeros(0), *(curve.y for curve in curves)])


def positive(curve: Curve) -> Curve:
    """The points of a curve that a logarithmic scale can show."""
    return Curve(curve.x[curve.y > 0], curve.y[curve.y > 0])


def measure_of(records: Sequence[Record], measure: str) -> Curve:
    """A measure over the scorings, as shares of 1; those without it are left out."""
    there = [r for r in records if isinstance(r.get(measure), int | float)]
    return Curve(
        np.array([r["iteration"] for r in there], float), np.array([r[measure] for r in there])
    )


def best(records: Sequence[Record]) -> Record | None:
    """The scoring with the greatest mean IU; None if none has it."""
    there = [record for record in records if record.get("mean_iu") is not None]
    return max(there, key=lambda record: record["mean_iu"], default=None)


def hist_of(record: Record) -> np.ndarray | None:
    """A scoring's confusion matrix; None if it has none."""
    try:
        hist = np.array(record.get("hist") or 0, np.float64)
    except ValueError:  # rows of different lengths
        return None
    return hist if hist.ndim == 2 and hist.shape[0] == hist.shape[1] else None


def names_of(run: Run, layer: str, count: int) -> list[str]:
    """The names of a score layer's classes: the record's, else the task's, else numbers."""
    names = run.about.get("classes")
    if isinstance(names, dict):
        names = names.get(layer)
    if isinstance(names, list) and len(names) == count:
        return [str(name) for name in names]
    try:
        known = task_of(run.model, run.sample).names_of(layer)
    except (ValueError, OSError):
        known = ()
    return list(known) if len(known) == count else [f"class {k}" for k in range(count)]


def classes_of(run: Run, layer: str, record: Record) -> list[ClassScore]:
    """The classes of a scoring, in the order of their indices."""
    values: dict[str, Any] = record
    hist = hist_of(record)
    if not record.get("iu") and hist is not None:
        values = scores(hist)
    columns = [values.get(key) or [] for key in ("iu", "accuracy", "frequency")]
    names = names_of(run, layer, len(columns[0]))
    result = []
    for k, name in enumerate(names):
        each = [column[k] if k < len(column) else None for column in columns]
        result.append(ClassScore(k, name, *(None if v is None or v != v else v for v in each)))
    return result


def shares_of(hist: np.ndarray) -> np.ndarray:
    """A confusion matrix, each row as shares of the truth's pixels; nan where there are none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return hist / hist.sum(1, keepdims=True)


def confusions(hist: np.ndarray, most: int = CONFUSIONS) -> list[Confusion]:
    """The largest confusions, by the share of the true class's pixels."""
    shares = np.nan_to_num(shares_of(hist))
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:most]
    pairs = [divmod(int(k), len(hist)) for k in order]
    return [
        Confusion(i, j, float(shares[i, j]), int(hist[i, j])) for i, j in pairs if shares[i, j] > 0
    ]
