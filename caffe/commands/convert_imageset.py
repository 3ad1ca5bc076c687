"""`caffe convert_imageset`: listed pictures to a database (tools/convert_imageset.cpp)."""

import io
import itertools
import os
import random
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace

import numpy as np
from PIL import Image

from ..files import database
from ..files.image_list import read_image_list
from ..glog import error, info, warning
from ..io import array_to_datum
from ..proto import caffe_pb2
from .flags import Flag, UsageError, parse, require_arguments

USAGE = "usage: caffe convert_imageset <flags> ROOT_FOLDER/ LIST_FILE DATABASE"
FLAGS = (
    Flag("gray", False, "read pictures as grey ones"),
    Flag("shuffle", False, "shuffle the list"),
    Flag("backend", "lmdb", "lmdb or leveldb"),
    Flag("resize_width", 0, "width to resize to, with -resize_height"),
    Flag("resize_height", 0, "height to resize to, with -resize_width"),
    Flag("check_size", False, "stop if pictures differ in size"),
    Flag("encoded", False, "store the files as they are, encoded"),
    Flag("encode_type", "", "encoding to store, such as png or jpg; implies -encoded"),
)
_BATCH = 1000  # records a transaction, and between two log lines
_JPEG = ("jpg", "jpeg")


def convert_imageset(argv: Sequence[str]) -> int:
    """Put the pictures that a list names, with their labels, into a database of Datums."""
    flags, paths = parse(argv, FLAGS, "convert_imageset", USAGE)
    require_arguments(paths, 3, USAGE)
    if (flags.resize_width > 0) != (flags.resize_height > 0):
        raise UsageError("-resize_width and -resize_height go together")
    root, listing, target = paths[:3]
    if flags.encode_type and not flags.encoded:
        info("convert_imageset.cpp:70", "encode_type specified, assuming encoded=true.")
    pictures = read_image_list(listing)
    if flags.shuffle:
        info("convert_imageset.cpp:86", "Shuffling data")
        random.shuffle(pictures)
    info("convert_imageset.cpp:89", f"A total of {len(pictures)} images.")
    found = (_record(i, root, *picture, flags) for i, picture in enumerate(pictures))
    with database.create(flags.backend, target) as put:
        done = _store(put, (record for record in found if record), flags.check_size)
        if not done:
            text = f"{target}: no picture of {listing} could be read in folder '{root}'"
            raise ValueError(text)
    if done % _BATCH:
        info("convert_imageset.cpp:153", f"Processed {done} files.")
    if done < len(pictures):
        missing = f"{len(pictures) - done} of {len(pictures)} pictures"
        warning("convert_imageset.cpp:130", f"{missing} could not be read and are left out")
    return 0


def _store(
    put: Callable[[Iterable[database.Record]], None],
    records: Iterable[tuple[str, caffe_pb2.Datum]],
    check_size: bool,
) -> int:
    """Write (key, Datum) records; returns their number."""
    done, size, records = 0, None, iter(records)
    while batch := list(itertools.islice(records, _BATCH)):
        for key, datum in batch:
            size = len(datum.data) if size is None else size
            if check_size and not datum.encoded and len(datum.data) != size:
                raise ValueError(f"{key}: {len(datum.data)} values, the first picture has {size}")
        put([(os.fsencode(key), datum.SerializeToString()) for key, datum in batch])
        done += len(batch)
        if len(batch) == _BATCH:
            info("convert_imageset.cpp:147", f"Processed {done} files.")
    return done


def _record(
    index: int, root: str, name: str, label: int, flags: SimpleNamespace
) -> tuple[str, caffe_pb2.Datum] | None:
    """(key, Datum) of a listed picture; None, with a log line, if it cannot be read."""
    try:
        datum = _datum(root + name, flags)
    except OSError:
        error("io.cpp:80", f"Could not open or find file {root}{name}")
        return None
    datum.label = label
    return f"{index:08d}_{name}", datum


def _datum(path: str, flags: SimpleNamespace) -> caffe_pb2.Datum:
    """A picture as the flags ask for it: its pixels, or encoded.

    The file itself is stored if it has the encoding, the size and the colours that are asked for.
    """
    from ..layers.transform import read_picture, resize

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


def _encode(picture: np.ndarray, encoding: str) -> bytes:
    kind = "jpeg" if encoding.lower() in _JPEG else encoding.lower()
    pixels = picture[0] if len(picture) == 1 else picture[::-1].transpose(1, 2, 0)
    file = io.BytesIO()
    try:
        # 95: OpenCV's quality
        Image.fromarray(np.ascontiguousarray(pixels)).save(file, kind, quality=95)
    except KeyError:
        raise ValueError(f"-encode_type {encoding}: Pillow writes no such files") from None
    return file.getvalue()
