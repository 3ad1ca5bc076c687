"""The options of `fcn doctor`."""

import argparse
from pathlib import Path

from fcn.options import device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("model", help="model folder")
    parser.add_argument("--sample", action="store_true", help="its form of the embedded task")
    parser.add_argument("--weights", nargs="+", type=Path, help="start from these files")
    device.add_options(parser)
