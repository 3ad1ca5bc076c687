"""Arrays to and from Caffe's messages, pictures to and from blobs, as pycaffe's caffe.io."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from caffe.arguments import OF_IO, missing
from caffe.files import limits
from caffe.files.wire import looks_like
from caffe.proto import caffe_pb2

GREY = np.array([0.2125, 0.7154, 0.0721])  # of R, G, B: scikit-image's, which pycaffe loads with


def __getattr__(name: str) -> Any:
    """Answers names of older versions; others raise AttributeError, too."""
    raise missing("module 'caffe.io'", name, OF_IO, sys.modules[__name__])


# -- messages --


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> np.ndarray:
    """The values (or the diff) of a BlobProto, float64, in its shape; four axes if it is legacy."""
    if not isinstance(blob, caffe_pb2.BlobProto):
        raise TypeError(
            f"blobproto_to_array takes a BlobProto, got {type(blob).__name__}: "
            "caffe.proto.caffe_pb2.BlobProto.FromString(open(file, 'rb').read())"
        )
    if return_diff:
        values = blob.double_diff or blob.diff
    else:
        values = blob.double_data or blob.data
    legacy = ("num", "channels", "height", "width")
    if any(blob.HasField(axis) for axis in legacy):
        shape = [getattr(blob, axis) for axis in legacy]
    else:
        shape = list(blob.shape.dim)
    return np.array(values, np.float64).reshape(shape)


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> caffe_pb2.BlobProto:
    """A BlobProto of an array of any shape; `diff` has the same shape."""
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(np.asarray(arr, np.float64).ravel())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float64).ravel())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[np.ndarray]) -> bytes:
    """A serialised BlobProtoVector of a list of arrays."""
    blobs = [array_to_blobproto(array) for array in arraylist]
    return caffe_pb2.BlobProtoVector(blobs=blobs).SerializeToString()


arraylist_to_blobprotovecor_str = arraylist_to_blobprotovector_str  # its name until 2015


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:
    """The arrays of a serialised BlobProtoVector. ValueError for what is none."""
    try:
        vector = caffe_pb2.BlobProtoVector.FromString(str)
    except DecodeError as error:
        raise ValueError(f"no serialised BlobProtoVector{looks_like(str)}") from error
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """A Datum of a (channels, height, width) array: bytes if it is uint8, else floats."""
    if arr.ndim != 3:
        raise ValueError(f"Incorrect array shape. A datum has three axes, this array {arr.ndim}.")
    datum = caffe_pb2.Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2])
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(np.asarray(arr, np.float64).ravel())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> np.ndarray:
    """The (channels, height, width) array of a Datum: uint8 or float64. No label.

    ValueError for an encoded picture, and for values that do not fill the shape.
    """
    if datum.encoded:
        raise ValueError("an encoded datum holds a picture's file: open its `data` with Pillow")
    if datum.data:
        values = np.frombuffer(datum.data, np.uint8).copy()
    else:
        values = np.array(datum.float_data, np.float64)
    shape = datum.channels, datum.height, datum.width
    if not values.size or values.size != math.prod(shape):
        stated = " x ".join(map(str, shape))
        raise ValueError(f"a Datum of {stated} with {values.size} values: damaged, or no Datum")
    return values.reshape(shape)


# -- other files --


def load_mat(filename: str | os.PathLike[str]) -> dict[str, Any]:
    """The variables of a .mat file up to version 7, as SciPy's loadmat gives them.

    ValueError for one that cannot be read, or that would unpack to more than its size lets expect.
    """
    from caffe.files.mat import read_mat

    return read_mat(filename)


# -- pictures --


def load_image(filename: Any, color: bool = True) -> np.ndarray:
    """A picture as float32 in [0, 1], (height, width, 3) in RGB order, or (..., 1) if not `color`.

    Grey pictures are repeated three times, transparency is dropped.
    """
    from PIL import Image

    with Image.open(filename) as file:
        if isinstance(filename, str | os.PathLike):
            limits.pixels(filename, file)
        image: Image.Image = file
        if image.mode not in ("L", "RGB") and not image.mode.startswith(("I", "F")):
            grey = image.mode in ("1", "LA", "La")
            image = image.convert("L" if grey else "RGB")
        pixels = np.array(image)
        top = 65535.0 if image.mode.startswith("I") else 1.0 if image.mode == "F" else 255.0
    pixels = pixels / top
    if pixels.ndim == 3 and not color:
        pixels = pixels @ GREY
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, np.newaxis], 3 if color else 1, axis=2)
    return pixels.astype(np.float32)


def resize_image(
    im: np.ndarray, new_dims: Sequence[int] | np.ndarray, interp_order: int = 1
) -> np.ndarray:
    """A (height, width, channels) picture at another (height, width), float32.

    With one or three channels as scikit-image 0.14 does it: pixel centres correspond, no smoothing
    before shrinking, and what lies outside counts as the smallest value (so borders fade to it when
    enlarging). Other numbers of channels: scipy.ndimage.zoom.
    """
    from scipy import ndimage

    new_dims = tuple(int(n) for n in new_dims)
    if im.shape[-1] not in (1, 3):
        scale = np.array(new_dims, float) / np.array(im.shape[:2])
        return ndimage.zoom(im, (*scale, 1), order=interp_order).astype(np.float32)
    low, high = im.min(), im.max()
    if high <= low:
        return np.full((*new_dims, im.shape[-1]), low, np.float32)
    # in the picture's own number type, as pycaffe; what follows is in float64
    unit, low, high = (im - low) / (high - low), float(low), float(low) + float(high - low)
    unit = np.asarray(unit, np.float64)
    at = [(np.arange(n) + 0.5) * old / n - 0.5 for n, old in zip(new_dims, im.shape, strict=False)]
    grid = np.meshgrid(*at, indexing="ij")
    planes = [
        ndimage.map_coordinates(unit[..., c], grid, order=interp_order, mode="grid-constant")
        for c in range(im.shape[-1])
    ]
    resized = np.stack(planes, axis=-1).clip(0, 1)
    return (resized * (high - low) + low).astype(np.float32)


def oversample(
    images: Sequence[np.ndarray] | np.ndarray, crop_dims: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Ten crops of each picture: corners and centre, then the same mirrored.

    images: (height, width, channels) arrays of one shape; result: (10 * pictures, *crop_dims,
    channels), float32.
    """
    height, width, channels = np.shape(images[0])
    h, w = (int(n) for n in crop_dims)
    corners = [(y, x) for y in (0, height - h) for x in (0, width - w)]
    # pycaffe's centre: half sizes are subtracted first, then cut off towards zero
    corners.append((int(height / 2.0 - h / 2.0), int(width / 2.0 - w / 2.0)))
    crops = np.empty((len(images), 2, 5, h, w, channels), np.float32)
    for image, mine in zip(images, crops, strict=True):
        for i, (y, x) in enumerate(corners):
            mine[0, i] = image[y : y + h, x : x + w]
        mine[1] = mine[0, :, :, ::-1]
    return crops.reshape(-1, h, w, channels)


def _resized_mean(mean: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    """A mean picture (channels, height, width) at another size, brought to 0..1 in between."""
    low, high = mean.min(), mean.max()
    if high <= low:
        return np.full((len(mean), *dims), low, np.float32)
    unit = (mean - low) / (high - low)
    resized = resize_image(unit.transpose(1, 2, 0), dims).transpose(2, 0, 1)
    return resized * float(high - low) + float(low)


def _factor(scale: Any) -> Any:
    """A number that takes an array's type, whatever its own was; arrays stay as they are."""
    return scale if np.ndim(scale) else float(scale)


class Transformer:
    """Pictures to input blobs: resize, transpose, swap channels, scale, subtract a mean, scale.

    `inputs` maps names of inputs to the shapes of their blobs.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            # pycaffe's own type, as are the others here
            raise Exception(f"{in_} is not one of the net inputs: {self.inputs}")

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """A (height, width, channels) picture as one item of input `in_`, float32.

        The steps that were set, in this order: resize to the input's size, transpose, channel swap,
        raw_scale, mean, input_scale. `data` is left as it is.
        """
        self._check_input(in_)
        image = np.array(data, np.float32)
        size = tuple(self.inputs[in_][2:])
        if image.shape[:2] != size:
            image = resize_image(image, size)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        # in place, as pycaffe: a mean of float64 is subtracted in float64 and rounded at once
        if in_ in self.raw_scale:
            image *= _factor(self.raw_scale[in_])
        if in_ in self.mean:
            image -= self.mean[in_]
        if in_ in self.input_scale:
            image *= _factor(self.input_scale[in_])
        return image

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """What preprocess did, undone (but for the size): an item of input `in_` as a picture.

        Its number type is that of `data`; of whole numbers float64.
        """
        self._check_input(in_)
        image = np.array(data).squeeze()
        if image.dtype.kind not in "fc":
            image = image.astype(np.float64)
        if in_ in self.input_scale:
            image /= _factor(self.input_scale[in_])
        if in_ in self.mean:
            image += self.mean[in_]
        if in_ in self.raw_scale:
            image /= _factor(self.raw_scale[in_])
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        if in_ in self.transpose:
            image = image.transpose(np.argsort(self.transpose[in_]))
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Axes in the blob's order, e.g. (2, 0, 1) for channels first."""
        self._check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise Exception(
                "Transpose order needs to have the same number of dimensions as the input."
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Channels in the blob's order, e.g. (2, 1, 0) for BGR. Works on the transposed picture."""
        self._check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise Exception(
                "Channel swap needs to have the same number of dimensions as the input channels."
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Factor before the mean is subtracted, e.g. 255 for load_image's pictures."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Mean to subtract: one value a channel, or a picture (channels, height, width), which is
        resized to the input's size."""
        self._check_input(in_)
        if isinstance(mean, (str, os.PathLike)):
            raise TypeError(
                f"set_mean takes an array, not a file: numpy.load({mean!r}).mean(axis=(1, 2)) is one "
                "value a channel"
            )
        shape, mean = tuple(self.inputs[in_][1:]), np.asarray(mean)
        if mean.ndim == 1:
            if mean.shape[0] != shape[0]:
                raise ValueError(
                    f"Mean channels incompatible with input. {mean.shape[0]} means for input "
                    f"'{in_}' with {shape[0]} channels"
                )
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            if mean.ndim == 2:
                mean = mean[np.newaxis]
            if mean.ndim != 3:
                raise ValueError(f"Mean shape invalid: {mean.shape}")
            if mean.shape != shape:
                mean = _resized_mean(mean, shape[1:])
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Factor after the mean was subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale
