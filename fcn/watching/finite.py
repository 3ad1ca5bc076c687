"""Weights that are no numbers: found before they are saved or passed on."""

from typing import Any

import numpy as np

import caffe

_SHOWN = 4  # layers that a message names


class Poisoned(ValueError):
    """A loss or weights are no numbers: nothing that is trained or saved from here on is of use."""


def not_finite(net: caffe.Net) -> list[str]:
    """Names of the layers whose weights are not finite; on a GPU they are looked at there."""
    if diagnosis := getattr(caffe, "diagnosis", None):
        found: list[str] = diagnosis.not_finite(net)
        return found
    return [
        name
        for name, blobs in net.params.items()
        if not all(np.isfinite(blob.data).all() for blob in blobs)
    ]


def require_finite(net: Any, what: str = "the net's weights") -> None:
    """Raise Poisoned, naming layers, unless all weights are finite; `what` begins the sentence."""
    broken = not_finite(net)
    if not broken:
        return
    shown = ", ".join(broken[:_SHOWN]) + (", ..." if len(broken) > _SHOWN else "")
    raise Poisoned(
        f"{what} are not finite (NaN or Inf) in {len(broken)} of {len(net.params)} layers: {shown}"
    )
