"""`caffe plot_training_log`: charts of training logs (tools/extra/plot_training_log.py)."""

import argparse
import os
from collections import OrderedDict
from collections.abc import Sequence

from .flags import ArgumentParser, UsageError
from .parse_log import SAME_LOSS, Row, read_log

# (title, which of read_log's two tables, word in the name of what is plotted, column of the x axis)
CHARTS = [
    (f"{what} vs. {axis}", table, word, column)
    for what, table, word in (
        ("Test accuracy", 1, "accuracy"),
        ("Test loss", 1, "loss"),
        ("Train learning rate", 0, "LearningRate"),
        ("Train loss", 0, "loss"),
    )
    for axis, column in (("Iters.", "NumIters"), ("Seconds", "Seconds"))
]


def plot_training_log(argv: Sequence[str]) -> int:
    """Plot one quantity of one or more training logs."""
    kinds = "\n".join(f"  {i}: {title}" for i, (title, *_) in enumerate(CHARTS))
    parser = ArgumentParser(
        "caffe plot_training_log",
        description=f"{plot_training_log.__doc__} Charts:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("chart", type=int, choices=range(len(CHARTS)), help="number of the chart")
    parser.add_argument("picture", help="file to write, such as loss.png")
    parser.add_argument("logs", nargs="+", help="training logs, or a run's train.log or log.csv")
    args = parser.parse_args(argv)
    from matplotlib.figure import Figure  # starting it takes a while

    title, table, word, column = CHARTS[args.chart]
    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot(
        title=title, xlabel=title.split("vs. ")[1], ylabel=title.split(" vs")[0]
    )
    for path in args.logs:
        for name, points in _curves(read_log(path)[table], word, column, path).items():
            label = os.path.basename(path) if name == word else f"{os.path.basename(path)} {name}"
            axes.plot(*zip(*points), label=label, marker="o" if len(points) < 30 else None)
    axes.legend()
    axes.grid(alpha=0.3)
    try:
        figure.savefig(args.picture, dpi=120)
    except ValueError as error:
        raise UsageError(f"cannot write {args.picture}: {error}") from None
    return 0


def _curves(
    rows: list[Row], word: str, column: str, path: str
) -> dict[str, list[tuple[float, float]]]:
    """Column name -> points (x, y), for every column whose name holds the word."""
    present = OrderedDict.fromkeys(name for row in rows for name in row)
    names = [name for name in present if word in name and name not in SAME_LOSS]
    if not names:
        shown = ", ".join(present) or "nothing"
        raise ValueError(
            f"{path}: no output with '{word}' in its name; it has {shown}{_hint(rows)}"
        )
    return {
        name: [(row[column], row[name]) for row in rows if name in row and column in row]
        for name in names
    }


def _hint(rows: list[Row]) -> str:
    """Where scores are, if there is none."""
    return "" if rows else " of such lines (of a run of `fcn train` the scores are in train.log)"
