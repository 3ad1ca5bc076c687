"""Weights and solver states as HDF5 (.caffemodel.h5, .solverstate.h5), laid out as Caffe's.

data/<layer>/<i>      parameter i; every layer is a group, empty if it owns no weights
diff/<layer>/<i>      its diff, if diffs were saved
iter, learned_net, current_step, history/<i>      a solver state
"""

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ..names import as_text
from .paths import Path, replacing, require_file
from .stored import BlobValues, SolverState

# what h5py raises for damaged files, and for a group where a dataset is wanted
_DAMAGED = (
    *(OSError, RuntimeError, KeyError, AttributeError, TypeError, IndexError, SystemError),
    *(OverflowError, UnicodeDecodeError),
)
SIGNATURE = b"\x89HDF\r\n\x1a\n"


def h5py_library() -> ModuleType:
    """The h5py package, imported when first needed because that takes a while."""
    try:
        import h5py
    except ImportError:
        raise ImportError("HDF5 files need the h5py package: pip install h5py") from None
    return h5py


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, by its content: the signature at byte 0, 512, 1024, 2048, ..."""
    size, position = os.path.getsize(path), 0
    with open(path, "rb") as file:
        while position + len(SIGNATURE) <= size:
            file.seek(position)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            position = max(512, 2 * position)
    return False


class HDF5Blob:
    """A stored blob (see stored.StoredBlob): an HDF5 dataset, and that of its diff."""

    def __init__(self, data: Any, diff: Any = None) -> None:
        self._data = data
        self._diff = diff
        self.shape: list[int] = list(data.shape)
        self.count = math.prod(data.shape)
        self.has_diff = diff is not None

    def matches(self, shape: Iterable[int]) -> bool:
        """Whether this is a blob of exactly that shape."""
        return [int(n) for n in shape] == self.shape

    def read_into(self, array: np.ndarray) -> None:
        """Fill a C-contiguous float array of `count` values."""
        _fill(self._data, array)

    def read_diff_into(self, array: np.ndarray) -> None:
        """Fill the array with the stored diff."""
        _fill(self._diff, array)


def _fill(dataset: Any, array: np.ndarray) -> None:
    if array.size != dataset.size:
        raise ValueError(
            f"{dataset.file.filename}: {as_text(dataset.name)} holds {dataset.size} values, "
            f"{array.size} wanted for shape {list(array.shape)}"
        )
    if dataset.size:
        dataset.read_direct(array.reshape(dataset.shape))


# -- reading --


def read_weights(path: Path) -> list[tuple[str, list[HDF5Blob | None]]]:
    """(layer name, its stored blobs) in the file's order, which is alphabetical.

    None stands for a weight that the file lacks: weights shared by name are stored once, with the
    layer that owns them. RuntimeError if the file cannot be opened, ValueError if it is damaged or
    holds no weights.
    """
    file = open_file(path)
    with _errors_with_path(path):
        if "data" not in file:
            what = "a solver state, not weights" if "history" in file else "no group 'data' in it"
            raise ValueError(f"{path}: {what}")
        return [(as_text(name), _layer_blobs(path, file, name)) for name in file["data"]]


def _layer_blobs(path: Path, file: Any, name: str) -> list[HDF5Blob | None]:
    group = file["data"][name]
    diffs = file["diff"][name] if "diff" in file and name in file["diff"] else {}
    if not all(key.isdigit() for key in group):
        found = list(map(as_text, group))
        raise ValueError(f"{path}: layer '{as_text(name)}' has datasets {found}, not 0, 1, ...")
    last = max((int(key) for key in group), default=-1)
    names = [str(i) for i in range(last + 1)]
    return [HDF5Blob(group[n], diffs.get(n)) if n in group else None for n in names]


def read_state(path: Path) -> SolverState:
    """A solver state; errors as read_weights."""
    file = open_file(path)
    with _errors_with_path(path):
        if "history" not in file:
            what = "weights, not a solver state" if "data" in file else "no group 'history' in it"
            raise ValueError(f"{path}: {what}")
        history = [HDF5Blob(file["history"][str(i)]) for i in range(len(file["history"]))]
        learned_net = file["learned_net"][()] if "learned_net" in file else b""
        if isinstance(learned_net, bytes):
            learned_net = os.fsdecode(learned_net.rstrip(b"\0"))
        iteration, step = (int(np.ravel(file[key][()])[0]) for key in ("iter", "current_step"))
        return SolverState(iteration, learned_net, step, list(history))


def open_file(path: Path) -> Any:
    """An HDF5 file, opened for reading, which leads to no other file.

    Its links to others, datasets that lie in others, and virtual ones are refused before anything is
    read: they would read whatever they name. RuntimeError if there is no file, ValueError otherwise.
    """
    require_file(path)
    if not is_hdf5(path):
        raise ValueError(f"{path}: no HDF5 file, by its content; a binary .caffemodel by mistake?")
    try:
        file = h5py_library().File(path, "r")
        elsewhere = _elsewhere(file)
    except _DAMAGED as error:
        raise ValueError(f"{path}: damaged or foreign HDF5 file ({error})") from None
    if elsewhere:
        file.close()
        raise ValueError(
            f"{path}: {elsewhere} lies in another file, which is not followed: copy it into this one "
            "(h5repack does)"
        )
    return file


def _elsewhere(file: Any) -> str:
    """The first name in a file under which something lies in another file; "" if there is none."""
    h5py = h5py_library()
    links: list[tuple[bytes, Any]] = []
    # an exception inside of a visit would come out as another: only collected here
    file.id.links.visit(lambda name, info: links.append((name, info)), info=True)
    for name, info in links:
        hard = info.type == h5py.h5l.TYPE_HARD  # a soft link's goal is visited under its own name
        if info.type == h5py.h5l.TYPE_EXTERNAL or (hard and _is_outside(h5py, file, name)):
            return as_text(name)
    return ""


def _is_outside(h5py: Any, file: Any, name: bytes) -> bool:
    """Whether an object is a dataset whose values are in other files."""
    thing = h5py.h5o.open(file.id, name)
    if not isinstance(thing, h5py.h5d.DatasetID):
        return False
    made = thing.get_create_plist()
    return bool(made.get_external_count()) or made.get_layout() == h5py.h5d.VIRTUAL


@contextlib.contextmanager
def _errors_with_path(path: Path) -> Iterator[None]:
    """Turn h5py's errors while reading into ValueError with the path."""
    try:
        yield
    except _DAMAGED as error:
        raise ValueError(f"{path}: damaged or foreign HDF5 file ({error})") from None


# -- writing --


def write_weights(
    path: Path, layers: Iterable[tuple[str, Sequence[BlobValues | tuple | None]]]
) -> None:
    """Write weights, whole or not at all.

    layers: (name, its blobs' values); None for a weight that another layer owns. Diffs are written
    if any is given. FileNotFoundError for a missing folder, ValueError for names HDF5 cannot have
    (with a slash, empty, twice the same).
    """
    layers = list(layers)
    names = [name for name, _ in layers]
    for name in names:
        if "/" in name or name in ("", ".") or names.count(name) > 1:
            why = "used twice" if names.count(name) > 1 else "no name HDF5 can have"
            raise ValueError(f"{path}: layer '{name}': {why}; rename it or save a .caffemodel")
    with _writing(path) as file:
        has_diff = any(blob and blob[2] is not None for _, blobs in layers for blob in blobs)
        for key, index in (("data", 1), ("diff", 2))[: 1 + has_diff]:
            group = file.create_group(key)
            for name, blobs in layers:
                inner = group.create_group(name)
                for i, blob in enumerate(blobs):
                    if blob is not None:
                        _write_array(inner, str(i), blob[0], blob[index])


def write_state(
    path: Path, iteration: int, learned_net: str, current_step: int, history: Iterable[np.ndarray]
) -> None:
    """Write a solver state, whole or not at all; errors as write_weights."""
    with _writing(path) as file:
        file.create_dataset("iter", data=np.array([iteration], np.int32))
        _write_string(file, "learned_net", learned_net)
        file.create_dataset("current_step", data=np.array([current_step], np.int32))
        group = file.create_group("history")
        for i, array in enumerate(history):
            _write_array(group, str(i), array.shape, array)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Any]:
    h5py = h5py_library()
    versions = ("earliest", "v110")  # readable by the old HDF5 libraries that Caffe is built with
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=versions) as file:
        yield file


def _write_array(group: Any, name: str, shape: Sequence[int], values: Any) -> None:
    values = np.asarray(values)
    dtype = "<f8" if values.dtype == np.float64 else "<f4"
    values = values.reshape([int(n) for n in shape]).astype(dtype, copy=False)
    group.create_dataset(name, data=values)


def _write_string(group: Any, name: str, text: str) -> None:
    """Write text at its own length with a closing NUL, as Caffe's reader requires."""
    h5py = h5py_library()
    raw = os.fsencode(text) + b"\0"
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(raw))
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.h5d.create(group.id, name.encode(), kind, space)
    dataset.write(space, space, np.array(raw, f"S{len(raw)}"), kind)
