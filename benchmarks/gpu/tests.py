"""Every test that is marked `cuda`, in parallel; failures are told as they come."""

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from .part import Report, Scale

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 14  # of a large machine: each has a CUDA context of its own
REHEARSED = ("tests/caffe/test_waiting.py", "tests/caffe/test_syncedmem.py")
LINES = 12  # of a failure
EVERY = 50  # tests: how often the count is told
OUTCOME = re.compile(r"\b(PASSED|FAILED|SKIPPED|ERROR)\b")


def run(report: Report, scale: Scale) -> None:
    """Run pytest and read what it prints."""
    folder = report.folder
    command = [sys.executable, "-m", "pytest", "-vv", "--tb=short", "-p", "no:cacheprovider"]
    command += ["-m", "cuda", "--basetemp", str(folder / "pytest")]
    command += REHEARSED if scale.rehearsal else ["tests"]
    if importlib.util.find_spec("xdist"):
        command += ["-n", str(min(WORKERS, max(1, (os.cpu_count() or 2) - 2)))]
    counts, failed, lines = Counter[str](), [], []
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            outcome = outcome_of(line)
            if outcome is None:
                continue
            counts[outcome] += 1
            if outcome in ("failed", "error"):
                failed.append(line.strip())
                report("failed", failed, line.strip())
            if sum(counts.values()) % EVERY == 0:
                report("counts", dict(counts), tally(counts))
    code = process.returncode
    report("counts", dict(counts), tally(counts))
    report("exit code", code, f"pytest: exit code {code}")
    for title, text in failures(lines).items():
        report(title, text, f"{title}\n" + "\n".join(text))


def outcome_of(line: str) -> str | None:
    """What a line of pytest's says of a test; the summary's lines, at the end, say it again."""
    found = OUTCOME.search(line) if "::" in line else None
    return found[1].lower() if found and not line.startswith(("FAILED", "ERROR")) else None


def tally(counts: Counter) -> str:
    """`3 passed, 1 failed`."""
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no test yet"


def failures(lines: list[str]) -> dict[str, list[str]]:
    """{test: the last lines that pytest printed of its failure}."""
    found: dict[str, list[str]] = {}
    title = None
    for line in lines:
        heading = re.fullmatch(r"_{3,} (.+?) _{3,}", line)
        if heading:
            title = heading[1]
            found[title] = []
        elif re.match(r"={3,} ", line):
            title = None
        elif title:
            found[title].append(line)
    return {title: text[-LINES:] for title, text in found.items()}
