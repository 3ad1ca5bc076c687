"""The `fcn` command: a table of subcommands, each a module with `add_arguments` and `run`.

A subcommand's module is imported when it is asked for. A new one is a row here.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import caffe

# name -> (module, what it does)
COMMANDS = {
    "train": ("fcn.train", "train a model, scoring it as it goes"),
    "score": ("fcn.scoring", "score a model's weights on its data set"),
    "infer": ("fcn.infer", "segment pictures"),
    "explain": ("fcn.explain", "show where a net's crop offsets come from"),
    "results": ("fcn.results", "write results.md from the records of fcn score"),
    "demo": ("fcn.demo", "the whole chain on the embedded task, from nothing to a figure"),
}
DATA_COMMANDS = {
    "fetch": ("fcn.datasets.fetch", "download a data set, or unpack archives that are on disk"),
    "prepare": ("fcn.datasets.prepare", "make the split lists that the data layers read"),
    "check": ("fcn.datasets.check", "read every pair of a data set and report what is wrong"),
    "upper-bound": ("fcn.datasets.upper_bound", "the best mean IU that an output stride allows"),
    "sample": ("fcn.datasets.sample.draw", "draw the scenes of the embedded task"),
}
USER_ERROR, INTERRUPTED = 2, 130


def parser_of(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the `fcn` command; only the subcommands that argv names load their modules."""
    parser = argparse.ArgumentParser(
        prog="fcn", description="Fully Convolutional Networks for semantic segmentation."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add(commands, COMMANDS, argv)
    data = commands.add_parser("data", help="fetch, prepare and check data sets")
    _add(data.add_subparsers(metavar="COMMAND", required=True), DATA_COMMANDS, argv)
    return parser


def _add(commands, table, argv):
    completing = "_ARGCOMPLETE" in os.environ
    for name, (module_name, text) in table.items():
        if completing or name in argv[:2]:
            module = importlib.import_module(module_name)
            parser = commands.add_parser(
                name, help=text, description=f"{text[0].upper()}{text[1:]}."
            )
            module.add_arguments(parser)
            parser.set_defaults(module=module, parser=parser)
        else:
            commands.add_parser(name, help=text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `fcn` command; returns its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = parser_of(argv)
    try:
        import argcomplete  # shell completion, where it is installed
    except ImportError:
        pass
    else:
        argcomplete.autocomplete(parser)
    args = parser.parse_args(argv)
    args.argv = argv
    return _run(args.module, args.parser, args)


def alone(module: ModuleType, prog: str) -> int:
    """Run a subcommand's module as a script of its own; returns the exit status."""
    parser = argparse.ArgumentParser(prog=prog, description=(module.__doc__ or "").split("\n")[0])
    module.add_arguments(parser)
    return _run(module, parser, parser.parse_args())


def _run(module, parser, args):
    """The exit status of a subcommand; what the user can put right is printed as a sentence."""
    if hasattr(module, "check_arguments"):
        module.check_arguments(parser, args)
    if module.__name__ != COMMANDS["train"][0]:
        caffe.init_log(1)  # the results, not how nets are built
    try:
        return module.run(args) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        print(f"{parser.prog}: {text}", file=sys.stderr)
        return USER_ERROR
