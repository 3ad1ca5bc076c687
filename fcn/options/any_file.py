"""The option for weights that are not what their name says, which several commands share."""

import argparse


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add --any-weights."""
    text = "take a file of a published name although its sha1 is another"
    parser.add_argument("--any-weights", action="store_true", help=text)
