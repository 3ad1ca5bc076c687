"""DataTransformer: mean, scale, crop and mirror of a picture, and reading pictures as OpenCV does
(src/caffe/data_transformer.cpp, src/caffe/util/io.cpp)."""

import contextlib
import io
import os
import random
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from ..files import allowed, limits
from ..files.read import read_blob_proto
from ..files.wire import looks_like
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
        self.layer: Layer = weakref.proxy(layer)  # which holds this
        self.random = generator
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
    path = os.fsdecode(path)
    info("data_transformer.cpp:25", f"Loading mean file from: {path}")
    try:
        proto = read_blob_proto(allowed.to_read(path))
        if not (proto.data or proto.double_data):
            raise ValueError(f"{path}: no blob (.binaryproto) of Caffe's: it holds no values")
        mean = blobproto_to_array(proto).astype(np.float32)
    except (OSError, RuntimeError, ValueError) as error:
        raise layer.error(f"mean_file: {error}") from error
    return mean.reshape(mean.shape[-3:])


def read_picture(path: str, color: bool | None = None) -> np.ndarray:
    """A picture file as uint8 (C, H, W), colours in the order B, G, R.

    `color` True gives three channels, False one, None as many as the file has. The orientation that
    EXIF states is applied. OSError if it cannot be read.
    """
    with _readable(path) as file:
        image = of_eight_bits(file)
        ImageOps.exif_transpose(image, in_place=True)
        return _pixels(image, "L" if color is False or color is None and _is_grey(file) else "RGB")


def decode_picture(data: bytes, color: bool | None = None) -> np.ndarray:
    """An encoded picture, likewise; but never turned, and with `color` None its alpha is the fourth."""
    with _readable(io.BytesIO(data)) as file:
        mode = "RGB" if color else "L"
        if color is None and not _is_grey(file):
            mode = "RGBA" if _has_alpha(file) else "RGB"
        return _pixels(of_eight_bits(file), mode)


@contextlib.contextmanager
def _readable(source: Any) -> Iterator[Image.Image]:
    try:
        with Image.open(source) as file:
            limits.pixels(size_of(source), file)
            yield file
    except UnidentifiedImageError as error:
        if not isinstance(source, io.BytesIO):
            raise
        raise OSError(
            f"an encoded Datum holds no picture{looks_like(source.getvalue())}"
        ) from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # decoders raise a dozen types: of a broken PNG, of a huge one
        raise OSError(str(error)) from error


def size_of(source: str | io.BytesIO) -> int:
    """The size of a file, by its path or open in memory."""
    return len(source.getbuffer()) if isinstance(source, io.BytesIO) else os.path.getsize(source)


def _has_alpha(file: Image.Image) -> bool:
    """Whether OpenCV decodes it to four channels, as pictures in grey with alpha, too."""
    return file.mode in ("RGBA", "LA", "PA") or file.mode == "P" and "transparency" in file.info


def _is_grey(file: Image.Image) -> bool:
    return file.mode in ("1", "L") or file.mode.startswith(("I", "F"))


def of_eight_bits(file: Image.Image) -> Image.Image:
    """The picture itself, or of 16 bits of grey the upper eight, as OpenCV takes them."""
    # "I;16", "I;16B" and others; as 32 bits Pillow gives those of portable grey maps
    if not (file.mode.startswith("I;16") or file.mode == "I" and file.format in ("PNG", "PPM")):
        return file
    upper = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))
    upper.info["exif"] = file.info.get("exif", file.getexif().tobytes())
    return upper


def _pixels(image: Image.Image, mode: str) -> np.ndarray:
    """The pixels (C, H, W) in a Pillow mode, colours in the order B, G, R."""
    if image.mode == "LAB":  # which Pillow turns into RGB alone
        image = image.convert("RGB")
    pixels = np.asarray(image.convert(mode))
    if pixels.ndim == 2:
        return pixels[None]
    colours, alpha = pixels[:, :, 2::-1], pixels[:, :, 3:]
    return np.concatenate([colours, alpha], 2).transpose(2, 0, 1)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A uint8 picture (C, H, W) at another size: bilinear between pixel centres, no smoothing."""
    if picture.shape[1:] == (height, width):
        return picture
    values = torch.from_numpy(np.ascontiguousarray(picture, np.float32))[None]
    resized = torch.nn.functional.interpolate(values, (height, width), mode="bilinear")
    return resized[0].round().to(torch.uint8).numpy()
