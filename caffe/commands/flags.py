"""Command-line flags as gflags reads them: `-solver x`, `--solver=x`, `-gray`, `-nogray`."""

import os
from types import SimpleNamespace
from typing import NamedTuple

from .. import glog


class Flag(NamedTuple):
    """The default's type is the flag's."""

    name: str
    default: str | int | bool
    help: str


class UsageError(Exception):
    """The command line makes no sense: the message says what, the exit code is 1."""


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


def parse(argv, flags, program, usage=""):
    """(flags as attributes, other arguments); sets up the log as the flags say.

    UsageError for what gflags refuses. `-help` prints `usage` and the flags and ends the program.
    """
    known = {flag.name: flag for flag in (*flags, *_LOGGING)}
    values = {flag.name: flag.default for flag in flags} | {
        f.name: _environment(f) for f in _LOGGING
    }
    others, rest = [], list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += rest
            break
        if not word.startswith("-") or word == "-":
            others.append(word)
            continue
        name, given, value = word.lstrip("-").partition("=")
        if name in ("help", "h", "helpshort"):
            print(usage + "\n" + _table(known.values()))
            raise SystemExit(0)
        flag, value = _find(known, name, value if given else None)
        if value is None:
            if not rest:
                raise UsageError(f"flag '{word}' is missing its argument: {flag.help}")
            value = rest.pop(0)
        values[flag.name] = _convert(flag, value)
    glog.init_log(values["minloglevel"])
    if values["log_dir"] and not values["logtostderr"]:
        glog.log_to_folder(values["log_dir"], program)
    return SimpleNamespace(**values), others


def _environment(flag):
    """A flag of glog's can be set by GLOG_<name>; what is no value of it is as good as unset."""
    try:
        return _convert(flag, os.environ[f"GLOG_{flag.name}"])
    except (KeyError, UsageError):
        return flag.default


def _find(known, name, value):
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


def _convert(flag, text):
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


def _table(flags):
    rows = [(f"  -{f.name}", f"({_KINDS[type(f.default)]}, {f.default!r}) {f.help}") for f in flags]
    return "flags (type, default):\n" + "\n".join(f"{left:<20} {right}" for left, right in rows)


def at_least(arguments, count, usage):
    """UsageError unless that many arguments that are no flags are given."""
    if len(arguments) < count:
        raise UsageError(f"{count} arguments are needed, got {len(arguments)}: {usage}")
