"""The options of `fcn train`."""

import argparse
from pathlib import Path

from fcn.options import any_file, device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn train`."""
    parser.add_argument("model", help="model folder")
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every model."""
    add = parser.add_argument
    add("old_gpu", nargs="?", type=int, metavar="GPU", help="as --gpu")
    device.add_options(parser)
    any_file.add_option(parser)
    add("--weights", nargs="+", type=Path, help="start from these files")
    add("--run", metavar="NAME", help="the run's name (default: the next number)")
    add(
        "--resume",
        nargs="?",
        const=True,
        metavar="STATE",
        help="go on from this .solverstate (default: the newest whole one of the last run, or of --run)",
    )
    add("--keep", type=int, metavar="N", help="keep the newest N snapshots (default: all)")
    text = (
        "a snapshot that cannot be written, for the disk is full say: train on (default), or stop"
    )
    add("--unsaved", choices=("go-on", "stop"), default="go-on", help=text)
    text = "look at each step's gradients, and stop before NaN or Inf reaches the weights"
    add("--check-gradients", action="store_true", help=text)
    add("--rounds", type=int, help="rounds of steps and scoring (as published)")
    add("--steps", type=int, help="steps a round (as published)")
    add(
        "--set",
        nargs="+",
        action="extend",
        metavar="FIELD=VALUE",
        default=[],
        help="change fields of the solver",
    )
    add("--seed", type=int, help="seed of everything random but the data's order")
    add("--sample", action="store_true", help="on the embedded task")
    text = "use less memory: compute maps again in backward, which takes a third more time"
    add("--recompute", action="store_true", help=text)
    text = "with several workers: send gradients in bf16, half as many bytes"
    add("--compress", action="store_true", help=text)
    add("--leakage", action="store_true", help="score training pictures, too")
    add("--anyway", action="store_true", help="train although the checks found it to be in vain")
