"""Superpixels as layers: where they are, what a map holds on each, and scores of each given to its pixels."""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

import caffe
from fcn.datasets import param_str


class SuperpixelLayer(caffe.Layer):
    """A layer of one picture that knows the keys KEYS, with their defaults, in its param_str."""

    KEYS: dict[str, Any] = {}
    param_str: str

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Read param_str. KeyError for a key that the layer does not know."""
        params = param_str.parse(self.param_str) if self.param_str else {}
        if unknown := param_str.unknown_keys(params, self.KEYS, {}):
            raise KeyError(f"{type(self).__name__}: {unknown}")
        self.params = self.KEYS | params

    def require_one_picture(self, blob: Any, what: str) -> None:
        """Raise ValueError unless a blob is of one picture."""
        if blob.data.shape[0] != 1:
            raise ValueError(
                f"{type(self).__name__}: {what} of one picture are needed, got shape "
                f"{list(blob.data.shape)}: superpixels differ in number from picture to picture"
            )


class Superpixels(SuperpixelLayer):
    """The superpixel of each pixel (1 x 1 x H x W), numbered from 0, of a picture (1 x 3 x H x W).

    SLIC by scikit-image. param_str: count (500), about how many there are; compactness (10), how much
    nearness counts beside colour; mean, what was subtracted from the picture, BGR.
    """

    KEYS = {"count": 500, "compactness": 10.0, "mean": (0, 0, 0)}

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Read param_str; ImportError without scikit-image."""
        super().setup(bottom, top)
        if self.params["count"] < 1:
            raise ValueError(f"Superpixels: count is {self.params['count']}, it must be 1 or more")
        try:
            self.slic = importlib.import_module("skimage.segmentation").slic
        except ImportError as error:
            raise ImportError(
                f"superpixels are scikit-image's: pip install scikit-image ({error})"
            ) from error

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """A number for each pixel."""
        self.require_one_picture(bottom[0], "pixels")
        top[0].reshape(1, 1, *bottom[0].data.shape[2:])

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Find them. They are numbered without gaps."""
        mean = np.array(self.params["mean"], np.float32)[:, None, None]
        picture = np.clip((bottom[0].data[0] + mean)[::-1].transpose(1, 2, 0), 0, 255) / 255
        found = self.slic(
            picture,
            n_segments=self.params["count"],
            compactness=self.params["compactness"],
            start_label=0,
        )
        _, numbers = np.unique(found, return_inverse=True)
        top[0].data[0, 0] = numbers.reshape(found.shape)

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """Nothing: numbers have no gradient."""


class SuperpixelPooling(SuperpixelLayer):
    """The mean of maps over each superpixel (S x C), the channels of all maps one after the other.

    Bottoms: superpixels (1 x 1 x H x W), then maps of one size (1 x C x h x w). Cell i of a map lies at
    scale i + shift of the picture, on both axes; between cells a map is bilinear, outside it is as at its
    border. param_str: scale, shift; whole (False): the mean over the whole picture, for each superpixel.
    """

    KEYS = {"scale": 1.0, "shift": 0.0, "whole": False}

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """A row for each superpixel."""
        for blob in bottom:
            self.require_one_picture(blob, "maps")
        sizes = {tuple(blob.data.shape[2:]) for blob in bottom[1:]}
        if len(sizes) != 1:
            raise ValueError(f"SuperpixelPooling: maps of one size are needed, got {sorted(sizes)}")
        channels = sum(blob.data.shape[1] for blob in bottom[1:])
        top[0].reshape(int(bottom[0].data.max()) + 1, channels)

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """A product by the matrix of what each cell counts in each superpixel."""
        numbers = bottom[0].data[0, 0].astype(np.int64)
        top[0].reshape(int(numbers.max()) + 1, top[0].data.shape[1])
        self.weights = self.shares(numbers, tuple(bottom[1].data.shape[2:]))
        columns = [blob.data[0].reshape(blob.data.shape[1], -1) for blob in bottom[1:]]
        top[0].data[...] = self.weights @ np.concatenate(columns).T

    def shares(self, numbers: np.ndarray, size: tuple[int, int]) -> scipy.sparse.csr_array:
        """Superpixels x cells: what each cell counts in each superpixel's mean; rows sum to 1."""
        count = int(numbers.max()) + 1
        if self.params["whole"]:
            numbers = np.zeros_like(numbers)
        rows, columns = (self.places(*sides) for sides in zip(numbers.shape, size))
        cells, weights = [], []
        for row, down in rows:
            for column, right in columns:
                cells.append(row[:, None] * size[1] + column)
                weights.append(down[:, None] * right)
        superpixels = np.broadcast_to(numbers, (4, *numbers.shape)).ravel()
        areas = np.bincount(numbers.ravel())
        values = np.ravel(weights) / areas[superpixels]
        shape = (int(numbers.max()) + 1, size[0] * size[1])
        found = scipy.sparse.coo_array((values, (superpixels, np.ravel(cells))), shape).tocsr()
        found = found.astype(np.float32)
        return found[np.zeros(count, np.int64)] if self.params["whole"] else found

    def places(self, pixels: int, cells: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each pixel of an axis the two cells that it lies between, and what each counts."""
        place = (np.arange(pixels) - self.params["shift"]) / self.params["scale"]
        place = np.clip(place, 0, cells - 1)
        lower = np.minimum(place.astype(np.int64), max(cells - 2, 0))
        upper = np.minimum(lower + 1, cells - 1)
        share = place - lower
        return [(lower, 1 - share), (upper, share)]

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """The transposed product."""
        if not any(propagate_down[1:]):
            return
        gradient = (self.weights.T @ top[0].diff).T
        start = 0
        for blob, wanted in zip(bottom[1:], propagate_down[1:]):
            channels = blob.data.shape[1]
            if wanted:
                blob.diff[0] = gradient[start : start + channels].reshape(blob.data.shape[1:])
            start += channels


class SuperpixelScores(SuperpixelLayer):
    """Scores of superpixels (S x C) as scores of their pixels (1 x C x H x W).

    Bottoms: scores, superpixels (1 x 1 x H x W).
    """

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """As many channels as there are scores."""
        self.require_one_picture(bottom[1], "superpixels")
        top[0].reshape(1, bottom[0].data.shape[1], *bottom[1].data.shape[2:])

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Copy; ValueError if there are superpixels without scores."""
        self.numbers = bottom[1].data[0, 0].astype(np.int64)
        if self.numbers.max() >= bottom[0].data.shape[0]:
            raise ValueError(
                f"SuperpixelScores: superpixel {self.numbers.max()} has no scores; there are "
                f"{bottom[0].data.shape[0]}"
            )
        top[0].data[0] = bottom[0].data.T[:, self.numbers]

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """Add up over the pixels of each superpixel."""
        if not propagate_down[0]:
            return
        count, channels = bottom[0].data.shape
        gradient = top[0].diff[0].reshape(channels, -1)
        pixels = np.arange(self.numbers.size)
        ones = np.ones(self.numbers.size, np.float32)
        where = scipy.sparse.csr_array((ones, (self.numbers.ravel(), pixels)), (count, pixels.size))
        bottom[0].diff[...] = where @ gradient.T
