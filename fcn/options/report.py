"""The options of `fcn report`."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="a run's folder, or a model's, whose newest run is taken (default: the newest of all)",
    )
    parser.add_argument("--sample", action="store_true", help="runs on the embedded task")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: report.html in the run")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
