"""The data layer of the embedded task's classifier: crops that are drawn when they are needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import caffe
from fcn.datasets import param_str
from fcn.datasets.data_layer import reading_ahead
from fcn.datasets.sample import MEAN, scenes

KEYS = ("role", "seed", "batch", "side", "mean", "plain")  # of param_str


class DigitCropDataLayer(caffe.Layer):
    """Tops data (batch x 3 x side x side, BGR minus mean) and label (batch; 0: none, else digit + 1).

    param_str: role (train, tune, val), seed; batch (32), side (96), mean, and plain (0): the number
    of batches at the start that have plain backgrounds, from which a net learns sooner.
    """

    param_str: str

    def setup(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Read param_str and begin to draw the first batch."""
        params = param_str.parse(self.param_str)
        if unknown := param_str.unknown_keys(params, KEYS, {}):
            raise KeyError(f"{type(self).__name__}: {unknown}")
        self.role, self.seed = params["role"], params["seed"]
        if self.role not in scenes.ROLES:
            raise ValueError(f"role is one of {', '.join(scenes.ROLES)}; got {self.role!r}")
        self.batch, self.side = params.get("batch", 32), params.get("side", 96)
        self.mean = np.array(params.get("mean", MEAN), np.float32)
        self.plain = params.get("plain", 0)
        self.rng = np.random.RandomState([self.seed, list(scenes.ROLES).index(self.role), 1])
        self.background = reading_ahead(type(self).__name__)
        self.next = self.background.submit(self.draw)

    def reshape(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Give the tops their fixed shapes."""
        top[0].reshape(self.batch, 3, self.side, self.side)
        top[1].reshape(self.batch)

    def forward(self, bottom: Sequence[Any], top: Sequence[Any]) -> None:
        """Copy the batch to the tops; a thread draws the next one while the net computes."""
        top[0].data[...], top[1].data[...] = self.next.result()
        self.next = self.background.submit(self.draw)

    def backward(
        self, top: Sequence[Any], propagate_down: Sequence[bool], bottom: Sequence[Any]
    ) -> None:
        """Nothing: there is no bottom."""

    def draw(self) -> tuple[np.ndarray, tuple[int, ...]]:
        """A batch: pictures N x 3 x H x W and their classes."""
        plain, self.plain = self.plain > 0, max(self.plain - 1, 0)
        pairs = [scenes.crop(self.rng, self.role, self.side, plain) for _ in range(self.batch)]
        pixels, labels = zip(*pairs)
        data = np.stack(pixels)[..., ::-1] - self.mean
        return data.transpose(0, 3, 1, 2), labels
