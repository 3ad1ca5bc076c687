"""Weights and solver states as HDF5 (.caffemodel.h5, .solverstate.h5), laid out as Caffe's.

data/<layer>/<i>      every layer is a group, empty if it has no weights of its own
diff/<layer>/<i>      likewise, if diffs are kept
iter, learned_net, current_step, history/<i>
"""

import contextlib
import math
import os

import numpy as np

from caffe.files.weights import SolverState, is_hdf5
from caffe.files.wire import replacing


def _h5py():
    try:
        import h5py
    except ImportError:
        raise ImportError("HDF5 files need the h5py package: pip install h5py") from None
    return h5py


class StoredArray:
    """A dataset, with the interface of weights.StoredBlob."""

    legacy = False

    def __init__(self, data, diff=None):
        self._data = data
        self._diff = diff
        self.shape = list(data.shape)
        self.count = math.prod(data.shape)
        self.has_diff = diff is not None

    def matches(self, shape) -> bool:
        """Whether this is a blob of exactly that shape."""
        return [int(n) for n in shape] == self.shape

    def read_into(self, array):
        """Fill a C-contiguous float array of `count` values."""
        _fill(self._data, array)

    def read_diff_into(self, array):
        """As read_into, with the stored diff."""
        _fill(self._diff, array)


def _fill(dataset, array):
    if array.size != dataset.size:
        raise ValueError(
            f"{dataset.file.filename}: {dataset.name} holds {dataset.size} values, "
            f"{array.size} wanted for shape {list(array.shape)}"
        )
    if dataset.size:
        dataset.read_direct(array.reshape(dataset.shape))


def _open(path):
    if not os.path.isfile(path):
        raise RuntimeError(f"Could not open file {path}")
    if not is_hdf5(path):
        raise ValueError(f"{path}: no HDF5 file, by its content; a binary .caffemodel by mistake?")
    try:
        return _h5py().File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: damaged HDF5 file ({error})") from None


def read_weights(path) -> list[tuple[str, list]]:
    """(layer name, its stored arrays) in the file's order, which is by name.

    A place in the list is None where the file has no such dataset: weights shared by name are
    stored once, with the layer that owns them. RuntimeError if the file cannot be opened,
    ValueError if it is damaged or holds no weights.
    """
    file = _open(path)
    with _damaged(path):
        if "data" not in file:
            what = "a solver state, not weights" if "history" in file else "no group 'data' in it"
            raise ValueError(f"{path}: {what}")
        return [(name, _layer_arrays(path, file, name)) for name in file["data"]]


def _layer_arrays(path, file, name):
    group = file["data"][name]
    diffs = file["diff"][name] if "diff" in file and name in file["diff"] else {}
    if not all(key.isdigit() for key in group):
        raise ValueError(f"{path}: layer '{name}' has datasets {list(group)}, not 0, 1, ...")
    last = max((int(key) for key in group), default=-1)
    names = [str(i) for i in range(last + 1)]
    return [StoredArray(group[n], diffs.get(n)) if n in group else None for n in names]


def write_net(path, layers):
    """Write weights, whole or not at all.

    layers: (name, [(shape, data, diff or None), ...]); None in the list for a weight that
    another layer owns. Diffs are written if any is given. FileNotFoundError for a missing folder,
    ValueError for names HDF5 cannot have (with a slash, empty, twice the same).
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
                        _put(inner, str(i), blob[0], blob[index])


def read_state(path) -> SolverState:
    """A solver state; errors as read_weights."""
    file = _open(path)
    with _damaged(path):
        if "history" not in file:
            what = "weights, not a solver state" if "data" in file else "no group 'history' in it"
            raise ValueError(f"{path}: {what}")
        history = [StoredArray(file["history"][str(i)]) for i in range(len(file["history"]))]
        learned_net = file["learned_net"][()] if "learned_net" in file else b""
        if isinstance(learned_net, bytes):
            learned_net = learned_net.rstrip(b"\0").decode("utf-8")
        numbers = [int(np.ravel(file[key][()])[0]) for key in ("iter", "current_step")]
        return SolverState(numbers[0], learned_net, numbers[1], history)


def write_state(path, iter, learned_net, current_step, arrays):
    """Write a solver state, whole or not at all; `arrays` is the history. Errors as write_net."""
    with _writing(path) as file:
        file.create_dataset("iter", data=np.array([iter], np.int32))
        _put_string(file, "learned_net", learned_net)
        file.create_dataset("current_step", data=np.array([current_step], np.int32))
        history = file.create_group("history")
        for i, array in enumerate(arrays):
            _put(history, str(i), array.shape, array)


@contextlib.contextmanager
def _writing(path):
    h5py = _h5py()
    # As old a format as will do: Caffe's HDF5 libraries are of any age.
    age = ("earliest", "v110")
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=age) as file:
        yield file


@contextlib.contextmanager
def _damaged(path):
    """h5py's own errors while reading, as ValueError with the path."""
    try:
        yield
    except (OSError, KeyError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path}: damaged or foreign HDF5 file ({error})") from None


def _put(group, name, shape, values):
    values = np.asarray(values)
    dtype = "<f8" if values.dtype == np.float64 else "<f4"
    group.create_dataset(
        name, data=values.reshape([int(n) for n in shape]).astype(dtype, copy=False)
    )


def _put_string(group, name, text):
    """Of fixed length with the closing NUL, which Caffe relies on."""
    h5py = _h5py()
    raw = text.encode("utf-8") + b"\0"
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(raw))
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.h5d.create(group.id, name.encode(), kind, space)
    dataset.write(space, space, np.array(raw, f"S{len(raw)}"), kind)
