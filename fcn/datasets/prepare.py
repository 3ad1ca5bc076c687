"""`fcn data prepare`: makes, from what `fcn data fetch` brought, what the data layers read.

Writes the split lists that the nets are trained and scored on, and compares them with the checksums
of the published ones. Where they differ, this is said, and the user's files are used.
"""

import argparse

from fcn.datasets.registry import PUBLISHED, named


def run(args: argparse.Namespace) -> int:
    """Prepare one data set; returns the exit code."""
    prepare = named(args.name, PUBLISHED).prepare
    if prepare is not None:
        prepare(args.to)
    print(f"next: fcn data check {args.name}")
    return 0
