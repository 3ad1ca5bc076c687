"""Reads a run's folder. Whatever is missing, of an older format or half written is left out and named."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fcn.findings import REFUSE
from fcn.report.records import FINDING, SCORING, Record, read_record, read_records, read_table

# What makes a folder that of a run
FILES = ("run.json", "log.csv", "scores.jsonl")
FINDINGS = "findings.jsonl"  # is all that a run leaves that was refused before its first step
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
    refused: bool = False  # before its first step

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
    files = any((folder / name).is_file() for name in (*FILES, FINDINGS))
    return files or (folder / "pictures").is_dir()


def read_run(folder: Path) -> Run:
    """The run in a folder; FileNotFoundError, which says what a run has, if nothing is there."""
    folder = Path(folder).resolve()
    if not is_run(folder):
        raise FileNotFoundError(no_run(folder))
    problems: list[str] = []
    of_findings: list[str] = []
    findings = read_records(folder / FINDINGS, FINDING, "", of_findings)
    if was_refused(folder, findings):
        return Run(folder, {}, {}, {}, findings, of_findings, refused=True)
    about = read_record(folder / "run.json", "start, seed and settings are unknown", problems)
    log = _read_log(folder / "log.csv", problems)
    scorings = read_records(folder / "scores.jsonl", SCORING, "there are no scores", problems)
    scores = _by_layer(scorings, problems)
    if scores and not any("hist" in record for rows in scores.values() for record in rows):
        problems.append("scores.jsonl has no confusion matrices (an older format)")
    return Run(folder, about, log, scores, findings, [*problems, *of_findings])


def no_run(folder: Path) -> str:
    """The sentence about a folder that is none of a run."""
    if not folder.is_dir():
        reason = "is a file: name the run's folder" if folder.exists() else "is not there"
        return f"{folder} {reason}"
    wanted = ", no ".join((*FILES, FINDINGS))
    return f"{folder} holds no run: there is no {wanted} and no pictures/"


def was_refused(folder: Path, findings: Iterable[Record]) -> bool:
    """True if the run was refused before its first step, so that its findings are all there is."""
    begun = any((folder / name).exists() for name in FILES)
    return not begun and any(finding.get("level") == REFUSE for finding in findings)


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


def _read_log(path: Path, problems: list[str]) -> dict[str, np.ndarray]:
    """The columns of log.csv. Where a resumed run repeats iterations, the last ones hold."""
    before = len(problems)
    header, rows = read_table(path, problems)
    if len(problems) > before and not header:
        return {}
    if "iteration" not in header or not ("loss" in header or "loss_per_pixel" in header):
        problems.append("log.csv has no columns iteration and loss")
        return {}
    if not rows:
        problems.append("log.csv has no lines yet")
        return {}
    columns = dict(zip(header, zip(*rows)))
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


def _by_layer(records: list[Record], problems: list[str]) -> dict[str, list[Record]]:
    """The scorings of each layer. Where a resumed run scores again, the last scoring holds."""
    layers: dict[str, list[Record]] = {}
    for record in records:
        if record.get("iteration") is None:
            problems.append("a scoring in scores.jsonl has no iteration, and is left out")
            continue
        rows = layers.setdefault(str(record.get("layer") or "score"), [])
        while rows and rows[-1]["iteration"] >= record["iteration"]:
            rows.pop()
        rows.append(record)
    return layers
