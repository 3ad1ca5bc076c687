"""The options of `fcn results`."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options."""
