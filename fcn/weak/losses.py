"""Losses of tags: FCN-MIL's maximum, and CCNN's distribution under constraints. Layers of one picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import caffe
from fcn.datasets import param_str
from fcn.weak.constraints import HARD, Bound, project, softmax
from fcn.weak.data_layer import LISTS, SIZES, TAGS

TINY = 1e-10


def listed(label: Any, row: int) -> list[int]:
    """The classes of a list in the third channel of a weak label's blob."""
    values = label.data[0, LISTS, row].astype(int)
    end = np.flatnonzero(values == 0)
    return [int(k) for k in values[: end[0] if len(end) else None]]


class TagLoss(caffe.Layer):
    """A loss of scores (1 x C x h x w), which may be small, and of weak labels (1 x 3 x H x W)."""

    KEYS: dict[str, Any] = {}
    param_str: str
    slope: np.ndarray  # of the loss by the scores, cells x classes

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Read param_str."""
        params = param_str.parse(self.param_str) if self.param_str else {}
        if unknown := param_str.unknown_keys(params, self.KEYS, {}):
            raise KeyError(f"{type(self).__name__}: {unknown}")
        self.params = self.KEYS | params

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """A number. ValueError for other shapes."""
        scores, labels = (list(blob.data.shape) for blob in bottom)
        if len(scores) != 4 or scores[0] != 1 or len(labels) != 4 or labels[:2] != [1, 3]:
            raise ValueError(
                f"{type(self).__name__}: scores 1 x C x h x w and weak labels 1 x 3 x H x W are needed, got "
                f"{scores} and {labels}"
            )
        top[0].reshape(1)

    def tags(self, bottom: Sequence[Any], row: int = TAGS) -> list[int]:
        """The classes of a list; ValueError for one that the scores do not have."""
        found = listed(bottom[1], row)
        if stray := [k for k in found if k >= bottom[0].data.shape[1]]:
            raise ValueError(
                f"{type(self).__name__}: tags {stray}, but scores of {bottom[0].data.shape[1]} classes"
            )
        return found

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """The slope that forward has found."""
        if propagate_down[0]:
            shape = bottom[0].data.shape
            bottom[0].diff[...] = top[0].diff.ravel()[0] * self.slope.T.reshape(shape)


def rows_of(scores: Any) -> np.ndarray:
    """Scores of a blob as cells x classes."""
    return scores.data[0].reshape(scores.data.shape[1], -1).T.astype(np.float64)


class MaximumLoss(TagLoss):
    """The mean, over the classes that are there and background, of -log P where the class is likeliest."""

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """The loss, and its slope by the scores."""
        p = softmax(rows_of(bottom[0]))
        there = [0, *self.tags(bottom)]
        cells = p[:, there].argmax(0)
        self.slope = np.zeros_like(p)
        for cell, k in zip(cells, there):
            self.slope[cell] += p[cell]
            self.slope[cell, k] -= 1
        self.slope /= len(there)
        top[0].data[...] = -np.log(np.maximum(p[cells, there], TINY)).mean()


class ConstrainedLoss(TagLoss):
    """KL from the net's distribution to the nearest one that meets what the tags say, a cell.

    Classes that are not there have no share; those that are, and background, have shares within bounds:
    param_str: present (0.05), at least, at the price `slack` (2) if not; background ((0.3, 0.7)); with
    `sizes`, large (0.1), at least, for the large ones and small (1), at most, for the others. `hardness` (1)
    multiplies the scores: the larger, the more the distribution is all of one class in each cell.
    """

    KEYS = {
        "present": 0.05,
        "slack": 2.0,
        "background": (0.3, 0.7),
        "sizes": False,
        "large": 0.1,
        "small": 1.0,
        "hardness": 1.0,
    }

    def bounds(self, there: Sequence[int], large: Sequence[int]) -> list[Bound]:
        """What the tags say of the shares; classes are numbered among those there, background first."""
        p = self.params
        low, high = p["background"]
        found = [Bound(1, (0,), low)] + [Bound(-1, (0,), high)] * bool(there)
        for number, k in enumerate(there, 1):
            if not p["sizes"]:
                found.append(Bound(1, (number,), p["present"], p["slack"]))
            elif k in large:
                found.append(Bound(1, (number,), p["large"], HARD))
            else:
                found.append(Bound(1, (number,), p["present"], p["slack"]))
                found.append(Bound(-1, (number,), p["small"], p["slack"]))
        return found

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """The loss, and its slope by the scores: Q - P."""
        scores = rows_of(bottom[0])
        there = self.tags(bottom)
        kept = [0, *there]
        try:
            hardness = self.params["hardness"]
            bounds = self.bounds(there, self.tags(bottom, SIZES))
            bounds = [Bound(*each[:3], each.slack * hardness) for each in bounds]
            inner = project(hardness * scores[:, kept], bounds)
        except ValueError as error:
            raise ValueError(f"ConstrainedLoss: tags {there}: {error}") from None
        q = softmax(scores)
        p = np.zeros_like(q)
        p[:, kept] = inner
        self.slope = (q - p) / len(q)
        entropy = (inner * np.log(np.maximum(inner, TINY))).sum()
        cross = (inner * np.log(np.maximum(q[:, kept], TINY))).sum()
        top[0].data[...] = (entropy - cross) / len(q)
