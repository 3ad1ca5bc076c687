"""The data layer of the sample's classifier: crops drawn as they are asked for."""

import ast
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import caffe

from . import MEAN, scenes


class DigitCropDataLayer(caffe.Layer):
    """Tops data (batch x 3 x 96 x 96, BGR minus mean) and label (batch; 0: none, else digit + 1).

    param_str: role (train, tune, val), seed; batch (32), side (96), mean, and plain: the number of
    first batches that are drawn on plain backgrounds, which a net learns from sooner.
    """

    def setup(self, bottom, top):
        params = ast.literal_eval(self.param_str)
        self.role, self.seed = params["role"], params["seed"]
        if self.role not in scenes.ROLES:
            raise ValueError(f"role is one of {', '.join(scenes.ROLES)}; got {self.role!r}")
        self.batch, self.side = params.get("batch", 32), params.get("side", 96)
        self.mean = np.array(params.get("mean", MEAN), np.float32)
        self.plain = params.get("plain", 0)
        self.rng = np.random.RandomState([self.seed, list(scenes.ROLES).index(self.role), 1])
        self.artist = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)
        self.next = self.artist.submit(self.draw)

    def reshape(self, bottom, top):
        top[0].reshape(self.batch, 3, self.side, self.side)
        top[1].reshape(self.batch)

    def forward(self, bottom, top):
        top[0].data[...], top[1].data[...] = self.next.result()
        self.next = self.artist.submit(self.draw)  # while the net computes

    def backward(self, top, propagate_down, bottom):
        pass

    def draw(self):
        plain, self.plain = self.plain > 0, max(self.plain - 1, 0)
        pairs = [scenes.crop(self.rng, self.role, self.side, plain) for _ in range(self.batch)]
        pixels, labels = zip(*pairs)
        data = np.stack(pixels)[..., ::-1] - self.mean
        return data.transpose(0, 3, 1, 2), labels
