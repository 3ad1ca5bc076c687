"""Layers that read pictures from files: Data, ImageData
(src/caffe/layers/base_data_layer.cpp, data_layer.cpp, image_data_layer.cpp)."""

import os
import random
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from .. import context
from ..background import Background
from ..blob import INT_MAX
from ..files import allowed
from ..files.database import Database
from ..files.image_list import read_image_list
from ..glog import info
from ..io import datum_to_array
from ..layer import Layer, register
from ..proto import caffe_pb2
from ..workers import solver_rank
from .picture_order import PictureOrder, share, state_of_json
from .transform import DataTransformer, decode_picture, read_picture, resize


class PrefetchingData(Layer):
    """Batches of pictures (N, C, H, W) and, for a second top, of labels (N).

    A thread reads the next batch while the net computes on this one. Random numbers come from a
    generator of the layer's own, so that one seed gives one order of pictures.
    """

    num_bottom, num_top = 0, (1, 2)
    size_where = "data_layer.cpp:45"  # where Caffe logs the size of a batch

    def setup(self, bottom, top):
        seed = torch.empty((), dtype=torch.int64, device=context.CPU)
        seed.random_(generator=context.generator(context.CPU))
        self.random = random.Random(int(seed))
        if self.batch_size < 1:
            raise self.error("batch_size must be given, and above 0")
        self.transform = DataTransformer(self, self.random)
        self.open()
        self.thread = Background(self.name)
        self.begin_batch()
        arrays = self.upcoming.result()
        for blob, array in zip(top, arrays):
            blob.set_shape(array.shape)
        info(self.size_where, f"output data size: {','.join(map(str, arrays[0].shape))}")

    @property
    def batch_size(self) -> int:
        """Number of pictures in a batch."""
        return self.param.batch_size

    def open(self) -> None:
        """Open the files, once."""
        raise NotImplementedError

    def item(self) -> tuple[np.ndarray, int]:
        """The next picture (C, H, W), as read, and its label."""
        raise NotImplementedError

    def batch(self) -> tuple[np.ndarray, ...]:
        """The next batch: pictures (N, C, H, W) and labels (N), float32."""
        labels = pictures = np.empty(0, np.float32)
        for i in range(self.batch_size):
            picture, label = self.item()
            picture = self.transform(picture)
            if i == 0:
                if self.batch_size * picture.size > INT_MAX:
                    raise self.error(
                        f"batch_size {self.batch_size}, of {list(picture.shape)} a picture: a blob holds "
                        f"{INT_MAX} values at most"
                    )
                labels = np.empty(self.batch_size, np.float32)
                pictures = np.empty((self.batch_size, *picture.shape), np.float32)
            if picture.shape != pictures.shape[1:]:
                raise self.error(
                    f"pictures of one batch must have one shape, got {list(pictures.shape[1:])} "
                    f"and {list(picture.shape)}; give crop_size or resize them, or choose "
                    "batch_size 1"
                )
            pictures[i], labels[i] = picture, label
        return pictures, labels

    def read_picture(self, path: str, color: bool | None) -> np.ndarray:
        """A picture file as transform.read_picture gives it, or an error that names this layer."""
        try:
            return read_picture(allowed.to_read(path), color)
        except OSError as error:
            raise self.error(f"cannot read picture {path}: {error}") from error

    def reshape(self, bottom, top):
        pass

    def begin_batch(self) -> None:
        """Let the thread read the next batch, and note where that begins."""
        self.before = {"random": self.random.getstate()} | self.position_state()
        self.upcoming = self.thread.submit(self.batch)

    def position_state(self) -> dict[str, Any]:
        """Where the layer is in its data."""
        return {}

    def go_to(self, state: dict[str, Any]) -> None:
        """Go where `position_state` was."""

    def resume_state(self):
        return self.before

    def resume_from(self, state):
        self.upcoming.result()
        self.go_to(state)
        self.random.setstate(state_of_json(state["random"]))
        if rank := solver_rank():  # the first wrote this, and others draw other crops
            self.random.seed(self.random.getrandbits(64) + rank)
        self.begin_batch()

    def forward(self, bottom, top):
        arrays = self.upcoming.result()
        self.begin_batch()
        for blob, array in zip(top, arrays):
            blob.set_shape(array.shape)
            if context.on_gpu():
                blob.data[...] = array  # to host memory: the copy to the device waits for nothing
            else:
                blob.x = torch.from_numpy(array).to(blob.x.dtype)

    def backward(self, top, propagate_down, bottom):
        pass


@register
class Data(PrefetchingData):
    """Datums from an LMDB or LevelDB, in the order of their keys; after the last the first again."""

    kind: Any = caffe_pb2.Datum  # of the records

    def open(self) -> None:
        """Open the database. Of several solvers each takes its own records of the one order."""
        p = self.param
        self.count, self.rank = share(self)
        records = self.begin()
        skipped = self.random.randrange(p.rand_skip) if p.rand_skip else 0
        for _ in range(skipped % (records or INT_MAX)):  # after the last comes the first
            next(self.datums)

    def begin(self) -> int | None:
        """Read from the first record on; returns how many there are, if that is stated."""
        p, self.read = self.param, 0
        backend = "lmdb" if p.backend == p.LMDB else "leveldb"
        try:
            database = Database(backend, allowed.to_read(os.fsdecode(p.source)))
            # of a proxy: a layer that held itself would wait for the garbage collector
            self.datums = type(self).endless(weakref.proxy(self), database)
        except ImportError as error:
            raise self.error(
                f"{error}; LevelDB is the default, state backend: LMDB if it is one"
            ) from error
        except (OSError, ValueError) as error:
            raise self.error(str(error)) from error
        return database.count

    def position_state(self):
        return {"read": self.read}

    def go_to(self, state):
        self.begin()
        while self.read < state["read"]:
            before = self.read
            next(self.datums)
            if self.read <= before:  # from the first again
                raise ValueError(f"record {state['read']} of a database of {before}")

    def endless(self, database: Database) -> Iterator[Any]:
        """All records of the database that are this solver's, again and again."""
        total = 0
        while True:
            empty = True
            try:
                self.read = 0
                for datum in database.datums(self.kind):
                    self.read, empty = self.read + 1, False
                    if total % self.count == self.rank:
                        yield datum
                    total += 1
            except ValueError as error:
                raise self.error(str(error)) from error
            if empty:
                raise self.error(f"database '{self.param.source}' is empty")
            info("data_layer.cpp:73", "Restarting data prefetching from start.")

    def item(self) -> tuple[np.ndarray, int]:
        """The next datum's picture and label."""
        datum = next(self.datums)
        try:
            return self.decoded(datum), datum.label
        except (OSError, ValueError) as error:
            raise self.error(f"a datum of {self.param.source}: {error}") from error

    def decoded(self, datum: caffe_pb2.Datum) -> np.ndarray:
        """A datum's picture (C, H, W)."""
        transform = self.layer_param.transform_param
        color = True if transform.force_color or self.param.force_encoded_color else None
        try:
            if not datum.encoded:
                return datum_to_array(datum)
            return decode_picture(datum.data, False if transform.force_gray else color)
        except (OSError, ValueError) as error:
            raise self.error(f"{os.fsdecode(self.param.source)}: {error}") from error


@register
class ImageData(PrefetchingData):
    """Pictures and labels that `source` lists, one a line; after the last the first again."""

    size_where = "image_data_layer.cpp:90"

    def open(self) -> None:
        """Read the list of pictures."""
        p = self.param
        if (p.new_height > 0) != (p.new_width > 0):
            raise self.error(
                f"give both new_height and new_width, or neither; got {p.new_height} and "
                f"{p.new_width}"
            )
        source = os.fsdecode(p.source)
        info("image_data_layer.cpp:38", f"Opening file {source}")
        try:
            self.pictures = read_image_list(source)
        except OSError as error:
            raise self.error(f"source, the list of pictures: {error}") from error
        except ValueError as error:
            raise self.error(str(error)) from error
        if not self.pictures:
            raise self.error(f"{source} lists no pictures")
        if p.shuffle:
            info("image_data_layer.cpp:53", "Shuffling data")
        info("image_data_layer.cpp:63", f"A total of {len(self.pictures)} images.")
        self.order = PictureOrder(self, self.random, len(self.pictures))

    def position_state(self):
        return self.order.state()

    def go_to(self, state):
        self.order.go_to(state)

    def item(self) -> tuple[np.ndarray, int]:
        """The next picture of the list and its label."""
        p = self.param
        path, label = self.pictures[self.order.next()]
        picture = self.read_picture(os.fsdecode(p.root_folder) + path, p.is_color)
        return (resize(picture, p.new_height, p.new_width) if p.new_height else picture), label
