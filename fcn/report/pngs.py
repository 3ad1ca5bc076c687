"""The report's figures as PNGs, for papers and slides: report-loss.png and so on, by matplotlib."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from PIL import Image

import fcn.report.numbers as numbers
from fcn.report.curves import thin, wants_log
from fcn.report.gallery import UNREADABLE, kept
from fcn.report.numbers import MEASURES
from fcn.report.reading import Run

COLORS = ("#0072b2", "#c24e00", "#007f5c", "#9c4a80", "#8a6500", "#3f4750")  # as the page's
STYLES = ("-", "--", ":", "-", "--", ":")
DPI = 100


def write_pngs(runs: Sequence[Run], stem: Path) -> list[Path]:
    """Write STEM-loss.png, -scores, -classes, -confusion and -pictures, as far as there is data.

    A figure of the last report that cannot be drawn any more is removed.
    """
    layer = next((layer for run in runs for layer in run.scores), "score")
    draw: dict[str, Callable[[Sequence[Run], str], Figure | None]] = {
        "loss": loss,
        "scores": scores,
        "classes": classes,
        "confusion": confusion,
        "pictures": pictures,
    }
    written = []
    for name, function in draw.items():
        path = stem.with_name(f"{stem.name}-{name}.png")
        figure = function(runs, layer)
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        figure.savefig(path, dpi=DPI)
        written.append(path)
    return written


def plain(text: str) -> str:
    """A text as matplotlib shows it as it is: no mathematics, and nothing that is no character."""
    return text.encode("utf-8", "replace").decode().replace("$", r"\$")


def _style(axes: Axes, x: str, y: str) -> None:
    """Names at the axes, a quiet grid, no box."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y", color="#d5dae0", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def loss(runs: Sequence[Run], layer: str) -> Figure | None:
    """The smoothed loss over iterations; of one run each line of the log, too."""
    there = [(k, run, found) for k, run in enumerate(runs) if (found := numbers.loss_of(run))]
    if not there:
        return None
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for k, run, found in there:
        color = COLORS[k % 6]
        if len(there) == 1:
            axes.plot(*thin(*found.raw), color=color, alpha=0.3, linewidth=0.8)
            for x, rate in found.changes[:20]:
                axes.axvline(x, color="#59626d", linestyle=":", linewidth=1)
                axes.annotate(
                    f" rate {rate:g}", (x, 1), xycoords=("data", "axes fraction"), va="top"
                )
        label = "training" if len(runs) == 1 else plain(run.label)
        axes.plot(*thin(*found.smoothed), STYLES[k % 6], color=color, linewidth=2, label=label)
        if len(found.held_back.x):
            label = "held back" if len(runs) == 1 else ""
            axes.plot(*found.held_back, "o", color=color, markerfacecolor="white", label=label)
    if wants_log(numbers.together(found.smoothed for _, _, found in there)):
        axes.set_yscale("log")
    _style(axes, "iteration", there[0][2].unit)
    axes.legend(frameon=False)
    return figure


def scores(runs: Sequence[Run], layer: str) -> Figure | None:
    """The measures over iterations; of several runs a panel each."""
    curves = [[numbers.measure_of(run.scores.get(layer, ()), m) for m in MEASURES] for run in runs]
    if not any(len(curve.x) for row in curves for curve in row):
        return None
    several = len(runs) > 1
    figure = Figure(figsize=(8, 6 if several else 4), layout="constrained")
    panels = figure.subplots(*(2, 2) if several else (1, 1), squeeze=False).ravel()
    for j, (run, row) in enumerate(zip(runs, curves)):
        for k, (name, curve) in enumerate(zip(MEASURES.values(), row)):
            axes, at = (panels[k], j) if several else (panels[0], k)
            label = plain(run.label) if several else name
            style = STYLES[at % 6] + ("o" if len(curve.x) <= 60 else "")
            axes.plot(curve.x, 100 * curve.y, style, color=COLORS[at % 6], ms=4, label=label)
            axes.set_title(name if several else "")
            _style(axes, "iteration", "percent")
    panels[0].legend(frameon=False)
    return figure


def classes(runs: Sequence[Run], layer: str) -> Figure | None:
    """The classes' IU as bars, the best first."""
    there = [
        (run.label, numbers.classes_of(run, layer, run.scores[layer][-1]))
        for run in runs
        if run.scores.get(layer)
    ]
    first = [score for _, column in there[:1] for score in column if score.iu is not None]
    if not first:
        return None
    first.sort(key=lambda score: score.iu or 0)
    there = [(label, column) for label, column in there if len(column) == len(there[0][1])]
    height = 0.8 / len(there)
    figure = Figure(figsize=(7, 1 + 0.24 * len(first)), layout="constrained")
    axes = figure.subplots()
    for k, (label, column) in enumerate(there):
        values = np.array([100 * (column[score.number].iu or 0) for score in first])
        places = np.arange(len(first)) + 0.4 - (k + 0.5) * height
        bars = axes.barh(places, values, height, color=COLORS[k % 6], label=plain(label))
        if len(there) == 1:
            axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    axes.set_yticks(range(len(first)), [plain(score.name) for score in first], fontsize=9)
    axes.set_ylim(-0.6, len(first) - 0.4)
    _style(axes, "IU, percent", "")
    axes.grid(axis="x", color="#d5dae0", linewidth=0.8)
    if len(there) > 1:
        axes.legend(frameon=False)
    return figure


def confusion(runs: Sequence[Run], layer: str) -> Figure | None:
    """The confusion matrix of the first run that has one, its rows normalised by the truth."""
    for run in runs:
        record = run.scores[layer][-1] if run.scores.get(layer) else {}
        hist = numbers.hist_of(record)
        if hist is not None and hist.any():
            break
    else:
        return None
    names = [plain(name) for name in numbers.names_of(run, layer, len(hist))]
    side = min(12.0, 3 + 0.26 * len(names))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    shares = 100 * np.nan_to_num(numbers.shares_of(hist))
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 100))  # small ones show
    size = 9 if len(names) <= 25 else 6
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xlabel("given as")
    axes.set_ylabel("truth")
    figure.colorbar(image, label="percent of the truth's pixels", shrink=0.7)
    return figure


def pictures(runs: Sequence[Run], layer: str) -> Figure | None:
    """The kept pictures: input, truth and the newest prediction of each run."""
    there = [(run, found) for run in runs if (found := kept(run, layer))]
    if not there:
        return None
    first = there[0][1]
    titles = [
        "input",
        "truth",
        *(f"{plain(run.label)}\niteration {found.iterations[0]}" for run, found in there),
    ]
    figure = Figure(figsize=(2.4 * len(titles), 1.9 * len(first.ids) + 0.5), layout="constrained")
    grid = figure.subplots(len(first.ids), len(titles), squeeze=False)
    for axes, title in zip(grid[0], titles):
        axes.set_title(title, fontsize=9)
    for row, id in zip(grid, first.ids):
        files = [first.input(id), first.truth(id)]
        files += [found.prediction(id, found.iterations[0]) for _, found in there]
        for axes, file in zip(row, files):
            axes.set_axis_off()
            if (pixels := _pixels(file)) is not None:
                axes.imshow(pixels, interpolation="nearest")
    return figure


def _pixels(path: Path) -> np.ndarray | None:
    """A picture's colours, made small enough for a figure; None if it cannot be read."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except UNREADABLE:
        return None
    image.thumbnail((240, 240))
    return np.asarray(image)
