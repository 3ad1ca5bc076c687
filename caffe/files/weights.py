"""A net's weights: loaded from files by layer name, saved, and shared with another net.

The functions take a net's layers and, where weights shared by name matter, `shared`: the pairs
(layer index, parameter index) of the weights that an earlier layer owns.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..blob import Blob
from ..glog import warning
from ..layer import MEANINGS, Layer, describe
from ..names import as_text
from ..proto import caffe_pb2
from . import caffemodel, hdf5
from .paths import Path, require_file
from .proposals import propose
from .stored import BlobValues, CopyReport, StoredBlob, StoredWeights

Shared = Collection[tuple[int, int]]


# -- loading (Net::CopyTrainedLayersFrom) --


def load(layers: Sequence[Layer], shared: Shared, path: Path) -> CopyReport:
    """Load weights by layer name from a caffemodel of any age, or from an HDF5 file.

    Layers that are only in the file, or only in the net, are left out; the record returned names
    them. RuntimeError if there is no such file; ValueError for a damaged file or blobs that do not
    fit. After an error the layers are as they were.
    """
    return _fill(layers, shared, _read(path), path)


def weight_shapes(path: Path) -> dict[str, list[list[int]]]:
    """{layer: the shapes of its stored weights} of a caffemodel or an HDF5 file; no value is read.

    RuntimeError if there is no such file, ValueError for a damaged one.
    """
    return {
        name: [list(blob.shape) for blob in blobs if blob is not None]
        for name, blobs in _read(path)
        if blobs
    }


def _read(path: Path) -> StoredWeights:
    require_file(path)
    read = hdf5.read_weights if hdf5.is_hdf5(path) else caffemodel.read_weights
    return read(path)


def load_hdf5(layers: Sequence[Layer], shared: Shared, path: Path) -> None:
    """Load weights by layer name from an HDF5 file; errors as `load`."""
    _fill(layers, shared, hdf5.read_weights(path), path)


def _fill(layers: Sequence[Layer], shared: Shared, stored: StoredWeights, path: Path) -> CopyReport:
    """Copy stored values into the layers of the same names, once all are known to fit."""
    own_names = [layer.layer_param.name for layer in layers if len(layer.blobs)]
    if not stored:
        raise ValueError(f"{path}: no layers in it: an empty or foreign file, not weights")
    if own_names and not any(blobs for _, blobs in stored):
        raise ValueError(f"{path}: no weights in it, though it names layers: truncated?")
    indices: dict[str, int] = {}
    for i, layer in enumerate(layers):
        indices.setdefault(layer.layer_param.name, i)  # of equal names only the first is filled
    pairs = [(indices[name], blobs) for name, blobs in stored if name in indices]
    misfits = {}
    for i, blobs in pairs:
        reason = _misfit(layers[i], {k for owner, k in shared if owner == i}, blobs)
        if reason:
            misfits[i] = reason
    if misfits:
        raise ValueError(f"{path}: {_misfits_in_words(layers, misfits, stored)}")
    for i, blobs in pairs:
        for k, (target, source) in enumerate(zip(layers[i].blobs, blobs)):
            # HDF5 stores a shared weight once, with the layer that owns it
            if source is None or _stays(layers[i], k, source):
                continue
            source.read_into(target.data)
            if source.has_diff:
                source.read_diff_into(target.diff)
    report = _report(layers, shared, pairs, stored, path)
    if own_names and not any(blobs for _, blobs in pairs):
        names = ", ".join(as_text(name) for name, blobs in stored if blobs)
        mine = ", ".join(map(as_text, dict.fromkeys(own_names)))
        hint = "".join(f"; {ours} may be its {theirs}" for ours, theirs in report.proposed)
        warning(
            "net.cpp:740",
            f"{path}: nothing was loaded: none of its layers with weights ({names}) "
            f"has the name of one of the net's ({mine}){hint}",
        )
    return report


def _report(
    layers: Sequence[Layer],
    shared: Shared,
    pairs: Sequence[tuple[int, Sequence[StoredBlob | None]]],
    stored: StoredWeights,
    path: Path,
) -> CopyReport:
    """The record of what was filled: (layer index, stored blobs) are `pairs`."""
    filled = {i for i, blobs in pairs if blobs}
    names = {layer.layer_param.name for layer in layers}
    coerced = [
        (layers[i].layer_param.name, k, list(source.shape), list(target.shape))
        for i, blobs in pairs
        for k, (target, source) in enumerate(zip(layers[i].blobs, blobs))
        if source is not None and list(source.shape) != list(target.shape)
        if not _stays(layers[i], k, source)
    ]
    own = [
        i for i, x in enumerate(layers) if any((i, k) not in shared for k in range(len(x.blobs)))
    ]
    missing = [layers[i] for i in own if i not in filled]
    return CopyReport(
        os.fspath(path),
        [layers[i].layer_param.name for i in sorted(filled)],
        coerced,
        [layer.layer_param.name for layer in missing],
        [name for name, blobs in stored if blobs and name not in names],
        list(propose(_shapes(missing), _unclaimed(layers, stored)).items()),
    )


def _shapes(layers: Sequence[Layer]) -> dict[str, list[list[int]]]:
    """The shapes of layers' weights, by name."""
    return {layer.layer_param.name: [list(blob.shape) for blob in layer.blobs] for layer in layers}


def _unclaimed(
    layers: Sequence[Layer], stored: StoredWeights
) -> dict[str, Sequence[StoredBlob | None]]:
    """The stored layers whose names the net does not have."""
    names = {layer.layer_param.name for layer in layers}
    return {name: blobs for name, blobs in stored if blobs and name not in names}


def _misfit(layer: Layer, shared: set[int], stored: Sequence[StoredBlob | None]) -> str | None:
    """Why stored blobs do not fit a layer's, in number or shape; None if they do.

    `shared` holds the indices of the weights that another layer owns, which the file may lack.
    """
    name = describe(layer.layer_param)
    while len(stored) in shared:
        stored = [*stored, None]
    if len(stored) != len(layer.blobs):
        return (
            f"{name} has {len(layer.blobs)} parameter blobs, the file {len(stored)}: "
            f"rename the layer to start it afresh{_other_meanings(layer)}"
        )
    for i, (target, source) in enumerate(zip(layer.blobs, stored)):
        if source is None:
            if i not in shared:
                return f"{name}: parameter {i} is missing in the file"
        elif not source.matches(target.shape) and i not in layer.keeps_its_shape:
            return (
                f"{name}: parameter {i} has shape {list(target.shape)}, the file "
                f"{list(source.shape)}: rename the layer to start it afresh; if only the axes "
                "differ, load the file into a net that it fits and copy the values: "
                f"net.params['{layer.layer_param.name}'][{i}].data.flat = "
                f"other.params['{layer.layer_param.name}'][{i}].data.flat"
            )
    return None


def _stays(layer: Layer, k: int, source: StoredBlob) -> bool:
    """Whether a blob is left as it is, because the file's has another shape, which is allowed to it."""
    return k in layer.keeps_its_shape and not source.matches(layer.blobs[k].shape)


def _other_meanings(layer: Layer) -> str:
    """What else a layer's type means in forks of Caffe, whose weights these may be."""
    others = [cls.fork for cls in MEANINGS.get(layer.type, ()) if cls is not type(layer)]
    if not others:
        return ""
    return f", or state that it is another fork's {layer.type}: {' or '.join(others)}'s"


def _misfits_in_words(
    layers: Sequence[Layer], misfits: dict[int, str], stored: StoredWeights
) -> str:
    """All that does not fit, and which other layer of the file would, where shapes leave only one."""
    own = _shapes([layers[i] for i in misfits])
    better = propose(own, _unclaimed(layers, stored))
    lines = [
        reason + (f"; the file's '{better[name]}' would fit" if name in better else "")
        for reason, name in zip(misfits.values(), own)
    ]
    if len(lines) == 1:
        return lines[0]
    return "\n  ".join([f"{len(lines)} layers do not fit:", *lines])


# -- sharing (Net::ShareTrainedLayersWith) --


def share(layers: Sequence[Layer], others: Sequence[Layer]) -> None:
    """Let layers use the weights of the other net's layers of the same names, in the same memory.

    What shares weights by name with such a layer follows it, where Caffe leaves it at its first
    values (its issue 4585). ValueError if shapes differ.
    """
    targets: dict[str, Layer] = {}
    for layer in layers:
        targets.setdefault(layer.layer_param.name, layer)
    for other in others:
        target = targets.get(other.layer_param.name)
        if target is None:
            continue
        shapes = [list(b.shape) for b in target.blobs], [list(b.shape) for b in other.blobs]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{describe(target.layer_param)}: cannot share weights of shapes {shapes[1]}, "
                f"it has {shapes[0]}"
            )
        for mine, theirs in zip(target.blobs, other.blobs):
            mine.share_data(theirs)
    names = {other.layer_param.name for other in others}
    for group in _sharing(layers).values():
        found = [blob for layer, blob in group if layer.layer_param.name in names]
        for layer, blob in group if found else ():
            if layer.layer_param.name not in names:
                blob.share_data(found[0])


def _sharing(layers: Sequence[Layer]) -> dict[str, list[tuple[Layer, Blob]]]:
    """Name of a parameter -> the layers and blobs that share it."""
    groups: dict[str, list[tuple[Layer, Blob]]] = {}
    for layer in layers:
        for spec, blob in zip(layer.layer_param.param, layer.blobs):
            if spec.name:
                groups.setdefault(spec.name, []).append((layer, blob))
    return groups


# -- saving (Net::ToProto, Net::ToHDF5) --


def save(layers: Sequence[Layer], net_name: str, path: Path, write_diff: bool = False) -> None:
    """Write weights and the layers' definitions as a binary caffemodel, diffs too if asked for."""
    parts = ((_definition(layer), _values(layer, write_diff)) for layer in layers)
    caffemodel.write_weights(path, net_name, parts)


def save_hdf5(
    layers: Sequence[Layer], shared: Shared, path: Path, write_diff: bool = False
) -> None:
    """Write weights as HDF5; weights shared by name once, with the layer that owns them."""
    parts = (
        (
            layer.layer_param.name,
            [
                None if (i, k) in shared else values
                for k, values in enumerate(_values(layer, write_diff))
            ],
        )
        for i, layer in enumerate(layers)
    )
    hdf5.write_weights(path, parts)


def _values(layer: Layer, write_diff: bool) -> Iterator[BlobValues]:
    for blob in layer.blobs:
        yield BlobValues(list(blob.shape), blob.data, blob.diff if write_diff else None)


def _definition(layer: Layer) -> Any:
    """A layer's message without weights."""
    definition = caffe_pb2.LayerParameter()
    definition.CopyFrom(layer.layer_param)
    for field in ("blobs", "unread", "unread_text"):  # which no other Caffe knows
        definition.ClearField(field)
    return definition
