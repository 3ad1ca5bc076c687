"""The options of `fcn crf-search`."""

import argparse
from pathlib import Path

from fcn.options import device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add = parser.add_argument
    add("--model", default="voc-fcn8s", help="model folder (%(default)s)")
    add("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    add("--sample", action="store_true", help="the net of the embedded task, and its split tune")
    add("--split", help="of the net's data set: pictures neither trained on nor scored")
    text = "how many of them (%(default)s)"
    add("--pictures", type=int, default=100, metavar="N", help=text)
    text = "parameters to start from (default: those of --crf)"
    add("--crf-set", nargs="+", metavar="NAME=VALUE", default=[], help=text)
    device.add_options(parser)
