"""Binary weights and solver states (.caffemodel, .solverstate) on protobuf's wire level.

Values never become Python objects: reading walks the file's structure, checks it to the end, and
then fills given arrays straight from the file; writing streams the arrays' memory. The bytes are
those of Caffe's Net::ToProto and SGDSolver::SnapshotSolverStateToBinaryProto.
"""

import math
import os
from typing import NamedTuple

import numpy as np

from caffe.files import wire
from caffe.proto import caffe_pb2

MAX_BYTES = 2**31 - 1  # protobuf's, so that of Caffe


def is_hdf5(path) -> bool:
    """Whether a file is HDF5, by its content: the signature at byte 0, 512, 1024, 2048, ..."""
    size, at = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while at + len(wire.HDF5) <= size:
            file.seek(at)
            if file.read(len(wire.HDF5)) == wire.HDF5:
                return True
            at = max(512, 2 * at)
    return False


# -- what is stored --


class StoredBlob:
    """A blob in a file: its shape, and its values on demand.

    `shape` is [num, channels, height, width] if `legacy` (old files: they win over `shape`).
    """

    def __init__(self, file, where):
        self._file = file
        self._where = where
        self._runs = {"data": [], "diff": []}
        self._doubles = {"data": [], "diff": []}
        self.legacy = False
        self.shape = []

    @property
    def count(self) -> int:
        """Number of stored values."""
        return sum(run.count for run in self._chosen("data"))

    @property
    def has_diff(self) -> bool:
        return bool(self._chosen("diff"))

    def matches(self, shape) -> bool:
        """Whether this is a blob of that shape: equal, or if legacy equal from the right with the
        missing axes 1, so that 1x1xOxI is an (O, I) matrix (Blob::ShapeEquals)."""
        shape = [int(n) for n in shape]
        if self.legacy:
            return len(shape) <= 4 and [1] * (4 - len(shape)) + shape == self.shape
        return shape == self.shape

    def read_into(self, array):
        """Fill a C-contiguous float array of `count` values, of any shape, in row-major order."""
        self._fill(array, "data")

    def read_diff_into(self, array):
        """As read_into, with the stored diff."""
        self._fill(array, "diff")

    def _chosen(self, what):
        return self._doubles[what] or self._runs[what]  # doubles win, as in Blob::FromProto

    def _fill(self, array, what):
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ValueError(f"{self._where}: the array to fill must be writable and C-contiguous")
        runs = self._chosen(what)
        stored = sum(run.count for run in runs)
        if stored != array.size:
            raise ValueError(
                f"{self._where}: {stored} {what} values stored, {array.size} wanted "
                f"for shape {list(array.shape)}"
            )
        flat, at = array.reshape(-1), 0
        for run in runs:
            self._file.read_run(run, flat[at : at + run.count])
            at += run.count


_LEGACY = {1: 0, 2: 1, 3: 2, 4: 3}  # number of num, channels, height, width -> axis
_VALUES = {5: ("data", 4), 6: ("diff", 4), 8: ("data", 8), 9: ("diff", 8)}


def _blob(file, start, end, where):
    blob, legacy, dims = StoredBlob(file, where), {}, []
    for field in wire.fields(file, start, end):
        if field.number in _LEGACY and field.wire == wire.VARINT:
            legacy[_LEGACY[field.number]] = wire.signed(field.value, 32)
        elif field.number in _VALUES:
            what, width = _VALUES[field.number]
            runs = (blob._runs if width == 4 else blob._doubles)[what]
            _add_values(file, runs, field, width)
        elif field.number == 7 and field.wire == wire.BYTES:
            dims += _dims(file, field)
    blob.legacy = bool(legacy)
    blob.shape = [legacy.get(axis, 0) for axis in range(4)] if legacy else dims
    wanted = math.prod(blob.shape)
    if blob.count != wanted and (blob.count or blob.shape):
        file.fail(start, f"{where}: {blob.count} values for shape {blob.shape}")
    return blob


def _add_values(file, runs, field, width):
    if field.wire == wire.BYTES:
        size = field.end - field.start
        if size % width:
            file.fail(field.tag, f"{size} bytes of values are no multiple of {width}")
        if size:
            runs.append(wire.Run(field.start, size // width, width, width))
    elif field.wire == (wire.FIXED32 if width == 4 else wire.FIXED64):
        runs.append(wire.Run(field.start, field.count, width, width + field.start - field.tag))


def _dims(file, field):
    dims = []
    for inner in wire.fields(file, field.start, field.end):
        if inner.number == 1 and inner.wire == wire.VARINT:
            dims.append(wire.signed(inner.value, 64))
        elif inner.number == 1 and inner.wire == wire.BYTES:
            at = inner.start
            while at < inner.end:
                value, at = wire.varint(file, at, inner.end)
                dims.append(wire.signed(value, 64))
    return dims


def _layer(file, start, end, message, blobs_number, inner_number=None):
    """(message without blobs, stored blobs, place of an inner layer) of a layer of any format."""
    rest, found, inner = [], [], None
    for field in wire.fields(file, start, end):
        if field.number == blobs_number and field.wire == wire.BYTES:
            found.append(field)
        elif field.number == inner_number and field.wire == wire.BYTES:
            inner = field
        else:
            rest.append(field)
    layer = wire.parse(file, message, rest)
    name = layer.name
    where = f"{file.path}: layer '{name}': blob"
    blobs = [_blob(file, f.start, f.end, f"{where} {i}") for i, f in enumerate(found)]
    return layer, blobs, inner


def _old_layer(file, field):
    """(name, blobs, is it V0) of a `layers` entry."""
    args = field.start, field.end, caffe_pb2.V1LayerParameter()
    layer, blobs, inner = _layer(file, *args, blobs_number=6, inner_number=1)
    if inner is None:
        return layer.name, blobs, False
    args = inner.start, inner.end, caffe_pb2.V0LayerParameter()
    layer, blobs, _ = _layer(file, *args, blobs_number=50)
    return (None if layer.type == "padding" else layer.name), blobs, True


def read_weights(path) -> list[tuple[str, list[StoredBlob]]]:
    """(layer name, its stored blobs) in file order, from a caffemodel of any age; [] if empty.

    RuntimeError if the file cannot be opened, ValueError (file, byte, what) if anything in it is
    damaged: it is checked whole before anything can be loaded.
    """
    file = wire.File(path)
    layers, old, rest = [], [], []
    for field in wire.fields(file, 0, file.size):
        if field.number == 1 and field.wire == wire.VARINT:
            raise ValueError(f"{path}: this is a solver state; its weights are in a .caffemodel")
        if field.number == 100 and field.wire == wire.BYTES:
            args = field.start, field.end, caffe_pb2.LayerParameter()
            layer, blobs, _ = _layer(file, *args, blobs_number=7)
            layers.append((layer.name, blobs))
        elif field.number == 2 and field.wire == wire.BYTES:
            old.append(_old_layer(file, field))
        else:
            rest.append(field)
    wire.parse(file, caffe_pb2.NetParameter(), rest)
    if layers and old:
        raise ValueError(f"{path}: both 'layer' and 'layers' (the old format) in one net")
    v0 = any(is_v0 for _, _, is_v0 in old)
    # In a V0 net Caffe's upgrade keeps of another layer only what it connects.
    kept = [(name, blobs) for name, blobs, is_v0 in old if name is not None and is_v0 == v0]
    return layers or kept


class SolverState(NamedTuple):
    """What a .solverstate holds; history: one or two blobs for each learnable parameter."""

    iter: int
    learned_net: str
    current_step: int
    history: list


def read_state(path) -> SolverState:
    """A binary solver state; errors as read_weights."""
    file = wire.File(path)
    rest, found = [], []
    for field in wire.fields(file, 0, file.size):
        if field.wire == wire.BYTES and field.number in (1, 100):
            raise ValueError(f"{path}: these are weights (a caffemodel), not a solver state")
        (found if field.number == 3 and field.wire == wire.BYTES else rest).append(field)
    state = wire.parse(file, caffe_pb2.SolverState(), rest)
    if not state.HasField("iter"):
        raise ValueError(f"{path}: no solver state: it states no iteration")
    history = [_blob(file, f.start, f.end, f"{path}: history {i}") for i, f in enumerate(found)]
    return SolverState(state.iter, state.learned_net, state.current_step, history)


# -- writing --


def _size(pieces):
    return sum(p.nbytes if isinstance(p, np.ndarray) else len(p) for p in pieces)


def _values(number, array):
    array = np.ascontiguousarray(array)
    return [wire.head(number, array.nbytes), array] if array.size else []


def _blob_pieces(shape, data, diff):
    """The bytes of a BlobProto, in the order of field numbers, arrays as they are."""
    dims = b"".join(wire.encoded(int(n)) for n in shape)
    packed = wire.head(1, len(dims)) + dims if dims else b""
    fields = {7: [wire.head(7, len(packed)), packed] if dims else []}
    for values, as_float, as_double in ((data, 5, 8), (diff, 6, 9)):
        if values is not None:
            values = np.asarray(values)
            wide = values.dtype == np.float64
            dtype = "<f8" if wide else "<f4"
            number = as_double if wide else as_float
            fields[number] = _values(number, values.astype(dtype, copy=False))
    return [piece for number in sorted(fields) for piece in fields[number]]


def _layer_pieces(layer, blobs):
    before, after = caffe_pb2.LayerParameter(), caffe_pb2.LayerParameter()
    before.CopyFrom(layer)
    after.CopyFrom(layer)
    before.DiscardUnknownFields()
    for field in layer.DESCRIPTOR.fields:
        if field.number <= 7:
            after.ClearField(field.name)
        if field.number >= 7:
            before.ClearField(field.name)
    pieces = [before.SerializeToString()]
    for shape, data, diff in blobs:
        inner = _blob_pieces(shape, data, diff)
        pieces += [wire.head(7, _size(inner)), *inner]
    return [*pieces, after.SerializeToString()]


def write_net(path, name, layers):
    """Write a caffemodel as Caffe does, whole or not at all.

    layers: (LayerParameter without blobs, [(shape, data, diff or None), ...]) in order; float64
    values are stored as such. FileNotFoundError for a missing folder, ValueError beyond 2 GiB.
    """
    encoded = name.encode("utf-8")
    pieces = [wire.head(1, len(encoded)), encoded]
    for layer, blobs in layers:
        inner = _layer_pieces(layer, blobs)
        pieces += [wire.head(100, _size(inner)), *inner]
    _write(path, pieces)


def write_state(path, iter, learned_net, current_step, arrays):
    """Write a binary solver state; `arrays` is the history. Errors as write_net."""
    encoded = learned_net.encode("utf-8")
    pieces = [wire.encoded(1 << 3), wire.encoded(iter), wire.head(2, len(encoded)), encoded]
    for array in arrays:
        inner = _blob_pieces(array.shape, array, None)
        pieces += [wire.head(3, _size(inner)), *inner]
    pieces += [wire.encoded(4 << 3), wire.encoded(current_step)]
    _write(path, pieces)


def _write(path, pieces):
    size = _size(pieces)
    if size > MAX_BYTES:
        raise ValueError(
            f"{path}: {size} bytes, but protobuf files (.caffemodel, .solverstate) end at "
            f"{MAX_BYTES}; write HDF5 instead (save_hdf5, snapshot_format: HDF5)"
        )
    with wire.replacing(path) as temporary, open(temporary, "wb") as file:
        # No fsync, which takes as long as the writing: a crash of the process leaves the old file, and
        # what a power cut leaves of a new one is told as truncated when it is read.
        for piece in pieces:
            file.write(piece)
