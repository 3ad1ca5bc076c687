"""Protobuf's wire format, read and written in place.

A message is a sequence of fields; a field is a key (number and wire type) and a payload. Weights
files exceed what protobuf's Python parser takes in reasonable time and memory. So a file's structure
is walked through a memory map, and payloads stay in the file until somebody reads them.
(https://protobuf.dev/programming-guides/encoding)
"""

import mmap
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from google.protobuf.message import DecodeError

from ..names import as_text
from .hdf5 import SIGNATURE
from .paths import Path, could_not_open

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; Caffe has no groups (3 and 4)
_CHUNK = 1 << 20  # values converted at a time, where they need conversion
_SIGNATURES = [
    (SIGNATURE, "HDF5"),
    (b"PK", "a zip or .npz file (.npz and .pth: caffe.import_weights)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file it stands for"),
    (b"\x93NUMPY", "a NumPy array (.npy; numpy.load reads it)"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"\x80\x02", "a pickle"),
    (b"<", "a web page"),
]


def looks_like(start: bytes) -> str:
    """What the beginning of a file that is none of Caffe's looks like, to end an error; or nothing."""
    kind = next((kind for magic, kind in _SIGNATURES if start.startswith(magic)), None)
    if kind is None and start and not any(b < 9 or 13 < b < 32 for b in start[:512]):
        kind = "text (a prototxt?)"
    return f"; it looks like {kind}" if kind else ""


# -- reading --


class Run(NamedTuple):
    """Floats or doubles in the file, `step` bytes from one to the next."""

    start: int  # byte of the first
    size: int  # number of values
    width: int  # 4: float, 8: double
    step: int  # `width` if packed; more if each value has a key of its own


class File:
    """An open file and its bytes as a memory map, shared by all blobs found in it.

    RuntimeError if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = os.fspath(path)
        try:
            self.descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise could_not_open(path, error) from None
        weakref.finalize(self, os.close, self.descriptor)  # open as long as a blob may be read
        self.size = os.fstat(self.descriptor).st_size
        self.bytes: bytes | mmap.mmap = b""
        if self.size:
            self.bytes = mmap.mmap(self.descriptor, 0, access=mmap.ACCESS_READ)

    def read_run(self, run: Run, target: np.ndarray) -> None:
        """Fill a one-dimensional array of `run.size` values, of any float type."""
        if run.width == run.step == 4 and target.dtype == np.dtype("<f4"):
            self._read(target.data.cast("B"), run.start)
            return
        for first in range(0, run.size, _CHUNK):
            count = min(_CHUNK, run.size - first)
            raw = np.empty((count, run.step), np.uint8)
            wanted = raw.reshape(-1).data[: raw.size - run.step + run.width]
            self._read(wanted, run.start + first * run.step)
            values = raw[:, : run.width].copy().view(f"<f{run.width}")
            target[first : first + count] = values[:, 0]

    def _read(self, view: memoryview, position: int) -> None:
        done = 0
        while done < len(view):
            count = os.preadv(self.descriptor, [view[done:]], position + done)
            if not count:
                raise ValueError(f"{self.path}: it became shorter while it was being read")
            done += count

    def fail(self, position: int, reason: str) -> NoReturn:
        """Raise ValueError: the file, the byte, the reason, and what kind of file this looks like."""
        hint = looks_like(bytes(self.bytes[:512]))
        raise ValueError(
            f"{self.path}: damaged or none of Caffe's, at byte {position}: {reason}{hint}"
        )


class Field(NamedTuple):
    """A field of a message; `tag`, `start` and `end` are byte positions in the file."""

    number: int
    wire: int  # wire type
    value: int  # of a varint
    tag: int  # where the field's key begins
    start: int  # where its payload begins
    end: int  # where its payload ends
    repeats: int = 1  # how many fields of this number follow one another (fixed-width ones only)


def read_varint(file: File, position: int, end: int) -> tuple[int, int]:
    """(unsigned value, position behind it) of a variable-length integer."""
    value = shift = 0
    while True:
        if position >= end:
            file.fail(position, "the message ends within a number: truncated?")
        if shift > 63:
            file.fail(position, "a number of more than ten bytes")
        byte = file.bytes[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value & (2**64 - 1), position


def read_fields(file: File, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in bytes start to end; ValueError if they do not end there."""
    position = start
    while position < end:
        tag = position
        key, position = read_varint(file, position, end)
        number, wire = key >> 3, key & 7
        value, stop, count = 0, position, 1
        if number == 0 or key >> 32 or wire not in (VARINT, FIXED64, BYTES, FIXED32):
            file.fail(tag, f"no field has number {number} and wire type {wire}")
        if wire == VARINT:
            value, stop = read_varint(file, position, end)
        elif wire == BYTES:
            length, position = read_varint(file, position, end)
            stop = position + length
        else:
            width = 4 if wire == FIXED32 else 8
            count = _count_repeats(file, tag, position - tag, width, end)
            stop = tag + count * (position - tag + width)
        if stop > end:
            file.fail(
                tag, f"field {number} is {stop - end} bytes longer than what is left: truncated?"
            )
        yield Field(number, wire, value, tag, position, stop, count)
        position = stop


def _count_repeats(file: File, tag: int, tag_size: int, width: int, end: int) -> int:
    """How many fields of this one-byte key and width follow one another (unpacked floats)."""
    step = tag_size + width
    most = max(1, (end - tag) // step)
    count, window = 1, 16
    while tag_size == 1 and count < most:
        size = min(window, most - count)
        raw = np.frombuffer(file.bytes, np.uint8, (size - 1) * step + 1, tag + count * step)
        other = np.flatnonzero(raw[::step] != file.bytes[tag])
        if len(other):
            return count + int(other[0])
        count, window = count + size, 2 * window
    return count


def signed(value: int, bits: int) -> int:
    """An unsigned integer's low bits as a two's complement number."""
    value &= 2**bits - 1
    return value - 2**bits if value >> (bits - 1) else value


def text(file: File, field: Field | None) -> str:
    """A field's string, printable; empty if there is none."""
    if field is None or field.wire != BYTES:
        return ""
    return as_text(bytes(file.bytes[field.start : field.end]).decode("utf-8", "surrogateescape"))


def parse(file: File, message: Any, fields: Sequence[Field]) -> Any:
    """A message of `message`'s type from some of its fields, decoded and checked by protobuf."""
    raw = b"".join(bytes(file.bytes[field.tag : field.end]) for field in fields)
    try:
        return type(message).FromString(raw)
    except DecodeError as error:
        file.fail(fields[0].tag, f"no proper {message.DESCRIPTOR.name} ({error})")


# -- writing --


def encode_varint(value: int) -> bytes:
    """A variable-length integer; negative ones as 64-bit two's complement."""
    out = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field_header(number: int, size: int) -> bytes:
    """Key and length of a field with a payload of `size` bytes."""
    return encode_varint(number << 3 | BYTES) + encode_varint(size)


def integer_field(number: int, value: int) -> bytes:
    """A whole field that holds an integer."""
    return encode_varint(number << 3 | VARINT) + encode_varint(value)


def bytes_field(number: int, payload: bytes) -> bytes:
    """A whole field that holds bytes, a string or a message."""
    return field_header(number, len(payload)) + payload


Piece = bytes | np.ndarray  # part of a file to be written; arrays stay where they are


def byte_count(pieces: Sequence[Piece]) -> int:
    """How many bytes the pieces take in a file."""
    return sum(p.nbytes if isinstance(p, np.ndarray) else len(p) for p in pieces)
