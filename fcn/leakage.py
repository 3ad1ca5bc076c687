"""Leakage: pictures that a net was trained on must not be scored."""

import ast
import importlib
from collections.abc import Iterable
from pathlib import Path

import caffe

from .nets import read_net


def picture_ids(net: caffe.Net, count: int = 0) -> list[str]:
    """The ids of the pictures a net reads, in order; numbers if its data layer does not tell."""
    ids = getattr(net.layers[0], "indices", None)
    return [f"{i:06d}" for i in range(count)] if ids is None else list(ids)


def training_ids(prototxt: Path) -> list[str]:
    """The ids that the data layer of a train net reads, without building the net.

    Prints a line and returns none where the data set is not there.
    """
    layers = read_net(prototxt).layer if prototxt.is_file() else []
    python = [layer.python_param for layer in layers if layer.type == "Python"]
    kind = getattr(importlib.import_module(python[0].module), python[0].layer) if python else None
    if kind is None or not hasattr(kind, "reader"):
        return []
    try:
        return kind.reader(**ast.literal_eval(python[0].param_str)).read_split()
    except FileNotFoundError as error:
        reason = str(error).partition("\n")[0]
        print(f"not checked whether these pictures were trained on: {reason}")
        return []


def refuse_leakage(trained: Iterable[str], scored: list[str], allowed: bool) -> None:
    """Raise ValueError if pictures that are trained on are scored, too, unless that is allowed."""
    both = sorted(set(trained).intersection(scored))
    if both and not allowed:
        raise ValueError(
            f"{len(both)} of the {len(scored)} pictures to score are trained on ({both[0]} ...): "
            "their scores would mean little. Take another split, or say --leakage"
        )
