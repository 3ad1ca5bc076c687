"""`fcn systems`: trains what grew out of FCN on the embedded task, and writes systems/results.md.

    fcn demo --seed 2     scenes and nets of a seed
    fcn systems           every system from those; a line in systems/results.jsonl for each
    fcn systems crf       the dense CRF behind nets that are trained already
    fcn systems --table   only the table

The seed is that of the scenes. A record says what was trained, from what, for how long, and its scores on
the held-back scenes beside those of the net that it is compared with.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from fcn import models, places, runs, system_figures
from fcn.demo import run_python
from fcn.measures import MEASURES
from fcn.records import read_records, write_record
from fcn.results import versions

FOLDER = places.HOME / models.SYSTEMS
RECORDS, TABLE = FOLDER / "results.jsonl", FOLDER / "results.md"


class Step(NamedTuple):
    """A training, and what its scores are compared with."""

    system: str  # the folder in systems/, or CRF
    what: str  # what a reader should know of it
    against: str  # the net that it is compared with, trained before it
    arguments: tuple[str, ...] = ()  # of its solve.py, beside --sample and --seed
    title: str = ""  # of its row, if a system has several

    @property
    def name(self) -> str:
        """The title of its row."""
        return self.title or self.system

    @property
    def shown(self) -> str:
        """The first cell of its row: a link, if there is a folder."""
        return self.name if self.system == CRF else f"[{self.name}]({self.system})"


CRF = "crf"  # no folder: nets that are trained already, scored with --crf

# In the order in which they start from each other
STEPS = (
    Step("dilation-frontend", "VGG-16 at stride 8 by dilated convolutions", "voc-fcn32s"),
    Step("dilation", "the large context module upon that", "systems/dilation-frontend"),
    Step("dilation-basic", "the basic context module upon that", "systems/dilation-frontend"),
    Step("deeplab-largefov", "one head with holes", "voc-fcn16s"),
    Step("deeplab-v2", "a pyramid of heads with holes", "voc-fcn16s"),
    Step("hypercolumn", "pixels classified by pool2, conv4 and fc7 at once", "voc-fcn32s"),
    Step(
        "zoom-out", "superpixels classified by all layers of a VGG-16 that is fixed", "voc-fcn32s"
    ),
    Step("fcn-mil", "FCN-32s learns from image tags", "voc-fcn32s"),
    Step("ccnn", "from tags as constraints", "voc-fcn32s"),
    Step("ccnn-size", "from tags and sizes as constraints", "voc-fcn32s"),
    Step("point-supervision", "from a point an object", "voc-fcn32s"),
    Step("boxsup", "from boxes", "voc-fcn32s"),
    *(
        Step(CRF, "its scores refined by the dense CRF", net, title=f"{Path(net).name} + CRF")
        for net in ("voc-fcn16s", "voc-fcn8s", "systems/deeplab-largefov")
    ),
    Step("crf-rnn", "mean field as layers behind FCN-8s, end to end", "voc-fcn8s"),
)
HEAD = """# What grew out of FCN, on the embedded task

Written by `fcn systems` from `results.jsonl`, never by hand. Mean IU on the 80 held-back scenes; in
parentheses what it is above the net that it is compared with, on the same scenes. Seeds are those of
`fcn demo --seed N`: scenes, first weights, and every net that a system starts from.
"""


def seed_of_scenes() -> int:
    """The seed that the scenes were drawn by. FileNotFoundError if there are none."""
    path = places.scenes_folder() / "seed.txt"
    if not path.is_file():
        raise FileNotFoundError(f"no scenes in {path.parent}: make them, and the nets, by fcn demo")
    return int(path.read_text())


def last_run(net: str) -> tuple[runs.Run, dict[str, Any]]:
    """The newest run of a net on the embedded task, and its last scores. FileNotFoundError without."""
    for run in runs.runs_of(models.own_folder(net, sample=True)):
        path = run.folder / "scores.jsonl"
        if path.is_file() and (records := read_records(path)):
            return run, records[-1]
    raise FileNotFoundError(
        f"no run of {net} --sample has scores: train it first (fcn demo, fcn train)"
    )


def refined(net: str) -> dict[str, Any]:
    """The scores of a net with the dense CRF behind it, and the seconds that scoring took."""
    with tempfile.TemporaryDirectory() as folder:
        path, begin = Path(folder, "scores.jsonl"), time.monotonic()
        words = ["-m", "fcn", "score", "--model", net, "--sample", "--crf", "--record", str(path)]
        if status := run_python(words):
            raise RuntimeError(f"fcn score --model {net} --crf ended with exit code {status}")
        scores = read_records(path)[-1]
    return {key: scores[key] for key in (*MEASURES, "crf")} | {
        "steps": 0,
        "seconds": round(time.monotonic() - begin, 1),
        "date": runs.now(),
    }


def record_of(step: Step, seed: int) -> dict[str, Any]:
    """What a training that has just ended came to."""
    known = {
        "name": step.name,
        "seed": seed,
        "against": step.against,
        "against_mean_iu": last_run(step.against)[1]["mean_iu"],
        "versions": versions(),
    }
    if step.system == CRF:
        return known | refined(step.against)
    run, scores = last_run(f"{models.SYSTEMS}/{step.system}")
    about = run.record()
    begun, ended = (datetime.fromisoformat(t) for t in (about["started"], about["ended"]["time"]))
    return known | {
        "steps": scores["iteration"],
        "seconds": (ended - begun).total_seconds(),
        **{measure: scores[measure] for measure in MEASURES},
        "start_sha1": about.get("start_sha1", ""),
        "date": about["ended"]["time"],
    }


def chosen(names: Sequence[str]) -> list[Step]:
    """The steps of the systems named, or all; ValueError for a name that is none."""
    figures = [figure.system for figure in system_figures.FIGURES]
    known = [*dict.fromkeys(step.system for step in STEPS), *figures]
    wanted = [Path(name).name for name in names] or known
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"no system {', '.join(unknown)}; there are {', '.join(known)}")
    return [step for step in STEPS if step.system in wanted]


def table(records: Iterable[dict[str, Any]]) -> str:
    """The text of results.md: a row a step, a column a seed; the newest record of each counts."""
    newest = {(record["name"], record["seed"]): record for record in records}
    seeds = sorted({seed for _, seed in newest})
    columns = "".join(f" seed {seed} |" for seed in seeds)
    lines = [HEAD, f"| system | what it is | compared with |{columns} steps | minutes |"]
    lines.append("|---" * (len(seeds) + 5) + "|")
    for step in STEPS:
        found = [newest.get((step.name, seed)) for seed in seeds]
        there = [record for record in found if record]
        if not there:
            continue
        cells = [cell(record) if record else "" for record in found]
        minutes = max(record["seconds"] for record in there) / 60
        lines.append(
            f"| {step.shown} | {step.what} | {step.against} | {' | '.join(cells)} | "
            f"{there[-1]['steps'] or ''} | {minutes:.1f} |"
        )
    return "\n".join(lines) + "\n"


def cell(record: dict[str, Any]) -> str:
    """Mean IU, and what it is above that of the net compared with."""
    own, other = record["mean_iu"], record["against_mean_iu"]
    return f"{own:.3f} ({own - other:+.3f})"


def run(args: argparse.Namespace) -> int:
    """Train the systems and write the table; returns the exit code."""
    steps = chosen(args.names)
    if not args.table:
        train(steps)
        measure(system_figures.scripts([Path(name).name for name in args.names]))
    TABLE.parent.mkdir(exist_ok=True)
    records = read_records(RECORDS) if RECORDS.is_file() else []
    TABLE.write_text(table(records) + system_figures.table(TABLE.parent))
    print(f"wrote {TABLE}")
    return 0


def train(steps: Sequence[Step]) -> None:
    """Train the systems and record what came of it.

    FileNotFoundError if a net that one is compared with is not trained, RuntimeError if a training fails.
    """
    seed = seed_of_scenes()
    for step in steps:
        last_run(step.against)  # before minutes of training, not behind them
        if step.system == CRF:
            write_record(RECORDS, record_of(step, seed))
            continue
        script = models.folder(f"{models.SYSTEMS}/{step.system}") / "solve.py"
        if status := run_python([str(script), "--sample", "--seed", str(seed), *step.arguments]):
            raise RuntimeError(f"{script} ended with exit code {status}")
        write_record(RECORDS, record_of(step, seed))


def measure(names: Sequence[str]) -> None:
    """Train and measure the systems whose figure is no mean IU; RuntimeError if one fails."""
    for name in names:
        script = models.folder(f"{models.SYSTEMS}/{name}") / "run.py"
        if status := run_python([str(script)]):
            raise RuntimeError(f"{script} ended with exit code {status}")
