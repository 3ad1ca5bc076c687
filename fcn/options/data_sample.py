"""The options of `fcn data sample`."""

import argparse
from pathlib import Path

from fcn import places


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--seed", type=int, default=0, help="another seed, other scenes")
    parser.add_argument("--most", type=int, metavar="N", help="at most N scenes of each split")
    out = places.scenes_folder()
    parser.add_argument("--out", type=Path, default=out, help="default: %(default)s")
