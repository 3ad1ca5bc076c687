"""`fcn results`: what the models score here, beside the paper and the original weights.

    fcn score --model voc-fcn8s --record results.jsonl    adds a record
    fcn results                                           writes results.md from all records
    fcn results DIR                                       writes DIR/results.md, of a folder of one's own

A record holds every score of every class and what it was made from: the weights' sha1, data set,
split and number of pictures, versions, date. The table says where there is no record yet.
"""

import argparse
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

import caffe
from fcn import models, places, runs
from fcn.leakage import split_of
from fcn.measures import MEASURES
from fcn.records import read_records
from fcn.tasks import class_list, is_published, task_of
from fcn.weights import sha1_of

RECORDS, TABLE = places.HOME / "results.jsonl", places.HOME / "results.md"

# Percent: pixel accuracy, mean accuracy, mean IU, frequency weighted IU; None where not given.
# PAMI'17 as quoted by later work, rounded to a tenth.
PAPER = {
    ("voc-fcn32s", "score"): (90.5, 76.5, 63.6, 83.5),
    ("voc-fcn16s", "score"): (91.0, 78.1, 65.0, 84.3),
    ("voc-fcn8s", "score"): (91.2, 77.6, 65.5, 84.5),
    ("voc-fcn8s-atonce", "score"): (91.1, 78.5, 65.4, 84.4),
    ("nyud-fcn32s-color", "score"): (61.8, 44.7, 31.6, 46.0),
    ("nyud-fcn32s-color-d", "score"): (62.1, 44.8, 31.7, 46.3),
    ("nyud-fcn32s-hha", "score"): (58.3, 35.7, 25.2, 41.7),
    ("nyud-fcn32s-color-hha", "score"): (65.3, 44.0, 33.3, 48.6),
    ("siftflow-fcn8s", "score_sem"): (85.9, 53.9, 41.2, 77.2),
    ("siftflow-fcn8s", "score_geo"): (94.6, None, None, None),
    ("pascalcontext-fcn32s", "score"): (65.5, 49.1, 36.7, 50.9),
    ("pascalcontext-fcn16s", "score"): (66.9, 51.3, 38.4, 52.3),
    ("pascalcontext-fcn8s", "score"): (67.5, 52.3, 39.1, 53.0),
}
# The released weights, scored outside of Caffe (wkentaro/fcn), and the original README.
ORIGINAL = {
    ("voc-fcn32s", "score"): (90.4810, 76.4824, 63.6261, 83.4580),
    ("voc-fcn16s", "score"): (90.9971, 78.0710, 65.0050, 84.2614),
    ("voc-fcn8s", "score"): (91.2212, 77.6146, 65.5126, 84.5445),
    ("voc-fcn8s-atonce", "score"): (91.1288, 78.4979, 65.3998, 84.4326),
    ("voc-fcn-alexnet", "score"): (None, None, 48.0, None),
}
HEAD = """# Results

Written by `fcn results` from `results.jsonl`, never by hand. Percent: pixel accuracy, mean
accuracy, mean IU, frequency weighted IU. Paper: PAMI'17, as quoted by later work. Original weights:
the released files, scored again outside of Caffe (VOC), or the original's README. Ours: means count
an absent class as published; the notes below give the mean without absent classes, too, and that of
the 59 of PASCAL-Context's 60 classes.
"""
Record: TypeAlias = dict[str, Any]


def provenance(model: str, weights: Path, net: caffe.Net) -> Record:
    """What a score is made from, for its record."""
    return {
        "model": model,
        "weights": Path(weights).name,
        "sha1": sha1_of(weights),
        "split": split_of(net),
        "date": date.today().isoformat(),
        "versions": versions(),
    }


def versions() -> dict[str, str | None]:
    """What scores depend on besides: {name: version}."""
    packages = {name: installed_version(name) for name in ("torch", "numpy", "pillow")}
    return {"python": platform.python_version()} | packages


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed (BVLC's pycaffe needs no torch)."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def newest(records: list[Record]) -> dict[tuple[str, str], Record]:
    """The last record of each (model, score blob)."""
    return {(r["model"], r["layer"]): r for r in records if "model" in r}


def table(records: list[Record]) -> str:
    """The text of results.md."""
    ours = newest(records)
    lines = [HEAD, "| model | task | paper | original weights | ours |", "|---|---|---|---|---|"]
    folders = [path.parent for path in places.ROOT.glob("*-*/solver.prototxt")]
    known = sorted(folder.name for folder in folders if is_published(folder))
    rows = [(model, layer) for model in known for layer in task_of(model).dataset.scored]
    for model, layer in [*rows, *sorted(ours.keys() - {*rows})]:
        record = ours.get((model, layer))
        cells = [quoted(PAPER.get((model, layer))), quoted(ORIGINAL.get((model, layer)))]
        cells.append(measured(record) if record else "not scored yet")
        task = {"score_geo": "geometric"}.get(layer, "semantic")
        lines.append(f"| {model} | {task} | {' | '.join(cells)} |")
    notes = [note(record) for record in ours.values()]
    return "\n".join([*lines, "", *notes]) + "\n"


def quoted(values: tuple[float | None, ...] | None) -> str:
    """A cell of published numbers, as they are given."""
    if not values:
        return "–"
    return " / ".join("–" if v is None else str(v) for v in values)


def measured(record: Record) -> str:
    """A cell of our numbers, in percent."""
    return " / ".join("–" if record[m] is None else f"{100 * record[m]:.4f}" for m in MEASURES)


def note(record: Record) -> str:
    """A line that says where a number comes from."""
    versions = ", ".join(f"{name} {v}" for name, v in record["versions"].items() if v)
    means = ""
    if record.get("absent"):
        means += f"; mean IU {100 * record['mean_iu_present']:.4f} without the absent classes"
    if record["model"].startswith("pascalcontext"):
        means += f"; mean IU {100 * record['mean_iu_foreground']:.4f} of the 59 without background"
    return (
        f"* {record['model']} ({record['layer']}): {record['weights']}, sha1 {record['sha1']}; "
        f"{record['images']} pictures of {record['split']}{means}; {record['date']}, {versions}"
    )


# ---- a folder of one's own


def own_table(folder: Path) -> str:
    """The text of results.md of a user's own folder: the last scores of each run, of all stages."""
    stages = sorted(path.parent for path in folder.glob("*/solver.prototxt"))
    names = task_of(str(folder)).dataset.classes
    lines = [f"# Results of {folder.name}\n", "Written by `fcn results`, in percent.\n"]
    lines += [
        "| net | run | steps | pixel acc. | mean acc. | mean IU | f.w. IU |",
        "|---" * 7 + "|",
    ]
    details = []
    for place in (folder, *stages):
        for run in sorted(runs.runs_of(place), key=runs.Run.worked_on):
            scores = run.folder / "scores.jsonl"
            for record in read_records(scores)[-1:] if scores.is_file() else ():
                cells = [place.name, run.name, record.get("iteration"), *percents(record)]
                lines.append(f"| {' | '.join(map(str, cells))} |")
                details.append((f"{place.name}, run {run.name}", record))
    if not details:
        raise FileNotFoundError(f"no run in {folder} has scores yet: fcn train {folder}")
    title, record = max(details, key=lambda each: each[1].get("mean_iu") or 0)
    lines += [f"\n## The best: {title}\n", "| class | share | accuracy | IU |", "|---" * 4 + "|"]
    columns = [record.get(key, []) for key in ("frequency", "accuracy", "iu")]
    for name, *values in zip(names, *columns):
        lines.append(f"| {name} | {' | '.join(map(percent, values))} |")
    return "\n".join(lines) + "\n"


def percents(record: Record) -> list[str]:
    """The four measures."""
    return [percent(record.get(measure)) for measure in MEASURES]


def percent(value: float | None) -> str:
    """A share in percent, or that there is none."""
    return "–" if value is None else f"{100 * value:.2f}"


# ---- the command


def run(args: argparse.Namespace) -> int:
    """Write results.md; returns the exit code."""
    if args.folder is None:
        target, text = TABLE, table(read_records(RECORDS) if RECORDS.is_file() else [])
    else:
        folder = models.folder(args.folder)
        if class_list(folder) is None:
            raise ValueError(f"{folder} is no folder of one's own: it has no classes.txt")
        target, text = folder / "results.md", own_table(folder.resolve())
    target.write_text(text)
    print(f"wrote {target}")
    return 0
