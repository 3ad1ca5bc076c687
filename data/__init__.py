"""The data sets: one folder each with its classes and how to get it, and the tools they share."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SETS = ("voc", "nyud", "siftflow", "pascalcontext")


class DataError(RuntimeError):
    """What is wrong with somebody's data or connection, in a sentence for them to read."""


def names(path):
    """The class names listed in a file of this folder, in order of their indices."""
    return tuple((FOLDER / path).read_text().splitlines())


def run(command, argv):
    """Exit status of a command line tool: 2, and the sentence, for what the user can put right."""
    try:
        return command(argv) or 0
    except (DataError, OSError, ValueError, KeyError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        print(f"error: {text}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 2
