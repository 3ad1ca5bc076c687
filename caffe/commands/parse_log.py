"""`caffe parse_log`: a training log as tables (tools/extra/parse_log.py)."""

import contextlib
import csv
import datetime
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from .flags import ArgumentParser

_ITERATION = re.compile(r"Iteration (\d+)")
_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
_OUTPUT = {
    kind: re.compile(rf"{kind} net output #\d+: (\S+) = {_NUMBER}") for kind in ("Train", "Test")
}
_RATE = re.compile(rf"lr = {_NUMBER}")
_TIME = re.compile(r"^[IWEF](\d{4})?(\d\d)(\d\d) (\d+):(\d+):(\d+)\.(\d+)")


Row = dict[str, float]  # of a table: column name -> value
WHERE = "of `fcn train` (solve.py) the log is train.log in the run's folder, or log.csv beside it"
SAME_LOSS = ("smoothed_loss", "loss_per_pixel")  # columns of a log.csv: its loss in other forms


def read_log(path: str) -> tuple[list[Row], list[Row]]:
    """(training rows, test rows): a row a display, of NumIters, Seconds, LearningRate and outputs.

    The file is a log of Caffe's, or the table of a run of `fcn train`, log.csv, which has no test
    rows. ValueError for a file without a line of training.
    """
    with open(path, errors="replace", newline="") as file:
        if {"iteration", "loss"} <= set(file.readline().strip().split(",")):
            file.seek(0)
            return read_table(path, csv.DictReader(file)), []
    rows: dict[str, list[Row]] = {"Train": [], "Test": []}
    iteration, rate, start, before = None, float("nan"), None, None
    year = datetime.datetime.fromtimestamp(os.path.getctime(path)).year
    with open(path, errors="replace") as file:
        for line in file:
            stamp = _TIME.match(line)
            if stamp is None:
                continue
            time = _time(stamp, year)
            if before is not None and time.month < before.month and not stamp[1]:
                year += 1  # old logs' lines state no year
                time = time.replace(year=year)
            before = time
            if start is None and ("Solving" in line or _ITERATION.search(line)):
                start = time  # a log of `step` alone has no line with "Solving"
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
        raise ValueError(
            f"{path}: no training log of Caffe's: it has no line with 'Solving' nor with "
            f"'Iteration N'; {WHERE}"
        )
    for found in rows.values():
        if found:  # the first display comes before the first line with a rate
            found[0]["LearningRate"] = found[1]["LearningRate"] if len(found) > 1 else rate
    return rows["Train"], rows["Test"]


def read_table(path: str, table: Iterable[dict[str, str]]) -> list[Row]:
    """The rows of a log.csv, as of a log; lines that are cut are left out. ValueError without a row."""
    rows: list[Row] = []
    start = None
    for line in table:
        numbers = {
            name: _number(line.get(name)) for name in ("iteration", "rate", "loss", *SAME_LOSS)
        }
        iteration, rate, loss, *others = numbers.values()
        if iteration is None or loss is None or None in line.values():
            continue
        row: Row = OrderedDict(NumIters=iteration)
        with contextlib.suppress(KeyError, ValueError):
            time = datetime.datetime.fromisoformat(line["time"])
            start = start or time
            row["Seconds"] = (time - start).total_seconds()
        row["LearningRate"] = float("nan") if rate is None else rate
        row["loss"] = loss
        row.update((name, value) for name, value in zip(SAME_LOSS, others) if value is not None)
        rows.append(row)
    if not rows:
        raise ValueError(f"{path}: the table holds no line of training yet")
    return rows


def _number(text: str | None) -> float | None:
    """A field of a table; None if it is no number."""
    try:
        return float(text or "")
    except ValueError:
        return None


def _time(stamp: re.Match[str], year: int) -> datetime.datetime:
    """When a line was logged; `year` is for old logs, whose lines state none."""
    stated, *fields = stamp.groups()
    month, day, hour, minute, second, micro = map(int, fields)
    if (month, day) == (2, 29) and not stated:
        year -= year % 4  # of a log that was copied in a later year
    return datetime.datetime(int(stated or year), month, day, hour, minute, second, micro)


def _add(
    rows: list[Row], iteration: float, seconds: float, rate: float, name: str, value: float
) -> None:
    """Enter an output's value into its iteration's row, into a new row if that has one already."""
    if not rows or rows[-1]["NumIters"] != iteration or name in rows[-1]:
        fixed = [("NumIters", iteration), ("Seconds", seconds), ("LearningRate", rate)]
        rows.append(OrderedDict(fixed))
    rows[-1][name] = value


def parse_log(argv: Sequence[str]) -> int:
    """Write <log>.train and <log>.test, tables of a training log, into a folder."""
    parser = ArgumentParser("caffe parse_log", description=parse_log.__doc__)
    parser.add_argument(
        "logfile_path",
        help="what `caffe train` wrote to standard error, or a run's train.log or log.csv",
    )
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
