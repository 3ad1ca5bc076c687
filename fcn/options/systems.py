"""The options of `fcn systems`."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="folders in systems/ (default: all that are listed)",
    )
    parser.add_argument(
        "--table",
        action="store_true",
        help="only write results.md, from the records that are there",
    )
