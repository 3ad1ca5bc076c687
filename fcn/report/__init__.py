"""`fcn report`: a run, or several side by side, as one page of HTML that needs nothing else.

The page has the loss, the scores, the classes, the confusions, the kept pictures and the run record.
Its figures are written beside it as PNGs. Training writes it at each scoring.
"""

import argparse
import os
import re
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from fcn.report.page import render
from fcn.report.pngs import write_pngs
from fcn.report.reading import read_runs
from fcn.report.which import run_folder


def run(args: argparse.Namespace) -> int:
    """Write the report; returns the exit code."""
    folders = [run_folder(name, args.sample) for name in args.runs or [None]]
    path = write_page(list(dict.fromkeys(folders)), args.out)
    print(f"wrote {path}")
    if args.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def write(folder: str | Path) -> Path:
    """Write a run's report.html and report-*.png; returns the page's path.

    FileNotFoundError if the folder holds no run, OSError if it cannot be written.
    """
    return write_page([Path(folder)])


def write_or_say(folder: str | Path) -> Path | None:
    """`write` for training, which no report may end: an error is one line, and None is returned."""
    try:
        return write(folder)
    except Exception as error:  # whatever it is, the run goes on
        text = f"warning: no report of {folder}: {type(error).__name__}: {error}"
        print(text, file=sys.stderr, flush=True)
        return None


def write_page(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the report of one or several runs, to a file or into a folder; returns the page's path."""
    runs = read_runs(folders)
    if out is None or out.is_dir():
        names = "-".join(re.sub(r"[^\w.-]+", "-", each.label).strip("-") for each in runs)
        name = "report.html" if len(runs) == 1 else f"report-{names}.html"
        out = (out or runs[0].folder) / name
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(render(runs), encoding="utf-8", errors="replace")
    os.replace(partial, out)  # a browser never reads half of it
    write_pngs(runs, out.with_suffix(""))
    return out
