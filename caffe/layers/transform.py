"""DataTransformer: mean, scale, crop and mirror of a picture, and reading pictures as OpenCV does
(src/caffe/data_transformer.cpp, src/caffe/util/io.cpp)."""

import io
import random

import numpy as np
import torch
from PIL import Image, ImageOps

from ..files import allowed, limits
from ..files.read import read_blob_proto
from ..glog import info
from ..io import blobproto_to_array
from ..layer import Layer
from ..proto import caffe_pb2


class DataTransformer:
    """(picture - mean) * scale, cropped to crop_size and mirrored at random.

    TRAIN crops anywhere, TEST in the middle. The mean is one value, one a channel, or a picture of
    the full size.
    """

    def __init__(self, layer: Layer, generator: random.Random) -> None:
        """`generator` draws crops and mirrors; it is the layer's own, which works on a thread."""
        self.layer, self.random = layer, generator
        self.param = layer.layer_param.transform_param
        if self.param.mean_file and self.param.mean_value:
            raise layer.error("give either mean_file or mean_value")
        self.mean = read_mean(layer, self.param.mean_file) if self.param.mean_file else None
        self.train = layer.phase == caffe_pb2.TRAIN

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """A picture (C, H, W) of any number type, transformed, float32."""
        mirror = self.param.mirror and self.random.randrange(2)
        values = self.subtract_mean(picture)
        if self.param.crop_size:
            rows, columns = (self.crop(length) for length in picture.shape[1:])
            values = values[:, rows, columns]
        if mirror:
            values = values[:, :, ::-1]
        return values * np.float32(self.param.scale) if self.param.scale != 1 else values

    def crop(self, length: int) -> slice:
        """The cells to keep along a side of that length."""
        surplus = length - self.param.crop_size
        if surplus < 0:
            raise self.layer.error(
                f"crop_size {self.param.crop_size} exceeds a picture's side {length}"
            )
        start = self.random.randrange(surplus + 1) if self.train else surplus // 2
        return slice(start, start + self.param.crop_size)

    def subtract_mean(self, picture: np.ndarray) -> np.ndarray:
        """The picture less its mean, float32."""
        values = np.asarray(picture, np.float32)
        means = self.param.mean_value
        if self.mean is not None:
            if self.mean.shape != values.shape:
                raise self.layer.error(
                    f"mean_file {self.param.mean_file} holds shape {list(self.mean.shape)}, a "
                    f"picture has {list(values.shape)}"
                )
            return values - self.mean
        if not means:
            return values
        if len(means) not in (1, len(values)):
            raise self.layer.error(
                f"mean_value must be given once, or for each of {len(values)} channels, got "
                f"{list(means)}"
            )
        return values - np.array(means, np.float32)[:, None, None]


def read_mean(layer: Layer, path: str) -> np.ndarray:
    """The picture (C, H, W) in a mean.binaryproto, float32; errors name the layer."""
    info("data_transformer.cpp:25", f"Loading mean file from: {path}")
    try:
        mean = blobproto_to_array(read_blob_proto(allowed.to_read(path))).astype(np.float32)
    except (OSError, RuntimeError, ValueError) as error:
        raise layer.error(f"mean_file: {error}") from error
    return mean.reshape(mean.shape[-3:])


def read_picture(source: str | bytes, color: bool | None = None) -> np.ndarray:
    """A picture file, by its path or its bytes, as uint8 (C, H, W) in the order B, G, R.

    `color` True gives three channels, False one, None as many as the file has. The orientation that
    EXIF states is applied. OSError if it cannot be read.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            limits.pixels(limits.size_of(source), file)
            image = ImageOps.exif_transpose(file)
            if color is None:
                color = image.mode not in ("1", "L", "LA", "I", "I;16", "F")
            pixels = np.asarray(image.convert("RGB" if color else "L"))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # decoders raise a dozen types: of a broken PNG, of a huge one
        raise OSError(str(error)) from error
    return pixels[:, :, ::-1].transpose(2, 0, 1) if color else pixels[None]


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A uint8 picture (C, H, W) at another size: bilinear between pixel centres, no smoothing."""
    if picture.shape[1:] == (height, width):
        return picture
    values = torch.from_numpy(np.ascontiguousarray(picture, np.float32))[None]
    resized = torch.nn.functional.interpolate(values, (height, width), mode="bilinear")
    return resized[0].round().to(torch.uint8).numpy()
