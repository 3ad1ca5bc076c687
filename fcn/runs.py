"""Runs: each training of a model has a folder for all that it writes, and nobody else writes there.

The first run of a model folder writes to `snapshot/`, as published; others write to `snapshot/RUN/`. A run's
folder holds

    run.json        what was started: weights and their sha1, solver, seed, command, versions; how it ended
    solver.prototxt what the solver was built from
    log.csv         a line a display: loss, rate, speed
    train.log       Caffe's own lines
    scores.jsonl    a line a scoring
    train_iter_N.caffemodel, train_iter_N.solverstate
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

try:
    import fcntl
except ImportError:  # Windows has no such locks: there two trainings in one folder are not noticed
    fcntl = None  # type: ignore[assignment]

FIRST = "1"  # the name of the run in snapshot/ itself
TRACES = ("run.json", "log.csv", "scores.jsonl", "*.caffemodel*", "*.solverstate*")
LEFT_BY_REFUSED = ("findings.jsonl", "train.log", "report.html", "report-*.png")
RESERVED = (FIRST, "pictures")
FOLDER = "snapshot"


class InUse(RuntimeError):
    """Another process trains in the run's folder."""


class Run(NamedTuple):
    """A training of a model: its name, and the folder that it writes to."""

    name: str
    folder: Path

    # ---- what is there

    def exists(self) -> bool:
        """Whether a training has left anything there."""
        return any(next(self.folder.glob(pattern), None) for pattern in TRACES)

    def worked_on(self) -> float:
        """When something was last written."""
        times = [path.stat().st_mtime for pattern in TRACES for path in self.folder.glob(pattern)]
        return max(times, default=0.0)

    def states(self) -> list[Path]:
        """The solverstates, the newest first."""
        found = self.folder.glob("*.solverstate*")
        return sorted(found, key=iteration, reverse=True)

    def trusted_states(self) -> list[Path]:
        """The solverstates, without those that came before a NaN, unless there are no others.

        What is left out is said.
        """
        doubtful = self.record().get("doubtful") or []
        trusted = [state for state in self.states() if state.name not in doubtful]
        if not trusted:
            return self.states()
        for state in self.states():
            if state.name in doubtful:
                print(
                    f"left out: {state.name}: the loss was wrecked when it was written", flush=True
                )
        return trusted

    def forget_all_but(self, count: int, spare: str) -> None:
        """Remove snapshots but the newest ones, and the one whose solverstate is `spare`."""
        for state in self.states()[count:]:
            if state.name != Path(spare).name:
                for part in (".solverstate", ".caffemodel", ".position.json"):  # the state first
                    stem, ending = str(state).split(".solverstate")
                    ending = "" if part.endswith("json") else ending
                    Path(f"{stem}{part}{ending}").unlink(missing_ok=True)

    def doubt(self, states: Iterable[Path]) -> None:
        """Note that these are not to be trusted: their loss became NaN, or had exploded."""
        self.write_record(doubtful=[state.name for state in states])

    def about(self) -> str:
        """The run as a word in a sentence: its name and how far it came."""
        states = self.states()
        far = f"iteration {iteration(states[0])}" if states else "no solverstate"
        return f"{self.name} ({far})"

    def forget_refused(self) -> None:
        """Remove what a training that was refused before its first step has left there."""
        for pattern in LEFT_BY_REFUSED:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    # ---- its record

    @property
    def record_path(self) -> Path:
        """run.json."""
        return self.folder / "run.json"

    def record(self) -> dict[str, Any]:
        """run.json's content; empty for a run of an older version, or a damaged file."""
        try:
            record = json.loads(self.record_path.read_text())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def write_record(self, **fields: Any) -> None:
        """Set fields of run.json; the file is whole at any moment."""
        draft = self.record_path.with_suffix(".draft")
        draft.write_text(json.dumps(self.record() | fields, indent=1) + "\n")
        os.replace(draft, self.record_path)

    def ended(self, how: str, iteration: int) -> None:
        """Note how the run ended."""
        self.write_record(ended={"how": how, "iteration": iteration, "time": now()})

    # ---- its lock

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; InUse if another holds it.

        The system gives the lock back when its process is gone, however it went.
        """
        if fcntl is None:
            yield
            return
        with open(self.folder / "lock", "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise InUse(
                    f"{self.folder} is in use by {file.read().strip() or 'another training'}: wait for it, "
                    "or train under another name with --run NAME"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {now()}\n")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)


def iteration(snapshot: Path | str) -> int:
    """The number in `train_iter_4000.caffemodel`; -1 if there is none."""
    digits = Path(snapshot).name.split(".")[0].rpartition("_")[2]
    return int(digits) if digits.isdigit() else -1


def now() -> str:
    """The time, as records state it."""
    return datetime.now().isoformat(timespec="seconds")


# ---- finding runs


def runs_of(folder: Path) -> list[Run]:
    """The runs of a model folder (or of its `sample` folder), the one last worked on first."""
    base = folder / FOLDER
    found = [Run(FIRST, base)]
    if base.is_dir():
        found += [Run(path.name, path) for path in base.iterdir() if path.is_dir()]
    found = [run for run in found if run.exists()]
    return sorted(found, key=Run.worked_on, reverse=True)


def run_named(folder: Path, name: str) -> Run:
    """The run of that name, which need not exist. ValueError for what is no name."""
    if name == FIRST:
        return Run(FIRST, folder / FOLDER)
    plain = name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    if not plain or name.startswith((".", "-", "train_iter")) or name in RESERVED:
        raise ValueError(f"--run {name!r}: a run's name has letters, digits, '-', '_' and '.'")
    return Run(name, folder / FOLDER / name)


def new_run(folder: Path, name: str | None = None) -> Run:
    """A run that nothing was written to: of that name, the first, or the next number.

    ValueError if the named run is there already: a fresh start never mixes with another run's files.
    """
    known = {run.name: run for run in runs_of(folder)}
    if name is not None:
        run = run_named(folder, name)
        if run.name in known:
            raise ValueError(
                f"run {known[run.name].about()} is there already: go on with it by --resume --run "
                f"{name}, or give the new run another name"
            )
        return run
    if not known:
        return Run(FIRST, folder / FOLDER)
    numbers = [int(run) for run in known if run.isdigit()]
    return Run(str(number := max([1, *numbers]) + 1), folder / FOLDER / str(number))


def run_to_resume(folder: Path, name: str | None = None) -> Run:
    """The run of that name, or the one last worked on. FileNotFoundError names the runs there are."""
    found = runs_of(folder)
    names = ", ".join(run.about() for run in found) or "none"
    wanted = [run for run in found if name is None or run.name == name]
    if not wanted:
        what = f"run {name} of {folder}" if name else f"{folder / FOLDER}/*.solverstate"
        raise FileNotFoundError(f"nothing to resume: no {what}; the runs there are: {names}")
    if not wanted[0].states():
        with wanted[0].locked():  # says it if that run is at work, before its first snapshot
            pass
        others = "; --run takes another" if len(found) > 1 else ""
        raise FileNotFoundError(
            f"nothing to resume: no {wanted[0].folder}/*.solverstate; the runs there are: {names}{others}"
        )
    return wanted[0]


def run_of_state(state: Path) -> Run:
    """The run that a solverstate belongs to."""
    folder = state.parent
    return Run(FIRST if folder.name == FOLDER else folder.name, folder)


# ---- going on


def restore(solver: Any, states: list[Path]) -> Path:
    """Restore the first of these states that is whole; the others are named, with what is wrong.

    ValueError if none is.
    """
    wrong = []
    for state in states:
        try:
            require_pair(solver, state)
            solver.restore(str(state))
        except (OSError, ValueError, RuntimeError) as error:
            wrong.append(f"{state.name}: {str(error).splitlines()[0]}")
            print(f"not whole, left out: {wrong[-1]}", file=sys.stderr, flush=True)
            continue
        return state
    raise ValueError(
        f"no whole snapshot among {len(states)} in {os.path.relpath(states[0].parent)}: "
        + "; ".join(wrong)
    )


def require_pair(solver: Any, state: Path) -> None:
    """Raise ValueError unless the state's weights lie beside it and have all layers of the net.

    A caffemodel that is cut between two layers reads without an error.
    """
    model = Path(str(state).replace(".solverstate", ".caffemodel"))
    if not model.is_file():
        raise ValueError(f"its weights {model.name} are not there")
    copied = solver.net.copy_from(str(model), report=True)
    if copied.missing:
        raise ValueError(
            f"{model.name} lacks the layers {', '.join(copied.missing)}: it is cut short"
        )
