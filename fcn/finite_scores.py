"""Scores that are not finite: no class can be read from them, so nothing is written."""

from typing import Any

import numpy as np

import caffe


class NotFinite(ValueError):
    """Scores hold NaN or Inf. `weights`: because the weights do, so that every picture's will."""

    exit_code = 1  # of a command that it ends

    def __init__(self, text: str, weights: bool) -> None:
        """A sentence, and whether the weights are the cause."""
        super().__init__(text)
        self.weights = weights


def is_finite(net: Any, blob: str) -> bool:
    """Whether a blob of a net is finite, looked at where it is."""
    if diagnosis := getattr(caffe, "diagnosis", None):
        return bool(diagnosis.is_finite(net.blobs[blob]))
    return bool(np.isfinite(net.blobs[blob].data).all())


def require_finite(net: Any, blob: str) -> None:
    """Raise NotFinite, which names the layer where it begins, if scores of the last pass are not."""
    if not is_finite(net, blob):
        raise not_finite(net, f"{blob} is not finite (NaN or Inf)")


def not_finite(net: Any, what: str) -> NotFinite:
    """The error: `what` is a clause; the layer where the last pass stopped to be finite is added."""
    diagnosis = getattr(caffe, "diagnosis", None)
    origin = diagnosis.origin(net) if diagnosis else None
    if origin is None:
        return NotFinite(what, weights=False)
    broken = bool(origin.broken)
    if broken and origin.kind != "weights":  # what it reads broke earlier than any weights
        layers = ", ".join(map(repr, origin.broken[:4]))
        return NotFinite(f"{what}, first in {origin}; weights are broken, too, in {layers}", True)
    way_out = (
        "take other weights, an older snapshot for example" if broken else "look at the picture"
    )
    if not broken and origin.kind == "top":
        way_out = "the weights are finite, but too large"
    return NotFinite(f"{what}, first in {origin}: {way_out}", broken)
