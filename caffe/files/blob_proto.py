"""A BlobProto in a binary file: read from the file in place, written from an array's memory.

The bytes written are those of Caffe's Blob::ToProto; reading follows Blob::FromProto.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import wire
from .paths import Path, replacing
from .stored import BlobValues

MAX_BYTES = 2**31 - 1  # protobuf's limit for a message, hence Caffe's for a file


class BinaryBlob:
    """A stored blob (see stored.StoredBlob).

    `shape` is [num, channels, height, width] if `legacy`: old files hold these four fields, and they
    take precedence over a shape. `where` names the blob in errors.
    """

    def __init__(self, file: wire.File, where: str) -> None:
        self._file = file
        self._where = where
        self._floats: dict[str, list[wire.Run]] = {"data": [], "diff": []}
        self._doubles: dict[str, list[wire.Run]] = {"data": [], "diff": []}
        self.legacy = False
        self.shape: list[int] = []

    @property
    def count(self) -> int:
        """Number of stored values."""
        return sum(run.size for run in self._runs("data"))

    @property
    def has_diff(self) -> bool:
        """Whether the file holds the blob's diff, too."""
        return bool(self._runs("diff"))

    def matches(self, shape: Iterable[int]) -> bool:
        """Whether this is a blob of that shape (Blob::ShapeEquals).

        A legacy shape is compared from the right, with the missing axes 1: 1x1xOxI is an (O, I)
        matrix. Others must be equal.
        """
        shape = [int(n) for n in shape]
        if self.legacy:
            return len(shape) <= 4 and [1] * (4 - len(shape)) + shape == self.shape
        return shape == self.shape

    def read_into(self, array: np.ndarray) -> None:
        """Fill a C-contiguous float array of `count` values, of any shape, in row-major order."""
        self._fill(array, "data")

    def read_diff_into(self, array: np.ndarray) -> None:
        """Fill the array with the stored diff."""
        self._fill(array, "diff")

    def _runs(self, kind: str) -> list[wire.Run]:
        return self._doubles[kind] or self._floats[kind]  # doubles win, as in Blob::FromProto

    def _fill(self, array: np.ndarray, kind: str) -> None:
        if not (array.flags.c_contiguous and array.flags.writeable):
            raise ValueError(f"{self._where}: the array to fill must be writable and C-contiguous")
        runs = self._runs(kind)
        stored = sum(run.size for run in runs)
        if stored != array.size:
            raise ValueError(
                f"{self._where}: {stored} {kind} values stored, {array.size} wanted "
                f"for shape {list(array.shape)}"
            )
        flat, position = array.reshape(-1), 0
        for run in runs:
            self._file.read_run(run, flat[position : position + run.size])
            position += run.size


# -- reading --

_LEGACY_AXES = {1: 0, 2: 1, 3: 2, 4: 3}  # field number of num, channels, height, width -> axis
_SHAPE = 7
# field number -> (what it holds, bytes a value)
_VALUES = {5: ("data", 4), 6: ("diff", 4), 8: ("data", 8), 9: ("diff", 8)}


def read_blob(file: wire.File, start: int, end: int, where: str) -> BinaryBlob:
    """The blob in bytes start to end of a file; ValueError if it is damaged."""
    blob, legacy, dims = BinaryBlob(file, where), {}, []
    for field in wire.read_fields(file, start, end):
        if field.number in _LEGACY_AXES and field.wire == wire.VARINT:
            legacy[_LEGACY_AXES[field.number]] = wire.signed(field.value, 32)
        elif field.number in _VALUES:
            kind, width = _VALUES[field.number]
            runs = (blob._floats if width == 4 else blob._doubles)[kind]
            _add_values(file, runs, field, width)
        elif field.number == _SHAPE and field.wire == wire.BYTES:
            dims += _dims(file, field)
    blob.legacy = bool(legacy)
    blob.shape = [legacy.get(axis, 0) for axis in range(4)] if legacy else dims
    wanted = math.prod(blob.shape)
    if blob.count != wanted and (blob.count or blob.shape):
        file.fail(start, f"{where}: {blob.count} values for shape {blob.shape}")
    return blob


def _add_values(file: wire.File, runs: list[wire.Run], field: wire.Field, width: int) -> None:
    if field.wire == wire.BYTES:
        size = field.end - field.start
        if size % width:
            file.fail(field.tag, f"{size} bytes of values are no multiple of {width}")
        if size:
            runs.append(wire.Run(field.start, size // width, width, width))
    elif field.wire == (wire.FIXED32 if width == 4 else wire.FIXED64):
        runs.append(wire.Run(field.start, field.repeats, width, width + field.start - field.tag))


def _dims(file: wire.File, field: wire.Field) -> list[int]:
    """The numbers of a BlobShape, packed or not."""
    dims = []
    for inner in wire.read_fields(file, field.start, field.end):
        if inner.number == 1 and inner.wire == wire.VARINT:
            dims.append(wire.signed(inner.value, 64))
        elif inner.number == 1 and inner.wire == wire.BYTES:
            position = inner.start
            while position < inner.end:
                value, position = wire.read_varint(file, position, inner.end)
                dims.append(wire.signed(value, 64))
    return dims


# -- writing --


def blob_pieces(blob: BlobValues | tuple) -> list[wire.Piece]:
    """The bytes of a BlobProto, in the order of field numbers; its arrays are not copied."""
    shape, data, diff = blob
    dims = b"".join(wire.encode_varint(int(n)) for n in shape)
    pieces: dict[int, list[wire.Piece]] = {}
    if dims:
        pieces[_SHAPE] = [wire.bytes_field(_SHAPE, wire.bytes_field(1, dims))]
    for values, float_field, double_field in ((data, 5, 8), (diff, 6, 9)):
        if values is not None:
            number, array = _as_stored(values, float_field, double_field)
            pieces[number] = [wire.field_header(number, array.nbytes), array] if array.size else []
    return [piece for number in sorted(pieces) for piece in pieces[number]]


def _as_stored(values: Any, float_field: int, double_field: int) -> tuple[int, np.ndarray]:
    """(field number, values as they lie in the file): doubles stay doubles."""
    values = np.asarray(values)
    wide = values.dtype == np.float64
    array = np.ascontiguousarray(values.astype("<f8" if wide else "<f4", copy=False))
    return (double_field if wide else float_field), array


def write_pieces(path: Path, pieces: list[wire.Piece]) -> None:
    """Write a binary file, whole or not at all.

    ValueError beyond protobuf's 2 GiB, FileNotFoundError for a missing folder.
    """
    size = wire.byte_count(pieces)
    if size > MAX_BYTES:
        raise ValueError(
            f"{path}: {size} bytes, but protobuf files (.caffemodel, .solverstate) end at "
            f"{MAX_BYTES}; write HDF5 instead (save_hdf5, snapshot_format: HDF5)"
        )
    with replacing(path) as temporary, open(temporary, "wb") as file:
        for piece in pieces:
            file.write(piece.data if isinstance(piece, np.ndarray) else piece)
