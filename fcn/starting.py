"""Starts a net: finds the weights that its recipe starts from, and fills it from them."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import caffe
from fcn import models, prototxts, surgery, weights


class StartingNet(NamedTuple):
    """A net to start from."""

    name: str
    weights: Path
    prototxt: Path  # of the net; read only for a recipe's `initialize`


def starting_nets(
    args: argparse.Namespace, names: Sequence[str], initialized: bool
) -> list[StartingNet]:
    """The nets to start from, with the weights given on the command line or found by name."""
    given = args.weights or [None] * len(names)
    if len(given) != len(names):
        raise FileNotFoundError(f"--weights wants {len(names)} files, for {', '.join(names)}")
    start = []
    for path, name in zip(given, names):
        file = weights.given_or_found(path, name, args.sample)
        prototxt = models.prototxt_of(name, args.sample) if initialized else Path()
        start.append(StartingNet(name, file, prototxt))
    return start


def fill(
    net: caffe.Net, start: list[StartingNet], initialize: Callable[..., None] | None = None
) -> None:
    """Fill the net from the nets to start from, and make deconvolutions that are zero bilinear.

    ValueError if most layers are zero then, because nothing could be learned.
    """
    for name, file, _ in start:
        print(f"starting from {name}: {file}")
    if initialize:
        initialize(net, *(prototxts.load(prototxt, file) for _, file, prototxt in start))
    else:
        net.copy_from(str(start[0].weights))
    is_deconvolution = {
        name: layer.type == "Deconvolution" for name, layer in net.layer_dict.items()
    }
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    surgery.interp(net, [name for name in zero if is_deconvolution[name]])
    zero = [name for name in zero if not is_deconvolution[name]]
    print(f"starting from zero: {', '.join(zero) or 'no layer'}", flush=True)
    learned = [name for name in net.params if not is_deconvolution[name]]
    if len(zero) > len(learned) / 2:
        raise ValueError(
            f"{len(zero)} of {len(learned)} layers are zero, so the scores would be uniform and "
            f"stay so. Do the layer names in {start[0].weights} match the net's?"
        )
