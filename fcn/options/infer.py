"""The options of `fcn infer`."""

import argparse
from pathlib import Path

from fcn.options import device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--model", default="voc-fcn8s", help="model folder (voc-fcn8s)")
    parser.add_argument("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    for kind in ("depth", "hha"):
        text = f"the {kind} of each picture, for a model that reads it beside the colours"
        parser.add_argument(f"--{kind}", nargs="+", type=Path, metavar="FILE", help=text)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the results (here)")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument(
        "--max-pixels",
        type=int,
        default=1_000_000,
        help="segment larger pictures at a smaller scale (%(default)s)",
    )
    device.add_options(parser)
