"""The options of `fcn get`."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "net",
        nargs="?",
        default="voc-fcn8s",
        help="model folder, or vgg16 or alexnet, which training starts from (%(default)s)",
    )
    text = "take this file instead of downloading it: the caffemodel, or a copy of another format"
    parser.add_argument("--from", dest="file", type=Path, metavar="FILE", help=text)
    text = "fetch also what is neither encrypted nor has a published checksum"
    parser.add_argument("--unchecked", action="store_true", help=text)
