"""The same loaders fuzzed by atheris, which follows what code a file reaches: `pip install atheris`.

`python -m tests.soak.coverage_guided TARGET SECONDS`, or all targets for so long each. Atheris never
returns: each target has a process of its own, whose exit code tells.
"""

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_MEGABYTES = 2048
PATIENCE = 20  # seconds for one file


def available() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def run(name: str, seconds: int) -> str:
    """Fuzz a target for so long; what atheris says of a fault, "" if there is none."""
    command = [
        sys.executable,
        "-m",
        "tests.soak.coverage_guided",
        "--in-this-process",
        name,
        str(seconds),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return "" if done.returncode == 0 else done.stdout[-3000:] + done.stderr[-3000:]


def soak(seconds: float, seed: int = 0) -> tuple[str, list[str]]:
    """(what was done, the faults) in so many seconds, which all targets share."""
    from tests.soak.strangers import TARGETS

    if not available():
        return "atheris is not installed", []
    faults = [(name, run(name, max(1, int(seconds / len(TARGETS))))) for name in TARGETS]
    said = [f"{name}: {fault}" for name, fault in faults if fault]
    return f"{len(TARGETS)} loaders by atheris", said


def here(name: str, seconds: str) -> None:
    """Fuzz a target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["caffe", "fcn"], enable_loader_override=False):
        from tests.soak.fuzzing import try_file
        from tests.soak.strangers import TARGETS

    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as place:
        seeds = Path(place, "seeds")
        seeds.mkdir()
        for number, content in enumerate(target.seeds()):
            (seeds / str(number)).write_bytes(content)

        def give(content: bytes) -> None:
            try_file(target, Path(place, target.name), content)

        limits = [
            f"-max_total_time={seconds}",
            f"-timeout={PATIENCE}",
            f"-rss_limit_mb={MOST_MEGABYTES}",
        ]
        atheris.Setup([sys.argv[0], str(seeds), *limits, "-max_len=65536"], give)
        atheris.Fuzz()


def main() -> int:
    """The command line; returns the exit code."""
    if sys.argv[1] == "--in-this-process":
        here(*sys.argv[2:])
        return 0
    from tests.soak.strangers import TARGETS

    names = [sys.argv[1]] if len(sys.argv) > 2 else list(TARGETS)
    faults = 0
    for name in names:
        fault = run(name, int(sys.argv[-1]))
        print(f"{name}: {fault or 'no fault'}", flush=True)
        faults += bool(fault)
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
