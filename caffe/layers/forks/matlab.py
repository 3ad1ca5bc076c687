"""Blobs in MATLAB's files, of DeepLab: MatWrite and MatRead (mat_write_layer.cpp, mat_read_layer.cpp).

A file holds one array, `data`, whose axes are width, height, channels and items: MATLAB's order.
"""

from __future__ import annotations

import os

import numpy as np

from ...files import allowed
from ...files.mat import read_mat
from ...layer import Layer, register


class MatFiles(Layer):
    """Files that are called prefix, a name, `_blob_` and a number; names stand in a list, a line each,
    whose last `strip` characters are no part of them."""

    fork = "DeepLab"

    def read_names(self) -> list[str]:
        """The names that `source` lists."""
        strip = self.param.strip
        if strip < 0:
            raise self.error(f"strip must not be negative, got {strip}")
        try:
            with open(
                allowed.to_read(self.param.source), encoding="utf-8", errors="surrogateescape"
            ) as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError as error:
            raise self.error(f"source, the list of names: {error}") from error
        if not lines:
            raise self.error(f"{self.param.source} lists no names")
        return [line[: len(line) - strip] for line in lines]

    def path(self, name: str, number: int) -> str:
        """The file of a name and of a blob's number."""
        return f"{os.fsdecode(self.param.prefix)}{name}_blob_{number}.mat"


@register
class MatWrite(MatFiles):
    """Writes its bottoms at every `period`-th pass, a file each; without a list, the pass's number is
    the name, as iter_K. Gradient: none is passed."""

    num_bottom, num_top = (1, None), 0

    def setup(self, bottom, top):
        if self.param.period < 1:
            raise self.error(f"period must be above 0, got {self.param.period}")
        self.names = self.read_names() if self.param.source else []
        try:
            for name in self.names or ["iter_0"]:
                allowed.to_write(self.path(name, 0))
        except OSError as error:
            raise self.error(str(error)) from error
        self.passes = 0

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        if self.passes % self.param.period == 0:
            names = self.names
            name = names[self.passes % len(names)] if names else f"iter_{self.passes}"
            for number, blob in enumerate(bottom):
                values = blob.x.cpu().numpy().reshape(self.legacy_shape(blob))
                self.write(self.path(name, number), values)
        self.passes += 1

    def write(self, path: str, values: np.ndarray) -> None:
        """Write an array (N, C, H, W)."""
        import scipy.io  # takes a while, and few nets have such a layer

        try:
            scipy.io.savemat(path, {"data": values.astype(np.float32).transpose(3, 2, 1, 0)})
        except OSError as error:
            raise self.error(f"cannot write {path}: {error}") from error

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom, propagate_down):
            if propagates:
                blob.dx.zero_()


@register
class MatRead(MatFiles):
    """Reads what MatWrite writes: a top for each blob's number, batch_size names a pass, one after the
    other and round again."""

    num_bottom, num_top = 0, (1, None)

    def setup(self, bottom, top):
        if self.param.batch_size < 1:
            raise self.error(f"batch_size must be above 0, got {self.param.batch_size}")
        self.names, self.position = self.read_names(), 0
        for number, blob in enumerate(top):
            first = self.read(self.path(self.names[0], number))
            blob.set_shape([len(first) * self.param.batch_size, *first.shape[1:]])

    def reshape(self, bottom, top):
        pass

    def read(self, path: str) -> np.ndarray:
        """The array of a file, (N, C, H, W)."""
        try:
            values = np.asarray(read_mat(allowed.to_read(path))["data"], np.float32)
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise self.error(f"cannot read {path}, with `data` in it: {error}") from error
        return values.reshape(values.shape + (1,) * (4 - values.ndim)).transpose(3, 2, 1, 0)

    def forward(self, bottom, top):
        count = self.param.batch_size
        names = [self.names[(self.position + i) % len(self.names)] for i in range(count)]
        self.position += count
        for number, blob in enumerate(top):
            parts = [self.read(self.path(name, number)) for name in names]
            if len({part.shape for part in parts}) > 1:
                raise self.error(
                    f"blobs of one batch must have one shape, got {[part.shape for part in parts]}"
                )
            values = np.concatenate(parts)
            blob.set_shape(values.shape)
            blob.data[...] = values

    def backward(self, top, propagate_down, bottom):
        pass
