"""The data sets: one folder each with its classes and how to get it, and the tools they share."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def names(path):
    """The class names listed in a file of this folder, in order of their indices."""
    return tuple((FOLDER / path).read_text().splitlines())
