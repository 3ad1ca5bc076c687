"""The options of `fcn demo`."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--seed", type=int, default=1, help="another seed, another run (1)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few scenes and steps: shows in a minute that all of it works, not what it reaches",
    )
    parser.add_argument(
        "--figure",
        action="store_true",
        help="only the table and the figure, of nets trained before",
    )
