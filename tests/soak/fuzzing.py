"""Changed files given to every loader, until the time is up: none may crash, hang, take over 2 GiB or
raise what a user cannot read.

A target runs in a process of its own, which may take as much memory as it has and 2 GiB more; the
file that it is at lies on the disk, so that one that ends the process is known. What hypothesis finds
it makes as small as it can.
"""

import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.soak.mutation import changed
from tests.soak.strangers import REFUSALS, TARGETS, Target

MOST_MEMORY = 2 << 30  # bytes that a file of under 1 MB may take
PATIENCE = 20  # seconds for one file
ROUND = 300  # files between looks at the clock


class Fault(AssertionError):
    """What a file did that none may do."""


class Found(NamedTuple):
    """What became of a target: the files tried, and the first fault."""

    target: str
    files: int
    seconds: float
    fault: str  # "" if there is none


def hung(number: int, frame: FrameType | None) -> None:
    """The signal's handler where a file takes too long."""
    raise Fault(f"over {PATIENCE} seconds")


@contextlib.contextmanager
def patience(seconds: int) -> Iterator[None]:
    """Fault if the block takes longer."""
    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def try_file(target: Target, path: Path, content: bytes) -> bool:
    """Whether a content is taken; if it is refused, so that a user knows why. Fault otherwise."""
    path.write_bytes(content)
    try:
        with patience(PATIENCE):
            target.load(path)
    except Fault:
        raise
    except MemoryError as error:
        raise Fault(f"asks for too much memory: {error}") from error
    except REFUSALS as error:
        if not str(error).strip():
            raise Fault(f"{type(error).__name__} without a word") from error
        return False
    except SystemError as error:  # pycaffe's, for a Python layer that is not there
        if "layer '" not in str(error):
            raise Fault(f"{type(error).__name__}: {error}") from error
        return False
    except Exception as error:
        raise Fault(f"{type(error).__name__}: {error}") from error
    return True


def examples(name: str, folder: Path, count: int, number: int, shrink: bool = True) -> None:
    """Give so many changed files to a target; Fault for the smallest that hypothesis finds at fault."""
    target = TARGETS[name]
    path = folder / target.name
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(changed(target.seeds()))
    def give(content: bytes) -> None:
        try_file(target, path, content)

    give()


def child(name: str, folder: Path, seconds: float, first: int) -> None:
    """What the target's process does: rounds until the time is up; `files` counts them."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    end, number = time.process_time() + seconds, first
    while time.process_time() < end:
        examples(name, folder, ROUND, number)
        number += 1
        (folder / "files").write_text(str((number - first) * ROUND))


def fuzz(name: str, seconds: float, first: int = 0) -> Found:
    """Give changed files to a target for so many seconds of computing."""
    for each in TARGETS[name].seeds():
        assert len(each) < 1 << 20
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        process = os.fork()
        if process == 0:
            try:
                with open(folder / "said", "w") as said:
                    os.dup2(said.fileno(), 1)
                    os.dup2(said.fileno(), 2)
                    child(name, folder, seconds, first)
                os._exit(0)
            except BaseException as error:
                cause = error.__cause__ or error
                at = traceback.format_tb(cause.__traceback__)[-3:]
                (folder / "fault").write_text(f"{error}\n{''.join(at)}")
                os._exit(1)
        _, status = os.waitpid(process, 0)
        taken = time.monotonic() - began
        fault = (folder / "fault").read_text() if (folder / "fault").exists() else ""
        if os.WIFSIGNALED(status):
            fault = f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
        at = folder / TARGETS[name].name
        if fault and at.exists():
            fault += f"\nthe file: {at.read_bytes()[:4000]!r}"
        count = folder / "files"
        return Found(name, int(count.read_text()) if count.exists() else 0, taken, fault)


def soak(seconds: float, first: int = 0) -> tuple[str, list[str]]:
    """(what was done, the faults) in so many seconds of computing, which all targets share."""
    found = [fuzz(name, seconds / len(TARGETS), first) for name in TARGETS]
    files = sum(each.files for each in found)
    faults = [f"{each.target}: {each.fault}" for each in found if each.fault]
    return f"{files:,} changed files for {len(found)} loaders", faults


def main() -> int:
    """`python -m tests.soak.fuzzing SECONDS [TARGET ...]`: prints a line a target; 1 if one has a fault."""
    seconds, names = float(sys.argv[1]), sys.argv[2:] or list(TARGETS)
    failed = 0
    for name in names:
        found = fuzz(name, seconds, int(os.environ.get("SEED", "0")))
        print(f"{name:24} {found.files:>8,} files {found.seconds:7.1f} s", flush=True)
        if found.fault:
            failed = 1
            print(found.fault, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
