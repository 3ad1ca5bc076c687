"""Which pictures a net reads, and a check that none of those scored was trained on."""

from collections.abc import Collection
from pathlib import Path

import caffe
from fcn.datasets import param_str
from fcn.prototxts import layer_kind, read_net


def picture_ids(net: caffe.Net, count: int = 0) -> list[str]:
    """The ids of the pictures that a net reads, in order.

    Data layers that are not ours have no ids; then there are `count` numbers.
    """
    ids = getattr(net.layers[0], "indices", None)
    return [f"{i:06d}" for i in range(count)] if ids is None else list(ids)


def split_of(net: caffe.Net) -> str | None:
    """The split that a net reads; None if its data layer is not ours."""
    return getattr(net.layers[0], "split", None)


def training_ids(prototxt: Path) -> list[str]:
    """The ids that the data layer of a train net reads; the net is not built.

    If the data set is not there, prints that nothing could be checked, and returns [].
    """
    layers = read_net(prototxt).layer if prototxt.is_file() else []
    python = [layer for layer in layers if layer.type == "Python"]
    if not python:
        return []
    kind = layer_kind(python[0])
    if not hasattr(kind, "reader"):
        return []
    try:
        return kind.reader(**param_str.parse(python[0].python_param.param_str)).read_split()
    except FileNotFoundError as error:
        reason = str(error).partition("\n")[0]
        print(f"not checked whether these pictures were trained on: {reason}")
        return []


def refuse_leakage(trained: Collection[str], scored: Collection[str], allowed: bool) -> None:
    """ValueError if pictures that are trained on are scored, too, unless that is `allowed`."""
    both = sorted(set(trained).intersection(scored))
    if both and not allowed:
        raise ValueError(
            f"{len(both)} of the {len(scored)} pictures to score are trained on ({both[0]} ...): "
            "their scores would mean little. Take another split, or say --leakage"
        )
