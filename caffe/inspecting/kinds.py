"""What kind of file something is, by its content."""

from __future__ import annotations

import itertools
import os
import re
import stat
import zipfile
from collections.abc import Callable
from typing import TypeAlias

from ..files import hdf5, wire

Test: TypeAlias = Callable[[str, bytes], bool]
_HEAD = 1 << 16  # bytes that are looked at
_FIELDS = 10_000  # of a message

# Beginning of a file -> what it is
MAGIC = {
    b"\x89PNG": "picture",
    b"\xff\xd8\xff": "picture",
    b"GIF8": "picture",
    b"BM": "picture",
    b"II*\0": "picture",
    b"MM\0*": "picture",
    b"\x1f\x8b": "archive",
    b"BZh": "archive",
    b"\xfd7zXZ": "archive",
    b"7z\xbc\xaf": "archive",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19": "foreign",  # PyTorch before 1.6
    b"\x93NUMPY": "array",
    b"version https://git-lfs": "pointer",
}
# The fields at a text's outermost level -> what it is
_SOLVER = {"net", "train_net", "test_net", "base_lr", "lr_policy", "max_iter", "test_iter"}
_SOLVER |= {"solver_mode", "solver_type", "snapshot_prefix", "net_param", "train_net_param"}
_NET = {"layer", "layers", "input", "input_dim", "input_shape", "force_backward"}
_LOG_LINE = re.compile(r"^[IWEF]\d{4,8} [\d:.]+ +\d+ \S+:\d+\]", re.MULTILINE)


def kind_of(path: str) -> str:
    """The kind of a file or folder, a key of `inspecting.KINDS`. OSError for what cannot be read."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        names = set(os.listdir(path))
        return "lmdb" if "data.mdb" in names else "leveldb" if "CURRENT" in names else "folder"
    if not stat.S_ISREG(mode):
        return "special"
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "empty"
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    if kind := next((kind for kind, test in _TESTS if test(path, head)), ""):
        return kind
    numbers = outer_numbers(path)
    return next((kind for kind, test in _MESSAGES if test(numbers)), "unknown")


def is_text(head: bytes) -> bool:
    """Whether the bytes are text: no control characters, and mostly ASCII or UTF-8."""
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", head):
        return False
    try:
        head[: len(head) - 4].decode()
    except UnicodeDecodeError:
        return sum(byte < 128 for byte in head) > 0.9 * len(head)
    return True


def _text(head: bytes) -> str:
    return head.decode("utf-8", "replace")


def outer_fields(text: str) -> set[str]:
    """The names of the fields at the outermost level of a prototxt."""
    depth, names = 0, set()
    text = re.sub(r"#[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", "", text)
    for match in re.finditer(r"([{}])|(\w+)\s*(?=[:{])", text):
        if match[1]:
            depth += 1 if match[1] == "{" else -1
        elif depth == 0:
            names.add(match[2])
    return names


def outer_numbers(path: str) -> set[tuple[int, int]]:
    """(number, wire type) of the fields of a protobuf message, as far as it can be read."""
    found = set()
    try:
        file = wire.File(path)
        for field in itertools.islice(wire.read_fields(file, 0, file.size), _FIELDS):
            found.add((field.number, field.wire))
    except (ValueError, RuntimeError):
        pass
    return found


def _zip_with(ending: str) -> Test:
    def test(path: str, head: bytes) -> bool:
        try:
            with zipfile.ZipFile(path) as content:
                return any(name.endswith(ending) for name in content.namelist())
        except (OSError, zipfile.BadZipFile):
            return False

    return test


def _fields(names: set[str]) -> Test:
    return lambda path, head: is_text(head) and bool(outer_fields(_text(head)) & names)


def _is_list(path: str, head: bytes) -> bool:
    """Lines of a path and a number, or of HDF5 files."""
    lines = [line.strip() for line in _text(head).splitlines()[:20] if line.strip()]
    entry = re.compile(r"\S.* -?\d+|\S.*\.(h5|hdf5)")
    return is_text(head) and bool(lines) and all(map(entry.fullmatch, lines))


def is_cut_zip(path: str) -> bool:
    """Whether a file begins as a zip file and has not its end."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK" and not zipfile.is_zipfile(path)


_TESTS: list[tuple[str, Test]] = [
    ("hdf5", lambda path, head: hdf5.is_hdf5(path)),
    ("lmdb", lambda path, head: head[16:20] == b"\xde\xc0\xef\xbe"),
    ("foreign", _zip_with("/data.pkl")),
    ("foreign", _zip_with(".npy")),
    ("archive", lambda path, head: head.startswith(b"PK") or head[257:262] == b"ustar"),
    (
        "foreign",  # .safetensors: the length of a JSON text, and the text
        lambda path, head: head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 10**8,
    ),
    ("log", lambda path, head: is_text(head) and bool(_LOG_LINE.search(_text(head)))),
    ("page", lambda path, head: bool(re.match(rb"\s*<(!doctype|html|\?xml)", head.lower()))),
    ("solver", _fields(_SOLVER)),
    ("net", _fields(_NET)),
    ("list", _is_list),
    ("text", lambda path, head: is_text(head)),
]

_V, _B, _F = wire.VARINT, wire.BYTES, wire.FIXED32
# Of protobuf messages, by the (number, wire type) of their fields
_MESSAGES: list[tuple[str, Callable[[set[tuple[int, int]]], bool]]] = [
    ("onnx", lambda has: has >= {(1, _V), (7, _B), (8, _B)}),
    ("solverstate", lambda has: (1, _V) in has and bool(has & {(2, _B), (3, _B)})),
    ("datum", lambda has: (2, _V) in has and bool(has & {(4, _B), (6, _F), (6, _B)})),
    ("mean", lambda has: bool(has & {(5, _B), (5, _F), (8, _B)})),
    ("caffemodel", lambda has: bool(has & {(100, _B), (2, _B), (1, _B)})),
]
