"""The options of `fcn explain`."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("net", help="model folder, or a prototxt")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
