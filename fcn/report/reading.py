"""Reads a run's folder. Whatever is missing, of an older format or half written is left out and named."""

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Record: TypeAlias = dict[str, Any]
# What makes a folder that of a run
FILES = ("run.json", "log.csv", "scores.jsonl")
COLUMNS = ("iteration", "rate", "loss", "smoothed_loss", "loss_per_pixel", "pictures_per_second")


@dataclass(eq=False)
class Run:
    """All that a run's folder tells."""

    folder: Path
    about: Record  # run.json; {} if there is none
    log: dict[str, np.ndarray]  # column -> values, nan where there is none; {} without a log
    scores: dict[str, list[Record]]  # score layer -> its scorings, by iteration
    findings: list[Record]
    problems: list[str] = field(default_factory=list)  # sentences: what is not there, and why
    label: str = ""  # what it goes by beside other runs

    @property
    def model(self) -> str:
        """The model's name: that of run.json, else of the folder that the snapshots are in."""
        if self.about.get("model"):
            return Path(str(self.about["model"])).name
        parts = self.folder.parts
        while parts and parts[-1] != "snapshot":
            parts = parts[:-1]
        above = [part for part in parts[:-1] if part != "sample"]
        return above[-1] if above else self.folder.name

    @property
    def name(self) -> str:
        """The run's own name."""
        first = self.folder.name == "snapshot"
        return str(self.about.get("run") or ("1" if first else self.folder.name))

    @property
    def sample(self) -> bool:
        """True for a run on the embedded task."""
        return bool(self.about.get("sample", "sample" in self.folder.parts[-3:]))


def is_run(folder: Path) -> bool:
    """True if the folder has anything that a run leaves behind for a report."""
    return any((folder / name).is_file() for name in FILES) or (folder / "pictures").is_dir()


def read_run(folder: Path) -> Run:
    """The run in a folder; FileNotFoundError, which says what a run has, if nothing is there."""
    folder = Path(folder).resolve()
    if not is_run(folder):
        raise FileNotFoundError(
            f"{folder} holds no run: there is no {', no '.join(FILES)} and no pictures/"
        )
    problems: list[str] = []
    about = _read_about(folder / "run.json", problems)
    log = _read_log(folder / "log.csv", problems)
    scorings = _lines(folder / "scores.jsonl", "there are no scores", problems)
    findings = _lines(folder / "findings.jsonl", None, problems)
    scores = _by_layer(scorings)
    if scores and not any("hist" in record for rows in scores.values() for record in rows):
        problems.append("scores.jsonl has no confusion matrices (an older format)")
    return Run(folder, about, log, scores, findings, problems)


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """The runs in several folders, each with a label of its own: the model, the run, or both."""
    runs = [read_run(folder) for folder in folders]
    models, names = ([getattr(run, what) for run in runs] for what in ("model", "name"))
    for run in runs:
        alone = models.count(run.model) == 1
        run.label = run.model if alone else f"{run.model} {run.name}"
        if not alone and len(set(models)) == 1 and names.count(run.name) == 1:
            run.label = f"run {run.name}"
    labels = [run.label for run in runs]
    for number, run in enumerate(runs, 1):
        if labels.count(run.label) > 1:
            run.label += f" ({number})"
    return runs


def _read_about(path: Path, problems: list[str]) -> Record:
    """run.json; {} with a problem noted if it cannot be read."""
    try:
        about = json.loads(path.read_text())
        if isinstance(about, dict):
            return about
        problems.append("run.json does not hold a record")
    except FileNotFoundError:
        problems.append("run.json is not there, so start, seed and settings are unknown")
    except ValueError:
        problems.append("run.json cannot be read (half written?)")
    return {}


def _read_log(path: Path, problems: list[str]) -> dict[str, np.ndarray]:
    """The columns of log.csv. Where a resumed run repeats iterations, the last ones hold."""
    try:
        with open(path, newline="", errors="replace") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        problems.append("log.csv is not there, so there is no loss curve")
        return {}
    header = rows[0] if rows else []
    if "iteration" not in header or not ("loss" in header or "loss_per_pixel" in header):
        problems.append("log.csv has no columns iteration and loss")
        return {}
    whole = [row for row in rows[1:] if len(row) == len(header)]
    if len(whole) < len(rows) - 1:
        problems.append(f"{_lines_of(len(rows) - 1 - len(whole))} of log.csv cannot be read")
    if not whole:
        problems.append("log.csv has no lines yet")
        return {}
    columns = dict(zip(header, zip(*whole)))
    log = {name: _numbers(columns[name]) for name in COLUMNS if name in columns}
    log = {name: values[_that_hold(log["iteration"])] for name, values in log.items()}
    return log if len(log["iteration"]) else {}


def _numbers(texts: Iterable[str]) -> np.ndarray:
    """Texts as floats; nan where a text is no number."""
    texts = list(texts)
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return np.array([_number(text) for text in texts])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _that_hold(iteration: np.ndarray) -> np.ndarray:
    """True for the lines that no later line of the same or an earlier iteration replaces."""
    least_after = np.minimum.accumulate(np.append(iteration[1:], np.inf)[::-1])[::-1]
    return np.isfinite(iteration) & (iteration < least_after)


def _lines(path: Path, if_missing: str | None, problems: list[str]) -> list[Record]:
    """The records of a file with a line of JSON each; broken lines are counted as a problem."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        if if_missing:
            problems.append(f"{path.name} is not there, so {if_missing}")
        return []
    records, broken = [], 0
    for line in filter(str.strip, lines):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            broken += 1
    if broken:
        problems.append(f"{_lines_of(broken)} of {path.name} cannot be read")
    if not records and if_missing and not broken:
        problems.append(f"{path.name} has no lines yet, so {if_missing}")
    return records


def _lines_of(count: int) -> str:
    return "a line" if count == 1 else f"{count} lines"


def _by_layer(records: list[Record]) -> dict[str, list[Record]]:
    """The scorings of each layer. Where a resumed run scores again, the last scoring holds."""
    layers: dict[str, list[Record]] = {}
    for record in records:
        if not isinstance(record.get("iteration"), int | float):
            continue
        rows = layers.setdefault(str(record.get("layer", "score")), [])
        while rows and rows[-1]["iteration"] >= record["iteration"]:
            rows.pop()
        rows.append(record)
    return layers
