"""`fcn data prepare`: makes, from what `fcn data fetch` brought, what the data layers read.

Writes the split lists that the nets are trained and scored on, and compares them with the checksums
of the published ones. Where they differ, this is said, and the user's files are used.
"""

import argparse
from pathlib import Path

from fcn import places
from fcn.datasets.registry import PUBLISHED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", choices=PUBLISHED, help="the data set")
    parser.add_argument(
        "--to", type=Path, default=places.data_folder(), help="default: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Prepare one data set; returns the exit code."""
    PUBLISHED[args.name].prepare(args.to)
    print(f"next: fcn data check {args.name}")
    return 0
