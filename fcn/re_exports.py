"""Reads the numbers of Caffe nets from the files of other libraries: Chainer's .npz, PyTorch's .pth."""

import importlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import caffe
from fcn import surgery

Arrays = dict[str, dict[str, np.ndarray]]  # layer -> "weight" and "bias"

PARTS = {"weight": "weight", "bias": "bias", "W": "weight", "b": "bias"}  # PyTorch's, Chainer's
# torchvision's VGG-16 numbers its layers
TORCHVISION = {
    f"features.{number}": f"conv{stage}_{at}"
    for number, stage, at in (
        *((0, 1, 1), (2, 1, 2), (5, 2, 1), (7, 2, 2), (10, 3, 1), (12, 3, 2), (14, 3, 3)),
        *((17, 4, 1), (19, 4, 2), (21, 4, 3), (24, 5, 1), (26, 5, 2), (28, 5, 3)),
    )
} | {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}


def read_npz(path: Path) -> Arrays:
    """The arrays of a Chainer file, whose keys are `conv1_1/W`; ValueError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as content:
            return by_layer(((key, content[key]) for key in content.files), "/", path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a readable .npz file: {error}") from None


def read_pth(path: Path) -> Arrays:
    """The arrays of a PyTorch state_dict, whose keys are `conv1_1.weight`; ValueError for others.

    Only tensors are read: nothing in the file is run.
    """
    torch = importlib.import_module("torch")  # not needed for anything else here
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        items = [(key, tensor.numpy()) for key, tensor in content.items()]
    except Exception as error:  # a dozen unrelated types, by what is wrong
        text = str(error).partition("\n")[0]
        raise ValueError(f"{path}: not a state_dict of PyTorch: {text}") from None
    return by_layer(items, ".", path)


READ: dict[str, Callable[[Path], Arrays]] = {".npz": read_npz, ".pth": read_pth}


def by_layer(items: Iterable[tuple[str, np.ndarray]], separator: str, path: Path) -> Arrays:
    """The arrays by layer, under Caffe's names of the layers; ValueError for an unknown key."""
    found: Arrays = {}
    for key, array in items:
        layer, _, part = key.strip("/").rpartition(separator)
        if part not in PARTS:
            raise ValueError(f"{path}: key {key!r} ends with none of {', '.join(PARTS)}")
        found.setdefault(TORCHVISION.get(layer, layer), {})[PARTS[part]] = array
    return found


def fill(net: caffe.Net, arrays: Arrays, path: Path) -> None:
    """Fill all of a net's layers, coercing arrays of as many values (inner products, biases).

    A layer that is not in the file keeps what its filler gave it; a deconvolution of zeros is made
    bilinear. ValueError for one that stays zero, for an array of another size, and for layers of
    the file that the net does not have.
    """
    unknown = [name for name in arrays if name not in net.params]
    if unknown:
        raise ValueError(f"{path}: the net has no layers {', '.join(unknown)}: it is another net's")
    for name, parts in arrays.items():
        for blob, part in zip(net.params[name], ("weight", "bias")):
            given = parts.get(part)
            if given is None or given.size != blob.count:
                has = "none" if given is None else f"{list(given.shape)}"
                raise ValueError(
                    f"{path}: {part} of {name}: the net has {list(blob.shape)}, the file {has}"
                )
            blob.data[...] = given.reshape(blob.data.shape)
        if len(net.params[name]) == 1 and np.any(parts.get("bias", 0)):
            raise ValueError(f"{path}: {name} has a bias, which the net's does not")
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    upscores = [name for name in zero if net.layer_dict[name].type == "Deconvolution"]
    surgery.interp(net, upscores)
    if lacking := [name for name in zero if name not in upscores]:
        raise ValueError(f"{path}: it lacks layers {', '.join(lacking)}")
