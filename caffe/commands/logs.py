"""Training logs as tables and plots (tools/extra/parse_log.py, plot_training_log.py)."""

import argparse
import csv
import datetime
import os
import re
from collections import OrderedDict

from .flags import UsageError

_ITERATION = re.compile(r"Iteration (\d+)")
_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
_OUTPUT = {
    kind: re.compile(rf"{kind} net output #\d+: (\S+) = {_NUMBER}") for kind in ("Train", "Test")
}
_RATE = re.compile(rf"lr = {_NUMBER}")
_TIME = re.compile(r"^[IWEF](\d{4})?(\d\d)(\d\d) (\d+):(\d+):(\d+)\.(\d+)")


class Parser(argparse.ArgumentParser):
    """argparse with the tools' exit code for a wrong command line."""

    def error(self, message):
        raise UsageError(f"{message}; see {self.prog} --help")


# ---- parse_log


def read_log(path):
    """(training rows, test rows): a dict a display, of NumIters, Seconds, LearningRate and outputs.

    ValueError for a file without the line that `caffe train` starts with.
    """
    rows, iteration, rate, start, before = {"Train": [], "Test": []}, None, float("nan"), None, None
    year = datetime.datetime.fromtimestamp(os.path.getctime(path)).year
    with open(path, errors="replace") as file:
        for line in file:
            time = _time(line, year)
            if time is None:
                continue
            if before is not None and time.month < before.month and not _TIME.match(line)[1]:
                year += 1  # old logs' lines state no year
                time = time.replace(year=year)
            before = time
            if start is None and "Solving" in line:
                start = time
            if start is None:
                continue
            if match := _ITERATION.search(line):
                iteration = float(match[1])
            if match := _RATE.search(line):
                rate = float(match[1])
            for kind, pattern in _OUTPUT.items():
                match = pattern.search(line)
                if match and iteration is not None:
                    seconds = (time - start).total_seconds()
                    _add(rows[kind], iteration, seconds, rate, match[1], float(match[2]))
    if start is None:
        raise ValueError(f"{path}: no training log of Caffe's: it has no line with 'Solving'")
    for found in rows.values():
        if len(found) > 1:  # the first display comes before the first line with a rate
            found[0]["LearningRate"] = found[1]["LearningRate"]
    return rows["Train"], rows["Test"]


def _time(line, year):
    match = _TIME.match(line)
    if match is None:
        return None
    stated, *fields = match.groups()
    month, day, hour, minute, second, micro = map(int, fields)
    return datetime.datetime(int(stated or year), month, day, hour, minute, second, micro)


def _add(rows, iteration, seconds, rate, name, value):
    """Enter an output's value into the row of its iteration, a new one when it has the value."""
    if not rows or rows[-1]["NumIters"] != iteration or name in rows[-1]:
        fixed = [("NumIters", iteration), ("Seconds", seconds), ("LearningRate", rate)]
        rows.append(OrderedDict(fixed))
    rows[-1][name] = value


def parse_log(argv):
    """Write <log>.train and <log>.test, tables of a training log, into a folder."""
    parser = Parser("caffe parse_log", description=parse_log.__doc__)
    parser.add_argument("logfile_path", help="what `caffe train` wrote to standard error")
    parser.add_argument("output_dir", help="folder to write the tables to")
    parser.add_argument("--verbose", action="store_true", help="print what was written")
    parser.add_argument("--delimiter", default=",", help="between columns (default: a comma)")
    args = parser.parse_args(argv)
    stem = os.path.join(args.output_dir, os.path.basename(args.logfile_path))
    for rows, ending in zip(read_log(args.logfile_path), ("train", "test")):
        path = f"{stem}.{ending}"
        if not rows:
            print(f"Not writing {path}; no lines to write")
            continue
        names = list(OrderedDict.fromkeys(name for row in rows for name in row))
        with open(path, "w", newline="") as file:
            table = csv.DictWriter(file, names, delimiter=args.delimiter, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        if args.verbose:
            print(f"Wrote {path}")
    return 0


# ---- plot_training_log

# (what, which of read_log's tables, column, or None for the first that holds the word)
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


def plot_training_log(argv):
    """Plot one quantity of one or more training logs."""
    kinds = "\n".join(f"  {i}: {title}" for i, (title, *_) in enumerate(CHARTS))
    parser = Parser(
        "caffe plot_training_log",
        description=f"{plot_training_log.__doc__} Charts:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("chart", type=int, choices=range(len(CHARTS)), help="number of the chart")
    parser.add_argument("picture", help="file to write, such as loss.png")
    parser.add_argument("logs", nargs="+", help="training logs")
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


def _curves(rows, word, column, path):
    """Column name -> points (x, y), for every column whose name holds the word."""
    names = OrderedDict.fromkeys(name for row in rows for name in row if word in name)
    if not names:
        shown = ", ".join(OrderedDict.fromkeys(name for row in rows for name in row)) or "nothing"
        raise ValueError(f"{path}: no output with '{word}' in its name; it has {shown}")
    return {name: [(row[column], row[name]) for row in rows if name in row] for name in names}
