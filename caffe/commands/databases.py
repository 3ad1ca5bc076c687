"""Pictures and features in databases (tools/convert_imageset.cpp, compute_image_mean.cpp,
extract_features.cpp)."""

import contextlib
import io
import itertools
import os
import random

import numpy as np
from PIL import Image

from .. import context
from ..files import wire
from ..glog import error, info, warning
from ..io import array_to_datum, datum_to_array
from ..layers.transform import read_picture, resize
from ..net import Net
from ..proto import caffe_pb2
from .flags import Flag, UsageError, at_least, parse

_EVERY = 1000  # records a transaction
_JPEG = ("jpg", "jpeg")


# ---- databases


@contextlib.contextmanager
def writer(backend, path):
    """A function that takes a list of (key, value), for a database to be made at `path`.

    ValueError for an unknown backend or a path that is taken, ImportError without the library.
    """
    if backend not in ("lmdb", "leveldb"):
        raise ValueError(f"unknown database backend '{backend}'; known: lmdb, leveldb")
    if os.path.exists(path):
        raise ValueError(f"{path} is there already: remove it, or choose another name")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"cannot make the database {path}: there is no folder {folder}")
    if backend == "lmdb":
        database = _library("lmdb").open(path, map_size=1 << 28)
        put = _put_lmdb
    else:
        database = _library("plyvel").DB(path, create_if_missing=True)
        put = _put_leveldb
    info(f"db_{backend}.cpp:{35 if backend == 'lmdb' else 18}", f"Opened {backend} {path}")
    with contextlib.closing(database):
        yield lambda records: put(database, records)


def _library(name):
    try:
        return __import__(name)
    except ImportError as error:
        raise ImportError(f"this needs the library {name}: pip install {name}") from error


def _put_lmdb(database, records):
    while True:
        try:
            with database.begin(write=True) as transaction:
                for key, value in records:
                    transaction.put(key, value)
            return
        except _library("lmdb").MapFullError:
            database.set_mapsize(2 * database.info()["map_size"])


def _put_leveldb(database, records):
    with database.write_batch() as batch:
        for key, value in records:
            batch.put(key, value)


def values(backend, path):
    """All values of a database, in the order of their keys. ValueError where it cannot be opened."""
    if backend not in ("lmdb", "leveldb"):
        raise ValueError(f"unknown database backend '{backend}'; known: lmdb, leveldb")
    if not os.path.exists(path):
        raise ValueError(f"there is no database {path}")
    library = _library("lmdb" if backend == "lmdb" else "plyvel")
    try:
        if backend == "lmdb":
            database = library.open(path, readonly=True, lock=False, subdir=os.path.isdir(path))
        else:
            database = library.DB(path, create_if_missing=False)
    except library.Error as error:
        raise ValueError(f"cannot open {backend} {path}: {error}") from error
    info(f"db_{backend}.cpp:{35 if backend == 'lmdb' else 18}", f"Opened {backend} {path}")
    with contextlib.closing(database):
        if backend == "lmdb":
            with database.begin() as transaction:
                yield from transaction.cursor().iternext(keys=False)
        else:
            yield from database.iterator(include_key=False)


# ---- convert_imageset


def convert_imageset(argv):
    """Put the pictures that a list names, with their labels, into a database of Datums."""
    usage = "usage: caffe convert_imageset <flags> ROOT_FOLDER/ LIST_FILE DATABASE"
    flags, paths = parse(
        argv,
        (
            Flag("gray", False, "read pictures as grey ones"),
            Flag("shuffle", False, "shuffle the list"),
            Flag("backend", "lmdb", "lmdb or leveldb"),
            Flag("resize_width", 0, "width to resize to, with -resize_height"),
            Flag("resize_height", 0, "height to resize to, with -resize_width"),
            Flag("check_size", False, "stop if pictures differ in size"),
            Flag("encoded", False, "store the files as they are, encoded"),
            Flag("encode_type", "", "encoding to store, such as png or jpg; implies -encoded"),
        ),
        "convert_imageset",
        usage,
    )
    at_least(paths, 3, usage)
    if (flags.resize_width > 0) != (flags.resize_height > 0):
        raise UsageError("-resize_width and -resize_height go together")
    root, listing, target = paths[:3]
    if flags.encode_type and not flags.encoded:
        info("convert_imageset.cpp:70", "encode_type specified, assuming encoded=true.")
    lines = read_list(listing)
    if flags.shuffle:
        info("convert_imageset.cpp:86", "Shuffling data")
        random.shuffle(lines)
    info("convert_imageset.cpp:89", f"A total of {len(lines)} images.")
    with writer(flags.backend, target) as put:
        done = _store(put, (_record(i, root, line, flags) for i, line in enumerate(lines)), flags)
    if done % _EVERY:
        info("convert_imageset.cpp:153", f"Processed {done} files.")
    if done < len(lines):
        text = f"{len(lines) - done} of {len(lines)} pictures could not be read and are left out"
        warning("convert_imageset.cpp:130", text)
    if not done:
        raise ValueError(f"{target}: no picture of {listing} could be read in folder '{root}'")
    return 0


def read_list(path):
    """(picture, label) a line. ValueError, naming the line, for what is none."""
    pictures = []
    with open(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            name, _, label = line.rstrip().rpartition(" ")
            try:
                pictures.append((name.rstrip(), int(label)))
            except ValueError:
                raise ValueError(
                    f"{path}, line {number}: a path and a whole number are needed, "
                    f"got '{line.rstrip()}'"
                ) from None
    return pictures


def _store(put, records, flags):
    """Write the records that are not None; their number."""
    done, size = 0, None
    records = (record for record in records if record is not None)
    while batch := list(itertools.islice(records, _EVERY)):
        for key, datum in batch:
            size = len(datum.data) if size is None else size
            if flags.check_size and not datum.encoded and len(datum.data) != size:
                raise ValueError(f"{key}: {len(datum.data)} values, the first picture has {size}")
        put([(key.encode(), datum.SerializeToString()) for key, datum in batch])
        done += len(batch)
        if len(batch) == _EVERY:
            info("convert_imageset.cpp:147", f"Processed {done} files.")
    return done


def _record(index, root, line, flags):
    """(key, Datum) of a line of the list; None, with a log line, if the picture cannot be read."""
    name, label = line
    path = root + name
    try:
        datum = _datum(path, flags)
    except OSError:
        error("io.cpp:80", f"Could not open or find file {path}")
        return None
    datum.label = label
    return f"{index:08d}_{name}", datum


def _datum(path, flags):
    encoding = flags.encode_type
    extension = os.path.splitext(path)[1][1:].lower()
    if flags.encoded and not encoding:
        encoding = extension
        if not encoding:
            warning("convert_imageset.cpp:113", f"Failed to guess the encoding of '{path}'")
    size = (flags.resize_height, flags.resize_width)
    picture = read_picture(path, not flags.gray)
    if not encoding:
        return array_to_datum(resize(picture, *size) if size[0] else picture)
    same = extension == encoding.lower() or {extension, encoding.lower()} <= set(_JPEG)
    if same and not size[0] and (read_picture(path).shape[0] == 3) == (not flags.gray):
        with open(path, "rb") as file:
            data = file.read()
    else:
        data = _encode(resize(picture, *size) if size[0] else picture, encoding)
    return caffe_pb2.Datum(data=data, encoded=True)


def _encode(picture, encoding):
    kind = "jpeg" if encoding.lower() in _JPEG else encoding.lower()
    pixels = picture[0] if len(picture) == 1 else picture[::-1].transpose(1, 2, 0)
    file = io.BytesIO()
    try:
        # 95: OpenCV's quality
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, kind, quality=95)
    except KeyError:
        raise ValueError(f"-encode_type {encoding}: Pillow writes no such files") from None
    return file.getvalue()


# ---- compute_image_mean


def compute_image_mean(argv):
    """The mean of a database's pictures, as a binaryproto where a file is named; log channel means."""
    usage = "usage: caffe compute_image_mean <flags> DATABASE [MEAN_FILE]"
    flags, paths = parse(
        argv, (Flag("backend", "lmdb", "lmdb or leveldb"),), "compute_image_mean", usage
    )
    if not 1 <= len(paths) <= 2:
        raise UsageError(f"takes one or two arguments, got {len(paths)}; {usage}")
    mean, count = _mean(paths[0], values(flags.backend, paths[0]))
    if count % 10000:
        info("compute_image_mean.cpp:101", f"Processed {count} files.")
    if len(paths) == 2:
        info("compute_image_mean.cpp:108", f"Write to {paths[1]}")
        channels, height, width = mean.shape
        # the shape as old files state it: every Caffe reads that
        proto = caffe_pb2.BlobProto(num=1, channels=channels, height=height, width=width)
        proto.data.extend(mean.ravel())
        with wire.replacing(paths[1]) as temporary, open(temporary, "wb") as file:
            file.write(proto.SerializeToString())
    info("compute_image_mean.cpp:114", f"Number of channels: {len(mean)}")
    for i, channel in enumerate(mean):
        info("compute_image_mean.cpp:119", f"mean_value channel [{i}]: {channel.mean():g}")
    return 0


def _mean(path, records):
    total, count = None, 0
    for record in records:
        datum = caffe_pb2.Datum.FromString(record)
        if total is None and datum.encoded:
            info("compute_image_mean.cpp:59", "Decoding Datum")
        picture = read_picture(datum.data) if datum.encoded else datum_to_array(datum)
        if total is None:
            info("compute_image_mean.cpp:71", "Starting iteration")
            total = np.zeros(picture.shape)
        if picture.shape != total.shape:
            raise ValueError(
                f"{path}: record {count} has shape {list(picture.shape)}, the first "
                f"{list(total.shape)}: resize the pictures (convert_imageset -resize_height ...)"
            )
        total += picture
        count += 1
        if count % 10000 == 0:
            info("compute_image_mean.cpp:95", f"Processed {count} files.")
    if not count:
        raise ValueError(f"{path}: the database is empty")
    return total / count, count


# ---- extract_features


def extract_features(argv):
    """Run a net's TEST phase and put blobs of it, one Datum a picture, into databases."""
    usage = (
        "usage: caffe extract_features WEIGHTS NET BLOB[,BLOB...] DATABASE[,DATABASE...] BATCHES "
        "BACKEND [CPU|GPU] [DEVICE_ID=0]"
    )
    _, others = parse(argv, (), "extract_features", usage)
    at_least(others, 6, usage)
    weights, model, blobs, targets, batches, backend = others[:6]
    blobs, targets = blobs.split(","), targets.split(",")
    if len(blobs) != len(targets):
        raise UsageError(f"{len(blobs)} blobs and {len(targets)} databases: as many are needed")
    if not batches.isdecimal():
        raise UsageError(f"the number of batches is a whole number, got '{batches}'")
    _choose_device(others[6:])
    net = Net(model, caffe_pb2.TEST, weights=weights)
    for name in blobs:
        if name not in net.blobs:
            raise ValueError(f"{model}: no blob '{name}'; it has {', '.join(net.blobs)}")
    with contextlib.ExitStack() as stack:
        puts = []
        for target in targets:
            info("extract_features.cpp:128", f"Opening dataset {target}")
            puts.append(stack.enter_context(writer(backend, target)))
        error("extract_features.cpp:135", "Extracting Features")
        _extract(net, dict(zip(blobs, puts)), int(batches))
    error("extract_features.cpp:187", "Successfully extracted the features!")
    return 0


def _choose_device(others):
    if not others or others[0] != "GPU":
        error("extract_features.cpp:65", "Using CPU")
        context.set_mode_cpu()
        return
    device = int(others[1]) if len(others) > 1 else 0
    error("extract_features.cpp:55", "Using GPU")
    error("extract_features.cpp:61", f"Using Device_id={device}")
    context.set_device(device)
    context.set_mode_gpu()


def _extract(net, puts, batches):
    counts, pending = dict.fromkeys(puts, 0), {name: [] for name in puts}

    def flush(name):
        puts[name](pending[name])
        pending[name].clear()
        text = f"Extracted features of {counts[name]} query images for feature blob {name}"
        error("extract_features.cpp:175", text)

    for _ in range(batches):
        net._forward(0, len(net.layers) - 1)
        for name in puts:
            blob = net.blobs[name]
            _, channels, height, width = blob.legacy_shape()
            for row in blob.data.reshape(-1, channels * height * width):
                datum = caffe_pb2.Datum(channels=channels, height=height, width=width)
                datum.float_data.extend(row)
                pending[name].append((f"{counts[name]:010d}".encode(), datum.SerializeToString()))
                counts[name] += 1
                if counts[name] % _EVERY == 0:
                    flush(name)
    for name in puts:
        if pending[name]:
            flush(name)
