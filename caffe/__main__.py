"""The command line: `caffe <command> ...`, or `python -m caffe <command> ...`."""

import os
import sys
import traceback
from collections.abc import Sequence

from . import commands
from .commands.flags import UsageError

USAGE = f"""usage: caffe <command> <arguments>

commands:
{commands.summary()}

`caffe <command> --help` lists a command's flags."""
# What users' mistakes raise. Any other kind of exception is a bug and keeps its traceback.
USER_ERRORS = (
    ValueError, RuntimeError, OSError, LookupError, ImportError, SystemError, NotImplementedError,
    EOFError,
)  # fmt: skip
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY = os.path.dirname(os.__file__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, or 1 after printing a user's mistake in a sentence."""
    argv = sys.argv[1:] if argv is None else list(argv)
    option = argv[0].lstrip("-") if argv and argv[0].startswith("-") else None
    if option in ("help", "h"):
        print(USAGE)
        return 0
    if option == "version":
        from . import __version__

        print(f"caffe version {__version__}")
        return 0
    name, arguments = _split(argv)
    if name is None:
        print(USAGE, file=sys.stderr)
        return 1
    if name not in commands.COMMANDS:
        known = ", ".join(commands.COMMANDS)
        print(f"caffe: unknown command '{name}'; known: {known}", file=sys.stderr)
        return 1
    try:
        return commands.find(name)(arguments)
    except UsageError as error:
        print(f"caffe {name}: {error}", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except USER_ERRORS as error:
        print(f"caffe {name}: {_message(error)}{_origin(error)}", file=sys.stderr)
    return 1


def _split(argv: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """(command, the rest). As with gflags, flags may stand before the command: `-solver=x train`."""
    if argv and not argv[0].startswith("-"):
        return argv[0], argv[1:]
    for i, word in enumerate(argv):
        if word in commands.COMMANDS:
            return word, [*argv[:i], *argv[i + 1 :]]
    return None, argv


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    # str() of a KeyError is the repr of its text
    plain = type(error) in (KeyError, IndexError) and error.args
    return str(error.args[0] if plain else error) or type(error).__name__


def _origin(error: BaseException) -> str:
    """Where a user's own module, such as a Python layer's, raised the error; "" for the engine's."""
    places = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, _LIBRARY, "<"))
        and "site-packages" not in frame.filename
    ]
    return f" ({places[-1]})" if places else ""


if __name__ == "__main__":
    sys.exit(main())
