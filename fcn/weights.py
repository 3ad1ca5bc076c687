"""Finds the caffemodel that holds a net's weights, under all the names it goes by.

Of several, the first of these is taken, and said with the others:

1. the last snapshot of the newest finished run, unless that was a trial: a run of less than half
   of the longest one's steps, or of less than 1,000 steps where a published file lies;
2. the published file, or one of the model's own name;
3. the file that comes with the project: of the embedded task's FCN-8s;
4. of runs that are not finished, and of trials, the one that came furthest.

Runs of older versions did not note how they ended, and count as finished. `--weights` takes any file.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from fcn import models, places, published, runs
from fcn.downloads import digest
from fcn.published import NAMES, SHA1

OUTSTANDING = 1_000  # fewer steps than these are a trial where a published file lies
TRIAL = 0.5  # and so is a run of a smaller share of the longest one's steps
SHOWN = 4  # files that a line names
KINDS = {  # kind of a file -> what it is called, the most preferred first
    "finished": "finished run of {} steps",
    "older": "run of {} steps",  # of an older version, which did not note how it ended
    "published": "published file",
    "named": "file of the net's own name",
    "shipped": "file that comes with the project",
    "interrupted": "interrupted run of {} steps",
    "unfinished": "run of {} steps that has not ended",  # or that was killed
    "trial": "trial of {} steps",
}
WHOLE, LOOSE = ("finished", "older"), ("interrupted", "unfinished", "trial")


class Candidate(NamedTuple):
    """A file that holds a net's weights."""

    path: Path
    kind: str  # of KINDS
    steps: int = -1  # of the run that it is the last snapshot of
    time: float = 0.0  # when that ended
    earlier: tuple[Path, ...] = ()  # that run's other snapshots, the newest first

    def __str__(self) -> str:
        """As it is listed among others."""
        return f"{self.path} ({self.what()})"

    def what(self) -> str:
        """What it is, without an article."""
        return KINDS[self.kind].format(self.steps)


class Choice(NamedTuple):
    """Which of a net's weights are taken, and what else is there, in falling order of preference."""

    taken: Candidate
    others: list[Candidate]

    def __str__(self) -> str:
        """As it is printed."""
        shown = ", ".join(map(str, self.others[:SHOWN]))
        more = f" and {len(self.others) - SHOWN} more" if len(self.others) > SHOWN else ""
        also = f"; also there: {shown}{more}" if self.others else ""
        return f"taking {self.taken.path}: {self.why()}{also}"

    def why(self) -> str:
        """The reason, as a clause."""
        kind, what = self.taken.kind, self.taken.what()
        if kind in ("published", "named", "shipped"):
            unfinished = any(other.kind in LOOSE for other in self.others)
            return f"the {what}, and no run is finished" if unfinished else f"the {what}"
        if kind in LOOSE:
            return f"no finished run and no published file is there; the {what} came furthest"
        rivals = any(other.kind in WHOLE for other in self.others)
        return f"the {'newest ' if rivals else ''}{what}"


def candidates(net: str, sample: bool = False) -> list[Path]:
    """Every path that may hold the net's weights, existing or not, the preferred one first."""
    found = existing(net, sample)
    paths = [path for each in found for path in (each.path, *each.earlier)]
    trained = not net.startswith(f"{models.CLASSIFIERS}/")
    if trained and all(each.steps < 0 for each in found):
        paths.append(models.own_folder(net, sample) / "snapshot" / "train_iter_N.caffemodel")
    return list(dict.fromkeys([*paths, *named_files(net, sample), *shipped_files(net, sample)]))


def named_files(net: str, sample: bool = False) -> list[Path]:
    """The paths of the published names, then of the model's own. The embedded task's has only that."""
    folder, own = models.own_folder(net, sample), f"{Path(net).name}.caffemodel"
    names = [own] if sample else [*NAMES.get(net, []), own]
    return [Path(os.path.normpath(folder / name)) for name in dict.fromkeys(names)]


def shipped_files(net: str, sample: bool = False) -> list[Path]:
    """The weights that come with the project, in half precision to be small."""
    path = models.folder(net, sample) / f"{Path(net).name}.caffemodel.h5"
    return [path] if sample and path.is_file() else []


def existing(net: str, sample: bool = False) -> list[Candidate]:
    """The files that are there, the preferred one first, one of each run."""
    published = [] if sample else NAMES.get(net, [])
    folder = models.own_folder(net, sample)
    names = {Path(os.path.normpath(folder / name)) for name in published}
    named = [
        Candidate(path, "published" if path in names else "named")
        for path in named_files(net, sample)
        if path.is_file()
    ]
    trained = [] if net.startswith(f"{models.CLASSIFIERS}/") else last_snapshots(net, sample)
    least = max((run.steps * TRIAL for run in trained), default=0.0)
    least = max(least, OUTSTANDING if named else 0)
    trained = [
        Candidate(run.path, "trial", run.steps, run.time, run.earlier)
        if run.kind in WHOLE and run.steps < least
        else run
        for run in trained
    ]
    whole = [run for run in trained if run.kind in WHOLE]
    loose = [run for run in trained if run.kind in LOOSE]
    return [
        *sorted(whole, key=lambda run: (run.time, run.steps), reverse=True),
        *named,
        *(Candidate(path, "shipped") for path in shipped_files(net, sample)),
        *sorted(loose, key=lambda run: (run.steps, run.time), reverse=True),
    ]


def last_snapshots(net: str, sample: bool = False) -> list[Candidate]:
    """The last weights of each of a model's runs."""
    found = []
    for run in runs.runs_of(models.own_folder(net, sample)):
        kind, steps, time = end_of(run)
        snapshots = sorted(
            run.folder.glob("train_iter_*.caffemodel*"), key=runs.iteration, reverse=True
        )
        # the one that the record names comes first, else the newest
        snapshots.sort(key=lambda path: runs.iteration(path) != steps)
        if snapshots:
            last, *earlier = snapshots
            time = time or last.stat().st_mtime
            found.append(Candidate(last, kind, runs.iteration(last), time, tuple(earlier)))
    return found


def end_of(run: runs.Run) -> tuple[str, int, float]:
    """(kind, steps, time) of a run's end, of its record; runs of older versions have none."""
    try:
        ended = run.record()["ended"]
        if ended is None:
            return "unfinished", -1, 0.0
        kind = "finished" if ended["how"] == "done" else "interrupted"
        return kind, int(ended["iteration"]), datetime.fromisoformat(ended["time"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return "older", -1, 0.0


def choose(net: str, sample: bool = False) -> Choice:
    """The net's weights that are taken, and the others; FileNotFoundError if there are none."""
    found = existing(net, sample)
    if not found:
        looked = "\n".join(f"  {path}" for path in candidates(net, sample))
        raise FileNotFoundError(
            f"no weights for {net}; looked for\n{looked}\n{how_to_get(net, sample)}"
        )
    return Choice(found[0], found[1:])


def find(net: str, sample: bool = False, any_weights: bool = False) -> Path:
    """The net's weights. Prints which are taken, why, what else is there, and a known checksum.

    Raises FileNotFoundError that lists every path looked for and says how to get the file, and
    ValueError as `check`.
    """
    choice = choose(net, sample)
    print(f"{net}: {choice}", flush=True)
    check(choice.taken.path, any_weights)
    return choice.taken.path


def given_or_found(
    path: Path | None, net: str, sample: bool = False, any_weights: bool = False
) -> Path:
    """The file given on a command line, which must exist, or the one found by name."""
    if path is None:
        return find(net, sample, any_weights)
    if not path.is_file():
        how = how_to_get(net, sample)
        raise FileNotFoundError(f"no weights file {path.absolute()}\n{how}")
    check(path, any_weights)
    return path.resolve()


def check(path: Path, any_weights: bool = False) -> None:
    """Print that a file of a published name has the published sha1; nothing for other names.

    ValueError if it has another; a warning with `any_weights`.
    """
    wanted = SHA1.get(Path(path).name)
    if wanted is None:
        return
    found = sha1_of(path)
    if found == wanted:
        print(f"{path}: sha1 {wanted}, as published")
        return
    differs = f"{path}: sha1 is {found}, the published file's is {wanted}"
    if not any_weights:
        raise ValueError(
            f"{differs}: it was cut short, or is another file under that name. Fetch it again (fcn get), or "
            "rename it; --any-weights (any_weights=True in Python) takes it as it is"
        )
    print(f"warning: {differs}")


def sha1_of(path: Path) -> str:
    """The sha1 of a file, in hexadecimal."""
    return digest(path, "sha1")


def how_to_get(net: str, sample: bool = False) -> str:
    """The commands that bring or make the weights, a line each."""
    flag = " --sample" if sample else ""
    if net in ("ilsvrc-nets/vgg16", "ilsvrc-nets/alexnet"):
        solve = places.script("ilsvrc-nets/solve.py")
        return f"make it: {solve}{flag}" if sample else get(net)
    if net.startswith("ilsvrc-nets/"):
        model = "" if sample or net.endswith("vgg16-fcn") else " --model alexnet"
        convert = places.script("ilsvrc-nets/convert.py")
        make = f"make it: {convert}{model}{flag} (see ilsvrc-nets/README.md)"
        classifier = net.removesuffix("-fcn")
        if sample or existing(classifier):
            return make
        return f"{get(classifier)}\nthen {make}"
    train = f"train it: fcn train {net}{flag} (see README.md)"
    if sample or not published.addresses(net):
        return train
    return f"{get(net)}\nor {train}\nor try it without any weights: fcn infer image.jpg --sample"


def get(net: str) -> str:
    """The command that brings a published file, with its size and checksum."""
    return f"get it: fcn get {net}, which brings {published.about(net)}"
