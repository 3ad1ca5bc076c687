"""The command line: `caffe <command> ...`, or `python -m caffe <command> ...`."""

import os
import sys
import traceback

from . import commands
from .commands.flags import UsageError

USAGE = f"""usage: caffe <command> <arguments>

commands:
{commands.summary()}

`caffe <command> -help` lists a command's flags."""
# What users' mistakes raise. Any other kind of exception is somebody's bug and keeps its traceback.
MISTAKES = (
    ValueError, RuntimeError, OSError, LookupError, ImportError, SystemError, NotImplementedError
)  # fmt: skip
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY = os.path.dirname(os.__file__)


def main(argv=None) -> int:
    """Run a command; the exit code: 0, or 1 for mistakes, which are told in one sentence."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if argv and argv[0].lstrip("-") in ("help", "h") and argv[0].startswith("-"):
        print(USAGE)
        return 0
    if argv and argv[0].lstrip("-") == "version" and argv[0].startswith("-"):
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
    except MISTAKES as error:
        print(f"caffe {name}: {_text(error)}{_origin(error)}", file=sys.stderr)
    return 1


def _split(argv):
    """(command, the rest). As with gflags, flags may stand before the command: `-solver=x train`."""
    if argv and not argv[0].startswith("-"):
        return argv[0], argv[1:]
    for i, word in enumerate(argv):
        if word in commands.COMMANDS:
            return word, argv[:i] + argv[i + 1 :]
    return None, argv


def _text(error):
    # str() of a KeyError is the repr of its text
    plain = type(error) in (KeyError, IndexError) and error.args
    return str(error.args[0] if plain else error) or type(error).__name__


def _origin(error):
    """Where a user's own module, a Python layer's, raised the error; nothing for the engine's."""
    places = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, _LIBRARY, "<"))
        and "site-packages" not in frame.filename
    ]
    return f" ({places[-1]})" if places else ""


if __name__ == "__main__":
    sys.exit(main())
