"""The options of `fcn data upper-bound`."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "name", help="voc, nyud, siftflow, pascalcontext, sample, or a folder of your own"
    )
    parser.add_argument("dir", nargs="?", type=Path, help="where it is, if not in data/")
    parser.add_argument("--strides", type=int, nargs="+", default=[128, 64, 32, 16, 8, 4])
