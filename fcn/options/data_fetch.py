"""The options of `fcn data fetch`."""

import argparse
from pathlib import Path

from fcn import places


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", help="voc, nyud, siftflow or pascalcontext")
    parser.add_argument(
        "--archive", action="append", default=[], help="take this file instead of downloading it"
    )
    parser.add_argument(
        "--to", type=Path, default=places.data_folder(), help="default: %(default)s"
    )
    text = "fetch also what is neither encrypted nor has a published checksum"
    parser.add_argument("--unchecked", action="store_true", help=text)
