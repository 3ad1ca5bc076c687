"""The options of `fcn results`."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    text = "a model folder of your own, whose runs are listed there (default: all records)"
    parser.add_argument("folder", nargs="?", metavar="DIR", help=text)
