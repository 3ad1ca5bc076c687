"""`fcn data prepare NAME`: from what was fetched to what the data layers read.

Derives the split lists that the nets are trained and scored on, and compares them with the published
ones; where a source differs this is said, and what the user has is used.
"""

import argparse
from pathlib import Path

from . import PUBLISHED
from .record import DATA


def prepare(name: str, folder: Path = DATA) -> None:
    """Prepare the data set of this name below a data folder. Raises DataError."""
    make = PUBLISHED[name].prepare
    assert make is not None  # every published set has one
    make(folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn data prepare`."""
    parser.add_argument("name", choices=PUBLISHED, help="the data set")
    parser.add_argument("--to", type=Path, default=DATA, help="default: %(default)s")


def run(args: argparse.Namespace) -> None:
    """Prepare a data set."""
    prepare(args.name, args.to)
    print(f"next: fcn data check {args.name}")
