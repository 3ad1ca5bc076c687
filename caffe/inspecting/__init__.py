"""`caffe inspect`: what is this file? Kind, age, layers, numbers, what is missing, what to do next."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from ..files.paths import could_not_open
from . import data, kinds, texts, weights
from .data import plain
from .report import Report

Shapes = Mapping[str, Sequence[int]]

# Kind of file -> (what it is called where it cannot be read, what reports on it)
KINDS: dict[str, tuple[str, Callable[[str, Shapes], Report]]] = {
    "archive": ("an archive", data.of_archive),
    "array": ("an array of NumPy", data.of_array),
    "caffemodel": ("a caffemodel", weights.of_caffemodel),
    "datum": ("a Datum", data.of_datum),
    "empty": ("an empty file", plain("an empty file: was its download or copy cut off?")),
    "folder": ("a folder", data.of_folder),
    "foreign": ("weights of another library", weights.of_foreign),
    "hdf5": ("an HDF5 file", weights.of_hdf5),
    "leveldb": ("a LevelDB", data.database("leveldb")),
    "list": ("a list of files", texts.of_list),
    "lmdb": ("an LMDB", data.database("lmdb")),
    "log": ("a log of Caffe's", texts.of_log),
    "mean": ("a blob in a .binaryproto", weights.of_mean),
    "net": ("a net's prototxt", texts.of_net),
    "onnx": ("a model in ONNX", data.of_onnx),
    "page": (
        "a web page",
        plain("a web page: a download that brought no file", "download it anew"),
    ),
    "picture": ("a picture", data.of_picture),
    "pointer": (
        "a pointer of Git LFS",
        plain("a pointer of Git LFS, not the file itself", "git lfs pull"),
    ),
    "solver": ("a solver's prototxt", texts.of_solver),
    "solverstate": ("a solver's state", weights.of_solverstate),
    "special": ("a device, pipe or socket", plain("a device, pipe or socket, not a file")),
    "text": ("a text", texts.of_text),
    "unknown": ("a binary file", plain("a binary file, none of Caffe's")),
}


def inspect(path: str | os.PathLike[str], shapes: Shapes | None = None) -> Report:
    """What a file or folder is; `shapes` are sizes of a net's inputs that its prototxt does not state.

    RuntimeError if there is nothing at `path`. What is damaged or cannot be read is reported as such.
    """
    path = os.fspath(path)
    try:
        kind = kinds.kind_of(path)
    except OSError as error:
        raise could_not_open(path, error) from None
    name, report_on = KINDS[kind]
    try:
        return report_on(path, shapes or {})
    except Exception as error:  # whatever a reader says of a damaged file is the answer
        text = str(error) or type(error).__name__
        return Report(f"{name} that cannot be read", wrong=[text])
