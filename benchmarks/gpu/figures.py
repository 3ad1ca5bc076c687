"""python -m benchmarks.gpu.figures: puts the newest GPU run's figures into the documents.

They stand between the markers in docs/performance.md and README.md, and come from
benchmarks/results/gpu-*.json alone. Without such a file the text there says that nothing was measured.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- GPU figures: python -m benchmarks.gpu.figures -->", "<!-- end of GPU figures -->"
NONE = (
    "No run on a GPU is recorded yet: `python -m benchmarks.gpu` measures all of it in at most "
    "seven minutes."
)
PRECISIONS = ("float32", "tf32", "bf16")
TARGETS = {  # milliseconds on one H100 or H200
    "forward": {"float32": 6, "tf32": 3, "bf16": 2},
    "step": {"float32": 20, "tf32": 8},
}


def newest() -> dict[str, Any] | None:
    """The record of the newest run, if there is one."""
    runs = [json.loads(path.read_text()) for path in RESULTS.glob("gpu-*.json")]
    return max(runs, key=lambda run: run["date"], default=None)


def results(run: dict[str, Any], part: str) -> dict[str, Any]:
    """{key: value} of what a part told; nothing where it told an error."""
    told = run["parts"].get(part, {}).get("results", {})
    values = {key: entry["value"] for key, entry in told.items()}
    return {k: v for k, v in values.items() if not (isinstance(v, dict) and "error" in v)}


# ---- texts


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def race(found: dict[str, Any], work: str, column: str, digits: int) -> str:
    """A table of contestants by precisions, with the targets as its last row."""
    names = list(
        dict.fromkeys(row["name"] for p in PRECISIONS for row in found.get(f"{work} {p}", ()))
    )
    if not names:
        return ""
    values = {
        (row["name"], p): f"{row['value']:.{digits}f}"
        for p in PRECISIONS
        for row in found.get(f"{work} {p}", ())
    }
    rows = [[name, *(values.get((name, p), "") for p in PRECISIONS)] for name in names]
    if work in TARGETS:
        wanted = (TARGETS[work].get(p) for p in PRECISIONS)
        rows.append(["target", *("" if ms is None else f"{ms}" for ms in wanted)])
    return table([column, *PRECISIONS], rows)


def lines_of(run: dict[str, Any], part: str, wanted: Callable[[str], bool]) -> str:
    """What a part told, as a list."""
    told = run["parts"].get(part, {}).get("results", {})
    return "\n".join(f"* {entry['line']}" for key, entry in told.items() if wanted(key))


def report(run: dict[str, Any] | None) -> str:
    """The section of docs/performance.md."""
    if run is None:
        return NONE
    cut = [f"{name} ({part['outcome']})" for name, part in run["parts"].items()]
    cut = [text for text in cut if not text.endswith("(done)")] + list(run["left_out"])
    head = f"Measured on one {run['card']}, {run['date'][:10]} (`python -m benchmarks.gpu`)"
    forward, training = results(run, "forward"), results(run, "training")
    sections = [
        head + (f"; not whole: {', '.join(cut)}." if cut else "."),
        lines_of(run, "machine", lambda key: key in ("versions", "copy", *PRECISIONS)),
        lines_of(run, "fidelity", lambda key: True),
        race(forward, "forward", "FCN-8s forward, one size, ms", 2),
        race(forward, "stream", "the stream of sizes, ms a picture", 2),
        lines_of(run, "forward", lambda key: key.startswith("stages")),
        race(training, "step", "FCN-32s training step with data, ms", 2),
        lines_of(run, "trace", lambda key: True),
        lines_of(run, "tests", lambda key: key == "counts"),
        lines_of(run, "demo", lambda key: True),
        lines_of(run, "exhausted", lambda key: True),
    ]
    return "\n\n".join(section for section in sections if section)


def summary(run: dict[str, Any] | None) -> str:
    """The sentence of README.md."""
    if run is None:
        return NONE
    parts = []
    for part, work, what in (
        ("forward", "forward", "FCN-8s forward"),
        ("training", "step", "an FCN-32s training step"),
    ):
        found = results(run, part)
        for precision in PRECISIONS:
            rows = found.get(f"{work} {precision}", [])
            ours = [row for row in rows if row["name"].startswith("ours")]
            others = [row for row in rows if not row["name"].startswith("ours")]
            if ours and others:
                best, peer = (min(each, key=lambda row: row["value"]) for each in (ours, others))
                parts.append(
                    f"{what} in {precision} {best['value']:.1f} ms ({peer['name']} {peer['value']:.1f})"
                )
    return f"On one {run['card']}: {'; '.join(parts)}." if parts else NONE


def put(text: str, figures: str) -> str:
    """`text` with `figures` between its markers. ValueError without them."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no markers {BEGIN!r} ... {END!r}")
    return pattern.sub(lambda _: f"{BEGIN}\n{figures}\n{END}", text)


def documents(run: dict[str, Any] | None) -> dict[Path, str]:
    """{document: its text with the figures of a run}."""
    figures = {ROOT / "docs" / "performance.md": report(run), ROOT / "README.md": summary(run)}
    return {path: put(path.read_text(), text) for path, text in figures.items()}


def main() -> int:
    """Write the documents."""
    for path, text in documents(newest()).items():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
