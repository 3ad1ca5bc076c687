"""Layers that read pictures from files: Data, ImageData
(src/caffe/layers/base_data_layer.cpp, data_layer.cpp, image_data_layer.cpp)."""

import os
import random
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from .. import context
from ..glog import info
from ..io import datum_to_array
from ..layer import Layer, register
from ..proto import caffe_pb2
from .transform import DataTransformer, read_picture, resize

# A process may open an LMDB only once, while a training and a test net may well read the same one
_environments = weakref.WeakValueDictionary()


class Source(Layer):
    """Batches of pictures (N, C, H, W) and, for a second top, of labels (N).

    While a batch is computed on, the next one is read on a thread. What is drawn at random comes
    from a generator of the layer's own, so that one seed gives one order of pictures.
    """

    num_bottom, num_top = 0, (1, 2)
    size_where = "data_layer.cpp:45"  # where Caffe logs the size of a batch

    def setup(self, bottom, top):
        seed = torch.empty((), dtype=torch.int64).random_(generator=context.generator(context.CPU))
        self.random = random.Random(int(seed))
        if self.batch_size < 1:
            raise self.error("batch_size must be given, and above 0")
        self.transform = DataTransformer(self, self.random)
        self.open()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        self.upcoming = self.thread.submit(self.batch)
        arrays = self.upcoming.result()
        for blob, array in zip(top, arrays):
            blob.set_shape(array.shape)
        info(self.size_where, f"output data size: {','.join(map(str, arrays[0].shape))}")

    @property
    def batch_size(self) -> int:
        return self.param.batch_size

    def open(self):
        """Look at the files, once."""
        raise NotImplementedError

    def item(self):
        """The next picture (C, H, W), as read, and its label."""
        raise NotImplementedError

    def batch(self):
        """The next batch: pictures (N, C, H, W) and labels (N), float32."""
        labels = np.empty(self.batch_size, np.float32)
        pictures = None
        for i in range(self.batch_size):
            picture, labels[i] = self.item()
            picture = self.transform(picture)
            if pictures is None:
                pictures = np.empty((self.batch_size, *picture.shape), np.float32)
            if picture.shape != pictures.shape[1:]:
                raise self.error(
                    f"pictures of one batch must have one shape, got {list(pictures.shape[1:])} "
                    f"and {list(picture.shape)}; give crop_size or resize them, or choose "
                    "batch_size 1"
                )
            pictures[i] = picture
        return pictures, labels

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        arrays = self.upcoming.result()
        self.upcoming = self.thread.submit(self.batch)
        for blob, array in zip(top, arrays):
            blob.set_shape(array.shape)
            if context.is_apart():
                blob.data[...] = array  # the host's side, from where the copy waits for nothing
            else:
                blob.x = torch.from_numpy(array).to(blob.x.dtype)

    def backward(self, top, propagate_down, bottom):
        pass


@register
class Data(Source):
    """Datums from an LMDB or LevelDB, in the order of their keys, round and round."""

    def open(self):
        p = self.param
        if not os.path.exists(p.source):
            raise self.error(f"there is no database '{p.source}'")
        if p.backend == p.LMDB:
            self.values = self.lmdb_values()
        else:
            self.values = self.leveldb_values()
        for _ in range(self.random.randrange(p.rand_skip) if p.rand_skip else 0):
            next(self.values)

    def lmdb_values(self):
        import lmdb

        path = os.path.realpath(self.param.source)
        environment = _environments.get(path)
        if environment is None:
            try:
                environment = lmdb.open(path, readonly=True, lock=False, subdir=os.path.isdir(path))
            except lmdb.Error as error:
                raise self.error(f"cannot open LMDB: {error}") from error
            _environments[path] = environment
        info("db_lmdb.cpp:35", f"Opened lmdb {self.param.source}")

        def values():
            with environment.begin(buffers=False) as transaction:
                yield from transaction.cursor().iternext(keys=False)

        return self.around(values)

    def leveldb_values(self):
        try:
            import plyvel
        except ImportError as error:
            raise self.error(
                "reading LevelDB (the default backend) needs plyvel: pip install plyvel, or state "
                "backend: LMDB if that is what it is"
            ) from error
        try:
            database = plyvel.DB(self.param.source, create_if_missing=False)
        except plyvel.Error as error:
            raise self.error(f"cannot open LevelDB: {error}") from error
        info("db_leveldb.cpp:18", f"Opened leveldb {self.param.source}")
        return self.around(lambda: database.iterator(include_key=False))

    def around(self, values):
        """All values, again and again."""
        while True:
            empty = True
            for value in values():
                empty = False
                yield value
            if empty:
                raise self.error(f"database '{self.param.source}' is empty")
            info("data_layer.cpp:73", "Restarting data prefetching from start.")

    def item(self):
        datum = caffe_pb2.Datum.FromString(next(self.values))
        if not datum.encoded:
            return datum_to_array(datum), datum.label
        transform = self.layer_param.transform_param
        color = True if transform.force_color or self.param.force_encoded_color else None
        return read_picture(datum.data, False if transform.force_gray else color), datum.label


@register
class ImageData(Source):
    """Pictures that the lines of `source` name, each followed by its label, round and round."""

    size_where = "image_data_layer.cpp:90"

    def open(self):
        p = self.param
        if (p.new_height > 0) != (p.new_width > 0):
            raise self.error(
                f"give both new_height and new_width, or neither; got {p.new_height} and "
                f"{p.new_width}"
            )
        info("image_data_layer.cpp:38", f"Opening file {p.source}")
        self.lines = list(self.read_lines())
        if not self.lines:
            raise self.error(f"{p.source} lists no pictures")
        if p.shuffle:
            info("image_data_layer.cpp:53", "Shuffling data")
            self.random.shuffle(self.lines)
        info("image_data_layer.cpp:63", f"A total of {len(self.lines)} images.")
        self.position = self.random.randrange(p.rand_skip) if p.rand_skip else 0
        if self.position >= len(self.lines):
            raise self.error(f"rand_skip {p.rand_skip} skips all {len(self.lines)} pictures")

    def read_lines(self):
        try:
            with open(self.param.source) as file:
                for number, line in enumerate(file, 1):
                    if not line.strip():
                        continue
                    path, _, label = line.rstrip().rpartition(" ")
                    try:
                        yield path, int(label)
                    except ValueError as error:
                        raise self.error(
                            f"{self.param.source}, line {number}: a path and a whole number are "
                            f"needed, got '{line.rstrip()}'"
                        ) from error
        except OSError as error:
            raise self.error(f"source, the list of pictures: {error}") from error

    def item(self):
        path, label = self.lines[self.position]
        self.position += 1
        if self.position == len(self.lines):
            self.position = 0
            if self.param.shuffle:
                self.random.shuffle(self.lines)
        return self.read(path), label

    def read(self, path):
        p = self.param
        try:
            picture = read_picture(p.root_folder + path, p.is_color)
        except OSError as error:
            raise self.error(f"cannot read picture {p.root_folder + path}: {error}") from error
        return resize(picture, p.new_height, p.new_width) if p.new_height else picture
