"""The options of `fcn serve`."""

import argparse
from pathlib import Path

from fcn.options import any_file, device
from fcn.options.numbers import at_least_one, at_least_zero


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--model", default="voc-fcn8s", help="model folder (%(default)s)")
    parser.add_argument("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at; 0.0.0.0 lets the network in (%(default)s: this machine alone)",
    )
    parser.add_argument("--port", type=port, default=8000, help="0: any that is free (%(default)s)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    numbers = {
        "--max-bytes": (20_000_000, at_least_one, "refuse uploads of more bytes"),
        "--refuse-pixels": (50_000_000, at_least_one, "refuse pictures of more pixels, undecoded"),
        "--max-pixels": (1_000_000, at_least_one, "segment larger pictures at a smaller scale"),
        "--queue": (8, at_least_zero, "refuse pictures while so many wait"),
    }
    for name, (value, kind, text) in numbers.items():
        help = f"{text} (%(default)s)"
        parser.add_argument(name, type=kind, default=value, metavar="N", help=help)
    device.add_options(parser)
    any_file.add_option(parser)


def port(text: str) -> int:
    """A number of a port."""
    value = at_least_zero(text)
    if value > 65535:
        raise ValueError(text)
    return value
