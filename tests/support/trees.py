"""Writes small trees in the data sets' real formats, and runs data layers without a net."""

import hashlib

import numpy as np
import pytest
import scipy.io
from PIL import Image

from caffe.proto import caffe_pb2

MEAN = (104.00699, 116.66877, 122.67892)
SIZES = {"a": (61, 83), "b": (47, 39), "c": (30, 101)}  # height, width
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"


class Top:
    """What a data layer needs of a blob."""

    def reshape(self, *shape):
        self.data = np.full(shape, np.nan, np.float32)


def build(kind, params, tops=2, bottoms=()):
    """A layer that has been set up and reshaped, with its tops."""
    layer = kind(caffe_pb2.LayerParameter(name="data", type="Python"))
    layer.param_str = params if isinstance(params, str) else repr(params)
    blobs = [Top() for _ in range(tops)]
    layer.setup(list(bottoms), blobs)
    layer.reshape([], blobs)
    return layer, blobs


def visit(layer, blobs, count):
    """The tops' data of `count` forwards, as a net runs them: reshape, then forward."""
    seen = []
    for _ in range(count):
        layer.reshape([], blobs)
        layer.forward([], blobs)
        seen.append([blob.data.copy() for blob in blobs])
    return seen


def fails(kind, params, error, *words, tops=2):
    with pytest.raises(error) as raised:
        build(kind, params, tops=tops)
    for word in words:
        assert word in str(raised.value)
    return str(raised.value)


def picture(size, k, path):
    """R, G, B differ, so that a wrong order shows; odd values, so that a wrong mean shows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((*size, 3), np.uint8) + np.array([200 - k, 90 + 3 * k, 17 + k], np.uint8)
    pixels[: size[0] // 3, : size[1] // 2] = (13, 251, 99 + k)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def mat(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, content, do_compression=True)


def palette_png(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels.astype(np.uint8), "L")
    image.putpalette([(37 * i) % 256 for i in range(768)])
    image.save(path)


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def pattern(size, values):
    """Labels that take every one of `values`, different along both axes."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.array(values)[(3 * y + x // 4) % len(values)]


def bgr_minus(path, mean):
    """Pixel by pixel arithmetic, written apart from the layers'."""
    rgb = np.array(Image.open(path)).astype(np.float64)
    planes = [rgb[:, :, 2] - mean[0], rgb[:, :, 1] - mean[1], rgb[:, :, 0] - mean[2]]
    return np.stack(planes)[None].astype(np.float32)


def voc_params(voc, **more):
    return {"voc_dir": str(voc), "split": "seg11valid", "mean": MEAN, "seed": 1337, **more}


def digest(*ids):
    """The number and the checksum of ids, as published splits state them."""
    return len(ids), hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def lines(path):
    """The lines of a file."""
    return path.read_text().splitlines()
