"""The options of `fcn explain`."""

import argparse
from pathlib import Path

from fcn.options import device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("net", help="model folder, or a prototxt")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument(
        "--size",
        type=size,
        metavar="HxW",
        help="of the picture, or CxHxW (default: what the net states, or 500x500)",
    )
    parser.add_argument(
        "--time", action="store_true", help="measure how long each layer's forward takes"
    )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the net to this file")
    parser.add_argument("--json", action="store_true", help="print it for other programs")
    device.add_options(parser)


def size(text: str) -> tuple[int, ...]:
    """`500x375` as numbers; two or three, all above 0."""
    numbers = tuple(int(part) for part in text.lower().split("x"))
    if len(numbers) not in (2, 3) or min(numbers) < 1:
        raise ValueError(text)
    return numbers
