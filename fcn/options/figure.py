"""The options of `fcn figure`."""

import argparse
from pathlib import Path

from fcn.options import any_file, device
from fcn.options.numbers import at_least_one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("images", nargs="*", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        help="model folders, a column each (voc-fcn32s voc-fcn16s voc-fcn8s)",
    )
    parser.add_argument(
        "--weights", nargs="+", type=Path, help="a caffemodel for each model (default: its own)"
    )
    parser.add_argument("--sample", action="store_true", help="the nets of the embedded task")
    parser.add_argument("--truth", nargs="+", type=Path, help="the true classes of each picture")
    parser.add_argument(
        "--show",
        choices=("overlay", "classes"),
        default="overlay",
        help="the colours of the classes over the picture, or alone (%(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("figure.png"),
        help="the figure; its ending says what it is, as .svg or .pdf (%(default)s)",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--features", metavar="LAYER", help="show what a layer makes of the picture")
    group.add_argument("--filters", metavar="LAYER", help="show the filters of a layer")
    parser.add_argument(
        "--most", type=at_least_one, default=64, help="channels or filters, at most (%(default)s)"
    )
    parser.add_argument(
        "--max-pixels",
        type=at_least_one,
        default=1_000_000,
        help="segment larger pictures at a smaller scale (%(default)s)",
    )
    device.add_options(parser)
    any_file.add_option(parser)
