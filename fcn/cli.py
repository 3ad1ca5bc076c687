"""The `fcn` command: the table of its subcommands, and how they are run.

A subcommand's module has `run(args)`, which returns the exit code, and is imported only to be run: it
brings the engine. Its options are in fcn/options/, which does not, so that every help page is fast.

Shell completion needs argcomplete (`pip install fcn-caffe[completion]`):
`eval "$(register-python-argcomplete fcn)"`.
"""

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

argcomplete = (
    importlib.import_module("argcomplete") if importlib.util.find_spec("argcomplete") else None
)
MISTAKE, INTERRUPTED = 2, 130  # exit codes
# What users' mistakes raise. Any other exception is a bug.
MISTAKES = (OSError, ValueError, KeyError, RuntimeError, MemoryError)


class Command(NamedTuple):
    """A subcommand."""

    module: str
    summary: str


COMMANDS = {
    "get": Command("fcn.get", "bring published weights"),
    "new": Command("fcn.new.command", "make a model folder of your own pictures and masks"),
    "train": Command("fcn.train", "train a model, scoring it as it goes"),
    "score": Command("fcn.scoring", "score weights on their data set"),
    "infer": Command("fcn.infer", "segment pictures"),
    "crf-search": Command("fcn.crf_search", "look for the parameters of a dense CRF"),
    "doctor": Command("fcn.doctor.command", "look for what would spoil a training, before it"),
    "explain": Command("fcn.explain", "show a net as a table, and where its offsets come from"),
    "figure": Command("fcn.figure", "draw pictures as several models see them, or a layer's maps"),
    "serve": Command("fcn.serving", "segment pictures on a page in the browser"),
    "data fetch": Command("fcn.datasets.fetch", "download a data set"),
    "data prepare": Command("fcn.datasets.prepare", "make the split lists of a data set"),
    "data check": Command("fcn.datasets.check", "read a data set and report what is wrong"),
    "data upper-bound": Command("fcn.datasets.upper_bound", "the best mean IU of each stride"),
    "data sample": Command("fcn.datasets.sample.draw", "draw the embedded task's scenes"),
    "report": Command("fcn.report", "show a run, or several side by side, as a page of HTML"),
    "results": Command("fcn.results", "write results.md from the records of scores"),
    "demo": Command("fcn.demo", "run the whole chain on the embedded task"),
    "systems": Command("fcn.systems", "train what grew out of FCN on the embedded task"),
}
GROUPS = {"data": "get and check data sets"}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    completing = argcomplete is not None and "_ARGCOMPLETE" in os.environ
    words = os.environ["COMP_LINE"].split()[1:] if completing else argv
    name = chosen(words)
    parser = build_parser(name)
    if argcomplete and completing:
        argcomplete.autocomplete(parser)
    args = parser.parse_args(argv)  # exits for --help, and if there is no such command
    assert name is not None
    args.words = argv[len(name.split()) :]
    return run(name, args, f"fcn {name}")


def chosen(words: Sequence[str]) -> str | None:
    """The subcommand that the words of a command line begin with."""
    return next(
        (name for name in COMMANDS if name.split() == list(words[: len(name.split())])), None
    )


def build_parser(name: str | None) -> argparse.ArgumentParser:
    """The parser of all subcommands; only `name` gets its options."""
    parser = argparse.ArgumentParser(prog="fcn", description="Fully Convolutional Networks")
    levels = {"": parser.add_subparsers(metavar="COMMAND", required=True)}
    for each, command in COMMANDS.items():
        group, _, last = each.rpartition(" ")
        if group not in levels:
            page = levels[""].add_parser(group, help=GROUPS[group], description=GROUPS[group])
            levels[group] = page.add_subparsers(metavar="COMMAND", required=True)
        page = levels[group].add_parser(last, help=command.summary, description=command.summary)
        if each == name:
            add_options(page, name)
    return parser


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add a subcommand's options, and --debug, which every one has."""
    module = "fcn.options." + name.replace(" ", "_").replace("-", "_")
    importlib.import_module(module).add_arguments(parser)
    add_debug(parser)


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Add --debug, which every command has."""
    parser.add_argument("--debug", action="store_true", help="show where an error came from")


def run(name: str, args: argparse.Namespace, prog: str) -> int:
    """Run a subcommand. An error is printed as one sentence; returns the exit code."""
    module = COMMANDS[name].module
    return guarded(prog, lambda: importlib.import_module(module).run(args), args.debug)


def guarded(prog: str, call: Callable[[], int], debug: bool = False) -> int:
    """What `call` returns, or the exit code of its error, which is printed as one sentence.

    With `debug` the error is raised. An error in our own code says so, with its type.
    """
    try:
        return call()
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        print(f"{prog}: {sentence(error)}", file=sys.stderr)
        return getattr(error, "exit_code", MISTAKE)  # an exception's own, if it has one


def sentence(error: Exception) -> str:
    """What an error says to people."""
    # str() of a KeyError is the repr of its text
    text = str(error.args[0] if type(error) is KeyError and error.args else error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{os.fspath(error.filename)}: {error.strerror}"
    if isinstance(error, MISTAKES):
        return text or type(error).__name__
    return f"this should not happen: {type(error).__name__}: {text} (--debug shows where)"


def script(name: str, prog: str, argv: Sequence[str] | None = None) -> int:
    """Run a subcommand as a script of its own, such as `python infer.py`; returns the exit code."""
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=prog, description=command.summary)
    add_options(parser, name)
    args = parser.parse_args(argv)
    args.words = list(sys.argv[1:] if argv is None else argv)
    return run(name, args, prog)
