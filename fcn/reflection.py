"""Mirrors pictures at their borders, for nets that have no padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import caffe
from fcn.datasets import param_str

KEYS = {"margin": int, "cell": int, "least": int}


class ReflectionPadding(caffe.Layer):
    """The bottom (N x C x H x W) with `margin` pixels mirrored at its upper and left border, and as many at
    the others as complete a whole number of cells beyond two margins.

    A border pixel is not repeated. param_str: margin; cell (1), the pixels of a cell; least (0), the least
    number of cells. There are enough that the centres of the first and the last one, `cell` pixels
    apart each from the next, span the picture. A picture is mirrored several times where it is small.
    """

    param_str: str

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Read param_str."""
        params = param_str.parse(self.param_str)
        if unknown := param_str.unknown_keys(params, KEYS, {}):
            raise KeyError(f"{type(self).__name__}: {unknown}")
        self.margin, self.cell, self.least = (
            params.get(key, default) for key, default in (("margin", 0), ("cell", 1), ("least", 0))
        )
        if self.margin < 0 or self.cell < 1 or self.least < 0:
            raise ValueError(
                f"{type(self).__name__}: margin and least are 0 or more and cell 1 or more, got {params}"
            )

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Find which row and column of the bottom each of the top is."""
        num, channels, *sides = bottom[0].data.shape
        self.rows, self.columns = map(self.places, sides)
        top[0].reshape(num, channels, len(self.rows), len(self.columns))

    def places(self, side: int) -> np.ndarray:
        """For each place of the top along a side, which one of the bottom it shows."""
        cells = max(self.least, -(-(side - 1) // self.cell) + 1)
        period = max(2 * (side - 1), 1)
        place = np.arange(-self.margin, self.margin + cells * self.cell) % period
        return np.minimum(place, period - place) if side > 1 else place

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Copy."""
        top[0].data[...] = bottom[0].data[:, :, self.rows[:, None], self.columns]

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """Add up the gradients of the places that show the same one."""
        if propagate_down[0]:
            rows, columns = map(np.eye, bottom[0].diff.shape[2:])
            bottom[0].diff[...] = rows[self.rows].T @ top[0].diff @ columns[self.columns]
