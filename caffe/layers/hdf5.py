"""HDF5Data and HDF5Output (src/caffe/layers/hdf5_data_layer.cpp, hdf5_output_layer.cpp)."""

import os
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .. import context
from ..files import allowed, limits
from ..files.hdf5 import h5py_library, is_hdf5, open_file
from ..glog import info
from ..layer import Layer, register
from ..names import as_text
from ..workers import common_seed
from .picture_order import share, state_of_json

_CLASSES = {"f": ("hdf5.cpp:33", "H5T_FLOAT"), "i": ("hdf5.cpp:36", "H5T_INTEGER")}
# what h5py raises for damaged files, and for a group where a dataset is wanted
_UNREADABLE = (OSError, ValueError, TypeError, AttributeError, KeyError, RuntimeError)
_logged: set[str] = set()  # datatype classes: Caffe logs each once a process


def log_class(kind: str) -> None:
    """Log a dataset's class of numbers, "f" or "i", the first time."""
    if kind in _CLASSES and kind not in _logged:
        _logged.add(kind)
        where, name = _CLASSES[kind]
        info(where, f"Datatype class: {name}")


@register
class HDF5Data(Layer):
    """Each top is the dataset of its name, in batches, from the files that `source` lists.

    A batch goes on in the next file where one ends; after the last file comes the first again.
    """

    num_bottom, num_top = 0, (1, None)

    def setup(self, bottom, top):
        p = self.param
        if self.layer_param.HasField("transform_param"):
            raise self.error(
                "does not transform data: prepare the files instead of transform_param"
            )
        if p.batch_size < 1:
            raise self.error("batch_size must be given, and above 0")
        info("hdf5_data_layer.cpp:81", f"Loading list of HDF5 filenames from: {p.source}")
        try:
            source = allowed.to_read(os.fsdecode(p.source))
            if is_hdf5(source):
                raise self.error(
                    f"source {source} is an HDF5 file itself: a text file that lists such files, one a "
                    "line, is wanted"
                )
            with open(source, encoding="utf-8", errors="surrogateescape") as file:
                lines = [(word, i) for i, line in enumerate(file, 1) for word in line.split()]
        except OSError as error:
            raise self.error(f"source, the list of HDF5 files: {error}") from error
        self.files, self.lines = [word for word, _ in lines], [i for _, i in lines]
        self.count, self.rank = share(self)
        self.draws = random.Random(common_seed())  # of what several solvers draw alike
        self.rows: list[tuple[int, ...]] = []  # shapes of a row, of the first file's datasets
        self.first = ""
        if not self.files:
            raise self.error(f"{p.source} lists no HDF5 files")
        info("hdf5_data_layer.cpp:95", f"Number of HDF5 files: {len(self.files)}")
        self.file_order, self.current = self.order(len(self.files)), 0
        self.load()
        for blob, array in zip(top, self.arrays):
            blob.set_shape([p.batch_size, *array.shape[1:]])

    def order(self, count: int) -> Sequence[int]:
        """The order in which to read `count` things: shuffled if asked for."""
        if not self.param.shuffle:
            return range(count)
        if self.count > 1:
            return self.draws.sample(range(count), count)
        generator = context.generator(context.CPU)
        return torch.randperm(count, generator=generator, device=context.CPU).tolist()

    def load(self) -> None:
        """Read the current file's datasets."""
        index = self.file_order[self.current]
        path = self.files[index]
        try:
            with open_file(allowed.to_read(path)) as file:
                self.arrays = self.read(file)
        except _UNREADABLE as error:
            raise self.error(f"{self.where(index)}: cannot read {path}: {error}") from error
        rows = [array.shape[:1] for array in self.arrays]
        if rows != rows[:1] * len(rows) or not rows[0] or not rows[0][0]:
            raise self.error(
                f"{path}: datasets must have as many rows, one at least, got shapes "
                f"{[list(array.shape) for array in self.arrays]}"
            )
        of_rows = [array.shape[1:] for array in self.arrays]
        if not self.first:
            self.first, self.rows = path, of_rows
        for name, mine, other in zip(self.layer_param.top, of_rows, self.rows):
            if mine != other:
                raise self.error(
                    f"{self.where(index)}: in {path} a row of '{name}' has shape {list(mine)}, in "
                    f"{self.first} {list(other)}: all files must have one shape"
                )
        self.row_order, self.row = self.order(rows[0][0]), 0

    def resume_state(self):
        files, rows = (list(order) for order in (self.file_order, self.row_order))
        place = {"files": files, "current": self.current, "rows": rows, "row": self.row}
        return place | ({"draws": self.draws.getstate()} if self.count > 1 else {})

    def resume_from(self, state):
        self.file_order, self.current = state["files"], state["current"]
        with context.same_generators():  # whose state is restored besides
            self.load()
        self.row_order, self.row = state["rows"], state["row"]
        if self.count > 1 and "draws" in state:
            self.draws.setstate(state_of_json(state["draws"]))

    def read(self, file: Any) -> list[np.ndarray]:
        """The datasets of the tops' names, float32."""
        names = self.layer_param.top
        missing = [name for name in names if name not in file]
        if missing:
            there = ", ".join(map(as_text, file))
            raise ValueError(f"it has no dataset '{missing[0]}', the name of a top; it has {there}")
        datasets = [file[name] for name in names]
        claimed = sum(each.size * max(4, each.dtype.itemsize) for each in datasets)
        limits.require_plausible(file.filename, claimed, "what it holds")
        for each in datasets:
            log_class(each.dtype.kind.replace("u", "i"))
        return [np.asarray(each, np.float32) for each in datasets]

    def where(self, index: int) -> str:
        """The list and the line that names a file."""
        return f"{os.fsdecode(self.param.source)}, line {self.lines[index]}"

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        for i in range(self.param.batch_size):
            for taker in range(self.count):  # of several solvers each takes its own row
                row = self.row_order[self.row]
                if taker == self.rank:
                    for blob, array in zip(top, self.arrays):
                        blob.data[i] = array[row : row + 1][0]
                self.advance()

    def advance(self) -> None:
        """Go to the next row, in the next file if this one ends."""
        self.row += 1
        if self.row < len(self.row_order):
            return
        if len(self.files) > 1:
            self.current = (self.current + 1) % len(self.files)
            if self.current == 0:
                self.file_order = self.order(len(self.files))
            self.load()
        self.row_order, self.row = self.order(len(self.arrays[0])), 0

    def backward(self, top, propagate_down, bottom):
        pass


@register
class HDF5Output(Layer):
    """Writes its bottoms, one batch, into a file as datasets `data` and `label` of four axes."""

    num_bottom, num_top = 2, 0

    def setup(self, bottom, top):
        if not self.param.file_name:
            raise self.error("hdf5_output_param.file_name must be given")
        try:
            name = allowed.to_write(os.fsdecode(self.param.file_name))
            self.require_replaceable(name)
            h5py_library().File(name, "w").close()
        except OSError as error:
            raise self.error(f"cannot write {self.param.file_name}: {error}") from error
        self.written = False

    def require_replaceable(self, path: str) -> None:
        """Raise an error unless there is nothing to lose at `path`: no file, or one of HDF5."""
        if os.path.exists(path) and os.path.getsize(path) and not is_hdf5(path):
            raise self.error(f"{path} is there, and no HDF5 file: it is not written over")

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        if self.written:
            raise self.error(
                f"{self.param.file_name} holds a batch already, and one is all it takes: run "
                "forward once"
            )
        data, label = (self.legacy_shape(blob) for blob in bottom)
        if data[0] != label[0]:
            raise self.error(
                f"data and label must have one first dimension, got {data} and {label}"
            )
        with h5py_library().File(os.fsdecode(self.param.file_name), "a") as file:
            for name, blob, shape in zip(("data", "label"), bottom, (data, label)):
                file.create_dataset(name, data=blob.x.cpu().numpy().reshape(shape))
        self.written = True

    def backward(self, top, propagate_down, bottom):
        pass
