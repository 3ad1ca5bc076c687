"""Scores that are the same for every class at every pixel: a net that says nothing, so nothing is written."""

from typing import Any

import numpy as np

from fcn.watching.causes import why_equal


class AllEqual(ValueError):
    """Every class has the same score at every pixel. `weights`: because of the weights alone."""

    exit_code = 1  # of a command that it ends

    def __init__(self, text: str, weights: bool) -> None:
        """A sentence, and whether every picture's scores will be equal."""
        super().__init__(text)
        self.weights = weights


def require_different(net: Any, blob: str, classes: np.ndarray, item: int = 0) -> None:
    """Raise AllEqual if the scores of an item of the last pass are, whose `classes` were taken of them.

    Of equal scores the first class is taken, so that scores are looked at only where all pixels are 0.
    """
    if classes.any():
        return
    scores = net.blobs[blob].data[item]
    if (scores != scores[:1]).any():
        return
    cause = why_equal(net, blob)
    because = f": {cause.text}. Way out: {cause.way_out}" if cause else ""
    text = f"{blob} gives all {len(scores)} classes the same score at every pixel{because}"
    raise AllEqual(text, weights=cause is not None and cause.kind != "data")
