"""Command lines: flags as gflags reads them (`-solver x`, `--solver=x`, `-gray`, `-nogray`), which
Caffe's C++ tools have, and argparse's for its Python tools."""

import argparse
import os
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from .. import glog

Value = str | int | bool


class Flag(NamedTuple):
    """A flag; its type is its default's."""

    name: str
    default: Value
    help: str


class UsageError(Exception):
    """A command line that cannot be run: the message says why, the exit code is 1."""


class ArgumentParser(argparse.ArgumentParser):
    """argparse's, with the tools' exit code for a wrong command line; -help as gflags has it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_argument("-help", action="help", help=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")


_TRUE, _FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")
_KINDS = {str: "string", int: "int32", bool: "bool"}
# glog's, which every tool of Caffe's takes
_LOGGING = (
    Flag("minloglevel", 0, "least level logged: 0 information, 1 warnings, 2 errors"),
    Flag("logtostderr", False, "log to standard error only"),
    Flag("alsologtostderr", True, "log to standard error as well (always)"),
    Flag("log_dir", "", "write a log file into this folder as well"),
    Flag("stderrthreshold", 0, "accepted; all that is logged goes to standard error"),
    Flag("v", 0, "accepted; there are no verbose lines"),
)


def parse(
    argv: Sequence[str], flags: Sequence[Flag], program: str, usage: str = ""
) -> tuple[SimpleNamespace, list[str]]:
    """(flags as attributes, other arguments); sets up the log as glog's flags say.

    UsageError for what gflags refuses. `-help` prints `usage` and the flags and ends the program.
    `program` names the log file.
    """
    known = {flag.name: flag for flag in (*flags, *_LOGGING)}
    values: dict[str, Any] = {flag.name: flag.default for flag in flags}
    values |= {flag.name: _environment(flag) for flag in _LOGGING}
    others: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += rest
            break
        if not word.startswith("-") or word == "-":
            others.append(word)
            continue
        name, given, text = word.lstrip("-").partition("=")
        if name in ("help", "h", "helpshort"):
            print(usage + "\n" + _table(known.values()))
            raise SystemExit(0)
        flag, value = _find(known, name, text if given else None)
        if value is None:
            if not rest:
                raise UsageError(f"flag '{word}' is missing its argument: {flag.help}")
            value = rest.pop(0)
        values[flag.name] = _convert(flag, value)
    glog.init_log(values["minloglevel"])
    if values["log_dir"] and not values["logtostderr"]:
        glog.log_to_folder(values["log_dir"], program)
    return SimpleNamespace(**values), others


def _environment(flag: Flag) -> Value:
    """A glog flag's default: GLOG_<name> of the environment if that is a value of the flag."""
    try:
        return _convert(flag, os.environ[f"GLOG_{flag.name}"])
    except (KeyError, UsageError):
        return flag.default


def _find(known: dict[str, Flag], name: str, value: str | None) -> tuple[Flag, str | None]:
    """(flag, its value as text, or None if that is the next argument)."""
    flag = known.get(name)
    if flag is None and name.startswith("no"):
        flag = known.get(name[2:])
        if flag is not None and isinstance(flag.default, bool) and value is None:
            return flag, "false"
        flag = None
    if flag is None:
        raise UsageError(f"unknown command line flag '{name}'")
    return flag, "true" if value is None and isinstance(flag.default, bool) else value


def _convert(flag: Flag, text: str) -> Value:
    """A flag's value from text."""
    kind = type(flag.default)
    if kind is bool and text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    if kind is int:
        try:
            return int(text, 0) if text.lower().lstrip("+-").startswith("0x") else int(text)
        except ValueError:
            pass
    if kind is str:
        return text
    raise UsageError(f"illegal value '{text}' specified for {_KINDS[kind]} flag '{flag.name}'")


def _table(flags: Iterable[Flag]) -> str:
    rows = [(f"  -{f.name}", f"({_KINDS[type(f.default)]}, {f.default!r}) {f.help}") for f in flags]
    return "flags (type, default):\n" + "\n".join(f"{left:<20} {right}" for left, right in rows)


def require_arguments(arguments: Sequence[str], count: int, usage: str) -> None:
    """UsageError unless there are at least `count` arguments besides the flags."""
    if len(arguments) < count:
        raise UsageError(f"{count} arguments are needed, got {len(arguments)}: {usage}")
