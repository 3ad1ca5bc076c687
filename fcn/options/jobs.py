"""The option --jobs, which several commands share."""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --jobs N."""
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="N processes, each with its share (1)"
    )
