"""protobuf's wire format in files too big for protobuf: walking, checking and writing it in place.

A message is a run of fields, each a key (number and wire type) and a payload. The structure is read
through a memory map; payloads stay where they are until somebody asks for them.
"""

import mmap
import os
import weakref
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4 (groups) Caffe never had
HDF5 = b"\x89HDF\r\n\x1a\n"
_CHUNK = 1 << 20  # values converted at a time, where they need conversion
_KINDS = [
    (HDF5, "HDF5"),
    (b"PK", "a zip or .npz file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file it stands for"),
    (b"<", "a web page"),
]


# -- reading --


class Run(NamedTuple):
    """Values that follow one another in the file, `step` bytes apart."""

    start: int
    count: int
    width: int  # 4: float, 8: double
    step: int


class File:
    """An open file and its bytes as a map, shared by all blobs found in it."""

    def __init__(self, path):
        self.path = os.fspath(path)
        try:
            self.handle = os.open(path, os.O_RDONLY)
        except OSError as error:
            why = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror})"
            raise RuntimeError(f"Could not open file {path}{why}") from None
        weakref.finalize(self, os.close, self.handle)  # open as long as a blob may be read
        self.size = os.fstat(self.handle).st_size
        self.bytes = b""
        if self.size:
            self.bytes = mmap.mmap(self.handle, 0, access=mmap.ACCESS_READ)

    def read_run(self, run, target):
        if run.width == run.step == 4 and target.dtype == np.dtype("<f4"):
            self._read(memoryview(target).cast("B"), run.start)
            return
        for first in range(0, run.count, _CHUNK):
            count = min(_CHUNK, run.count - first)
            raw = np.empty((count, run.step), np.uint8)
            wanted = memoryview(raw.reshape(-1))[: raw.size - run.step + run.width]
            self._read(wanted, run.start + first * run.step)
            values = raw[:, : run.width].copy().view(f"<f{run.width}")
            target[first : first + count] = values[:, 0]

    def _read(self, view, at):
        done = 0
        while done < len(view):
            got = os.preadv(self.handle, [view[done:]], at + done)
            if not got:
                raise ValueError(f"{self.path}: it became shorter while it was being read")
            done += got

    def fail(self, at, what):
        """Raise ValueError: the file, the byte, what, and what kind of file this looks like."""
        start = bytes(self.bytes[:512])
        kind = next((kind for magic, kind in _KINDS if start.startswith(magic)), None)
        if kind is None and not any(b < 9 or 13 < b < 32 for b in start):
            kind = "text (a prototxt?)"
        hint = f"; it looks like {kind}" if kind and start else ""
        raise ValueError(f"{self.path}: damaged or none of Caffe's, at byte {at}: {what}{hint}")


class Field(NamedTuple):
    number: int
    wire: int
    value: int  # of a varint
    tag: int  # where the field begins,
    start: int  # its payload begins,
    end: int  # and ends
    count: int = 1  # how often it is repeated (fixed-width fields only)


def varint(file, at, end):
    value = shift = 0
    while True:
        if at >= end:
            file.fail(at, "the message ends within a number: truncated?")
        if shift > 63:
            file.fail(at, "a number of more than ten bytes")
        byte = file.bytes[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value & (2**64 - 1), at


def fields(file, start, end):
    """The fields of the message in bytes start to end; ValueError if they do not end there."""
    at = start
    while at < end:
        tag = at
        key, at = varint(file, at, end)
        number, wire = key >> 3, key & 7
        value, stop, count = 0, at, 1
        if number == 0 or key >> 32 or wire not in (VARINT, FIXED64, BYTES, FIXED32):
            file.fail(tag, f"no field has number {number} and wire type {wire}")
        if wire == VARINT:
            value, stop = varint(file, at, end)
        elif wire == BYTES:
            length, at = varint(file, at, end)
            stop = at + length
        else:
            count = _repeats(file, tag, at - tag, 4 if wire == FIXED32 else 8, end)
            stop = tag + count * (at - tag + (4 if wire == FIXED32 else 8))
        if stop > end:
            file.fail(
                tag, f"field {number} is {stop - end} bytes longer than what is left: truncated?"
            )
        yield Field(number, wire, value, tag, at, stop, count)
        at = stop


def _repeats(file, tag, tag_size, width, end):
    """How many fields of this one-byte tag and width follow one another (unpacked floats)."""
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


def signed(value, bits):
    value &= 2**bits - 1
    return value - 2**bits if value >> (bits - 1) else value


def parse(file, message, fields):
    """Decode fields (all but the blobs) by protobuf, which checks what is inside."""
    raw = b"".join(bytes(file.bytes[field.tag : field.end]) for field in fields)
    try:
        return type(message).FromString(raw)
    except DecodeError as error:
        file.fail(fields[0].tag, f"no proper {message.DESCRIPTOR.name} ({error})")


# -- writing --


def encoded(value):
    """A varint."""
    out = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def head(number, size):
    """What precedes a field of `size` bytes."""
    return encoded(number << 3 | BYTES) + encoded(size)


@contextmanager
def replacing(path):
    """Name of a file to write in the same folder; takes `path`'s place if all goes well, else goes.

    FileNotFoundError, naming the folder, if that is not there.
    """
    path = os.path.realpath(path)
    folder, base = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"cannot write {base}: there is no folder {folder}")
    temporary = os.path.join(folder, f".{base}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
