"""Weights of other libraries in the layers of a net: `caffe.import_weights(net, "vgg16.pth")`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..files import weights
from ..files.paths import Path, require_file
from ..files.stored import CopyReport
from ..glog import warning

if TYPE_CHECKING:
    import numpy as np

    from ..blob import Blob
    from ..net import Net
    from .match import Pair
    from .read import Content

Filling = tuple[
    str, int, "Blob", "np.ndarray", list[int]
]  # layer, index, blob, values, file's shape


def import_weights(
    net: Net, path: Path, by: str | None = None, names: Mapping[str, str] | None = None
) -> CopyReport:
    """Fill a net's layers from a file: a state_dict of PyTorch (.pth), .npz, .safetensors, Keras'
    or plain HDF5, a caffemodel.

    `by` is "name", for layers of equal names, or "order", for layers one after the other, of equal
    shapes; by default names decide where at least half of the file's layers have one of the net's.
    `names` is a table of one's own, from the file's layers to the net's. Axes are turned where
    channels come last in the file; running statistics go to BatchNorm, factors and biases to the
    Scale behind it. Nothing in the file is run.

    Returns what `copy_from` reports. RuntimeError if there is no such file, ValueError for one that is
    not understood or does not fit; then nothing was changed.
    """
    if by not in (None, "name", "order"):
        raise ValueError(f"by is 'name' or 'order', got {by!r}")
    if is_caffes(path):
        return weights.load(net.layers, net._topology.shared_params, path)
    content, pairs = plan(net, path, by, names or {})
    return fill(net, path, content, pairs)


def plan(
    net: Net, path: Path, by: str | None, names: Mapping[str, str]
) -> tuple[Content, list[Pair]]:
    """What another library's file holds, and where in the net it belongs."""
    from . import match, read

    content = match.with_layout(net, read.read(path))
    found = match.pairs(net, content, path, by, names)
    if strided := match.strided_elsewhere(found):
        warning(
            "import_weights:0",
            f"{path}: the weights fit, the net is another: torchvision's ResNets of 50 layers and more halve "
            f"maps in a block's 3 x 3 layer, this one in {strided}: results will differ",
        )
    return content, found


def is_caffes(path: Path) -> bool:
    """Whether a file holds weights in one of Caffe's own formats, by its content. RuntimeError if there
    is no such file."""
    from ..files import caffemodel, hdf5

    require_file(path)
    try:
        read = hdf5.read_weights if hdf5.is_hdf5(path) else caffemodel.read_weights
        return any(blobs for _, blobs in read(path))
    except ValueError:
        return False


def fill(net: Net, path: Path, content: Content, pairs: list[Pair]) -> CopyReport:
    """Copy once all is known to fit; the report of what was done."""
    fillings = [filling for pair in pairs for filling in _fillings(pair, content, path)]
    for _, _, blob, values, _ in fillings:
        blob.data[...] = values
    filled = {name for name, *_ in fillings}
    own = [layer.name for layer in net.layers if len(layer.blobs)]
    used = {pair.stored.name for pair in pairs}
    return CopyReport(
        os.fspath(path),
        [name for name in own if name in filled],
        [
            (name, k, shape, list(blob.shape))
            for name, k, blob, _, shape in fillings
            if shape != list(blob.shape)
        ],
        [name for name in own if name not in filled],
        [stored.name for stored in content.layers if stored.name not in used],
    )


def _fillings(pair: Pair, content: Content, path: Path) -> Iterator[Filling]:
    """What goes into which blob. ValueError where an array does not fit."""
    from . import match

    stored, target = pair
    if stored.is_batch_norm:
        yield from _batch_norm(pair, path)
        return
    blobs = target.layer.blobs
    arrays = match.ordered(stored, blobs)
    for k, (array, blob) in enumerate(arrays):
        values = match.arranged(array, blob, target, content.channels_last)
        if values is None:
            raise ValueError(
                f"{path}: {_role(k)} of {target.name}: the net has {list(blob.shape)}, the file "
                f"{list(array.shape)}"
            )
        yield target.name, k, blob, values, list(array.shape)
    for k in range(len(arrays), len(blobs)):
        raise ValueError(
            f"{path}: {_role(k)} of {target.name}: the net has {list(blobs[k].shape)}, the file none"
        )
    if len(blobs) < len(stored.arrays) and any(a.any() for a in list(stored.arrays.values())[1:]):
        raise ValueError(f"{path}: {target.name} has a bias, which the net's does not")


def _batch_norm(pair: Pair, path: Path) -> Iterator[Filling]:
    """Running statistics, and the factor and bias that other libraries have in the same layer."""
    import numpy as np

    (_, arrays), target = pair
    statistics = [arrays["mean"], arrays["variance"]]
    affine = [arrays[role] for role in ("weight", "bias") if role in arrays]
    blobs = target.layer.blobs
    if target.layer.type == "BatchNorm":
        rows = list(zip(blobs, [*statistics, np.ones(1, np.float32)]))
        learned = list(target.scale.blobs) if target.scale else []
        name = target.scale.name if target.scale else ""
    else:  # a fork's: factor, bias, statistics in one layer
        rows, learned, name = list(zip(blobs[2:], statistics)), list(blobs[:2]), target.name
    plain = all(np.all(array == wanted) for array, wanted in zip(affine, (1, 0)))
    if len(learned) < len(affine) and not plain:
        raise ValueError(
            f"{path}: {target.name} has a factor and a bias, for which the net has no Scale behind it"
        )
    shift = len(blobs) - len(rows) if target.layer.type != "BatchNorm" else 0
    for k, (blob, array) in enumerate(rows):
        yield _checked(path, target.name, k + shift, blob, array)
    for k, (blob, array) in enumerate(zip(learned, affine)):
        yield _checked(path, name, k, blob, array)


def _checked(path: Path, name: str, k: int, blob: Any, array: np.ndarray) -> Filling:
    if array.size != blob.count:
        raise ValueError(
            f"{path}: parameter {k} of {name}: the net has {list(blob.shape)}, the file "
            f"{list(array.shape)}"
        )
    return name, k, blob, array.reshape(tuple(blob.shape)), list(array.shape)


def _role(k: int) -> str:
    return ("weight", "bias")[k] if k < 2 else f"parameter {k}"
