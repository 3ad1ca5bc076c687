"""Layers without bottoms whose values need no file: Input, DummyData, Parameter, MemoryData
(src/caffe/layers/input_layer.cpp, dummy_data_layer.cpp,
include/caffe/layers/parameter_layer.hpp)."""

from collections.abc import Sequence

import numpy as np

from ..filler import fill
from ..layer import Layer, register
from ..proto import caffe_pb2


@register
class Input(Layer):
    """Tops of the given shapes (one for all, or one each), for the user to fill."""

    num_bottom, num_top = 0, (1, None)

    def setup(self, bottom, top):
        shapes = self.param.shape
        if len(shapes) not in (0, 1, len(top)):
            raise self.error(
                f"needs one shape, or one for each of {len(top)} tops; got {len(shapes)}"
            )
        for i, blob in enumerate(top):
            if shapes:
                blob.set_shape(shapes[i if len(shapes) > 1 else 0].dim)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass


@register
class DummyData(Layer):
    """Tops filled by fillers. A constant top is filled once, and keeps what a user writes to it;
    random ones are drawn anew in every forward."""

    num_bottom, num_top = 0, (1, None)

    def setup(self, bottom, top):
        fillers = list(self.param.data_filler) or [caffe_pb2.FillerParameter()]
        if len(fillers) not in (1, len(top)):
            raise self.error(
                f"needs no data_filler, one, or one for each of {len(top)} tops; got {len(fillers)}"
            )
        self.fillers = fillers * (len(top) // len(fillers))
        for blob, shape, filler in zip(top, self.shapes(len(top)), self.fillers):
            blob.set_shape(shape)
            fill(self, blob, filler)

    def shapes(self, count: int) -> list[list[int]]:
        """The shapes of `count` tops, from shape or from num, channels, height and width."""
        p = self.param
        legacy = [list(getattr(p, name)) for name in ("num", "channels", "height", "width")]
        if any(legacy):
            if p.shape:
                raise self.error("give either shape, or num, channels, height and width")
            if any(len(values) not in (1, count) for values in legacy):
                raise self.error(
                    "num, channels, height and width must each be given once, or once for each of "
                    f"{count} tops"
                )
            return [list(s) for s in zip(*(values * (count // len(values)) for values in legacy))]
        if len(p.shape) not in (1, count):
            raise self.error(
                f"needs one shape, or one for each of {count} tops; got {len(p.shape)}"
            )
        shapes = [list(shape.dim) for shape in p.shape]
        return shapes * (count // len(shapes))

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        for blob, filler in zip(top, self.fillers):
            if filler.type != "constant":
                fill(self, blob, filler)

    def backward(self, top, propagate_down, bottom):
        pass


@register
class Parameter(Layer):
    """The top is a learned blob: both share values and derivatives."""

    num_bottom, num_top = 0, 1

    def setup(self, bottom, top):
        self.blobs.add_blob(*self.param.shape.dim)
        top[0].set_shape(self.param.shape.dim)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        top[0].share_data(self.blobs[0])
        top[0].share_diff(self.blobs[0])

    def backward(self, top, propagate_down, bottom):
        if top[0]._diff is not self.blobs[0]._diff:  # a Flatten behind has given it another
            self.blobs[0].dx.add_(top[0].dx)


@register
class MemoryData(Layer):
    """Batches from arrays in memory, set by Net.set_input_arrays; after the last the first again.

    The arrays are kept, not copied, so later changes to them take effect. The label top has one axis
    until the first forward, then four.
    """

    num_bottom, num_top = 0, 2

    def setup(self, bottom, top):
        p = self.param
        self.shape = [p.batch_size, p.channels, p.height, p.width]
        if min(self.shape) < 1:
            raise self.error(
                f"batch_size, channels, height and width must be given, and above 0: {self.shape}"
            )
        top[0].set_shape(self.shape)
        top[1].set_shape(self.shape[:1])
        self.arrays, self.position = None, 0

    def resume_state(self):
        return self.position

    def resume_from(self, state):
        self.position = state

    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Feed data (N, channels, height, width) and labels (N), both float32 and contiguous.

        Raises RuntimeError for arrays that do not fit, as pycaffe does.
        """
        if labels.ndim == 1:
            labels = labels[:, None, None, None]
        self.check_array(data, "data array", self.shape[1:])
        self.check_array(labels, "labels array", [1, 1, 1])
        if len(data) != len(labels):
            raise self.wrong_array(
                "data and labels must have the same first dimension", data, labels
            )
        if len(data) % self.shape[0]:
            raise self.wrong_array(
                "first dimensions of input arrays must be a multiple of batch size", data, labels
            )
        self.arrays, self.position = (data, labels), 0

    def check_array(self, array: np.ndarray, name: str, shape: Sequence[int]) -> None:
        """Raise pycaffe's RuntimeError unless this is a float32 array of (N, *shape)."""
        if not array.flags.c_contiguous:
            raise self.wrong_array(f"{name} must be C contiguous", array)
        if array.ndim != 4:
            raise self.wrong_array(f"{name} must be 4-d", array)
        if array.dtype != np.float32:
            raise self.wrong_array(f"{name} must be float32", array)
        for axis, wanted, got in zip(
            ("number of channels", "height", "width"), shape, array.shape[1:]
        ):
            if wanted != got:
                raise self.wrong_array(f"{name} has wrong {axis}", array)

    def wrong_array(self, text: str, *arrays: np.ndarray) -> RuntimeError:
        """An error that tells the arrays' shapes and the batch's."""
        got = ", ".join(f"{list(a.shape)} {a.dtype}" for a in arrays)
        return RuntimeError(
            f"{text} (got {got}; layer '{self.name}' takes batches of {self.shape})"
        )

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        if self.arrays is None:
            raise self.error("has no data yet: call net.set_input_arrays(data, labels) first")
        batch = slice(self.position, self.position + self.shape[0])
        top[1].set_shape([self.shape[0], 1, 1, 1])
        for blob, array in zip(top, self.arrays):
            blob.data[...] = array[batch]
        self.position = batch.stop % len(self.arrays[0])

    def backward(self, top, propagate_down, bottom):
        pass
