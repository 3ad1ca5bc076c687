"""python -m benchmarks.gpu: everything that has to be seen on a GPU, in one run of some minutes.

Each part is a process of its own with a time limit of its own. Its results are in the JSON file, and
on the screen, the moment they are there: a run that is cut off has told all it knew. Exit codes: 0, 1 if
a part failed or was cut off, 2 without a GPU.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from .parts import MINUTES, PARTS, Planned, names, plan

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
FAILED, NO_GPU = 1, 2
TAIL = 15  # lines of what a failed part printed
LOOK = 0.2  # seconds between looks at what a part has written


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        epilog="parts: " + "; ".join(f"{part.name}: {part.about}" for part in PARTS),
    )
    add = parser.add_argument
    add("--only", type=lambda text: text.split(","), metavar="PART,PART", help="these parts alone")
    add("--minutes", type=float, default=MINUTES, help="for all of it (%(default)s)")
    add("--rehearse", action="store_true", help="every part in small, on the CPU")
    add("--out", type=Path, help="folder for the JSON (benchmarks/results)")
    options = parser.parse_args(argv)
    unknown = [name for name in options.only or () if name not in names()]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; the parts are {', '.join(names())}")
    if options.minutes <= 0:
        parser.error(f"--minutes must be more than 0, got {options.minutes:g}")
    return options


class Record:
    """The JSON file of a run, written anew with every result."""

    def __init__(self, path: Path, head: dict[str, Any]):
        self.path = path
        self.content = head | {"parts": {}}
        self.write()

    def part(self, name: str, **fields: Any) -> None:
        """Note fields of a part."""
        self.content["parts"].setdefault(name, {"results": {}}).update(fields)
        self.write()

    def take(self, name: str, lines: list[str]) -> None:
        """Note what a part's process has written since the last look."""
        results = self.content["parts"][name]["results"]
        for line in lines:
            told = json.loads(line)
            results[told["key"]] = {"value": told["value"], "line": told["line"]}
        if lines:
            self.write()

    def write(self) -> None:
        """Replace the file: it is whole at any moment."""
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(self.content, indent=1) + "\n")
        os.replace(draft, self.path)


class Lines:
    """The whole lines that a growing file has got since the last look."""

    def __init__(self, path: Path):
        self.path, self.at = path, 0

    def new(self) -> list[str]:
        """Those lines; one that is still being written comes with the next look."""
        if not self.path.exists():
            return []
        with open(self.path, "rb") as file:
            file.seek(self.at)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.at += len(whole)
        return whole.decode().splitlines()


def run_part(planned: Planned, record: Record, folder: Path, rehearse: bool) -> str:
    """Run a part's process to its end or its limit, and keep its results; returns the outcome."""
    name, seconds = planned.part.name, planned.seconds
    print(f"\n{name}: {planned.part.about} (at most {seconds:.0f} s)", flush=True)
    record.part(name, limit=round(seconds), outcome="running")
    results, errors = Lines(folder / f"{name}.jsonl"), folder / f"{name}.err"
    command = [sys.executable, "-m", "benchmarks.gpu.part", name, str(results.path), str(seconds)]
    begin = time.monotonic()
    with open(errors, "w") as err:
        process = subprocess.Popen(
            command + ["--rehearse"] * rehearse,
            cwd=ROOT,
            stderr=err,
            env=environment(),
            start_new_session=True,  # so that its own processes can be ended with it
        )
    try:
        while process.poll() is None and time.monotonic() - begin < seconds:
            record.take(name, results.new())
            time.sleep(LOOK)
        cut = process.poll() is None
    finally:
        end(process)
    record.take(name, results.new())
    outcome = f"cut off after {seconds:.0f} s" if cut else "done"
    fields: dict[str, Any] = {}
    if not cut and process.returncode:
        outcome = f"failed with exit code {process.returncode}"
    if outcome != "done":
        fields["last_lines"] = errors.read_text(errors="replace").splitlines()[-TAIL:]
        print("\n".join(fields["last_lines"]))
    record.part(name, seconds=round(time.monotonic() - begin, 1), outcome=outcome, **fields)
    print(f"{name}: {outcome}, {time.monotonic() - begin:.0f} s", flush=True)
    return outcome


def end(process: subprocess.Popen) -> None:
    """End a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def environment() -> dict[str, str]:
    """The environment of the parts: the checkout is imported, whatever is installed."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def card(rehearse: bool) -> tuple[str, float]:
    """The name of what is measured, and the GiB of memory that are free there."""
    if rehearse:
        return "rehearsal", float("inf")
    free, _ = torch.cuda.mem_get_info()
    return torch.cuda.get_device_name(), free / 2**30


def main(argv: list[str] | None = None) -> int:
    """Plan the parts, run them, and say how it went."""
    options = parse(argv)
    if not options.rehearse and not torch.cuda.is_available():
        print(
            f"PyTorch {torch.__version__} sees no GPU here; on a CPU all of it can be tried in small: "
            "python -m benchmarks.gpu --rehearse",
            file=sys.stderr,
        )
        return NO_GPU
    name, gib = card(options.rehearse)
    chosen, left_out = plan(options.only, options.minutes, gib)
    with tempfile.TemporaryDirectory() as folder:
        # a rehearsal's figures mean nothing: they stay out of benchmarks/results
        out = options.out or (Path(folder) if options.rehearse else RESULTS)
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"gpu-{'-'.join(name.lower().split())}.json"
        date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        record = Record(path, {"card": name, "date": date, "left_out": left_out})
        for part, why in left_out.items():
            print(f"left out: {part}: {why}", flush=True)
        outcomes = [run_part(each, record, Path(folder), options.rehearse) for each in chosen]
        print(f"\n{path if options.out or not options.rehearse else 'the rehearsal is over'}")
    return FAILED if any(outcome != "done" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
