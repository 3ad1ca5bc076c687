"""`caffe compute_image_mean`: the mean picture of a database (tools/compute_image_mean.cpp)."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..files.database import Database
from ..files.paths import write_bytes
from ..glog import info
from ..io import datum_to_array
from ..proto import caffe_pb2
from .flags import Flag, UsageError, parse

USAGE = "usage: caffe compute_image_mean <flags> DATABASE [MEAN_FILE]"
FLAGS = (Flag("backend", "lmdb", "lmdb or leveldb"),)
_BATCH = 10000  # records between two log lines


def compute_image_mean(argv: Sequence[str]) -> int:
    """The mean of a database's pictures, as a binaryproto where a file is named; log channel means."""
    flags, paths = parse(argv, FLAGS, "compute_image_mean", USAGE)
    if not 1 <= len(paths) <= 2:
        raise UsageError(f"takes one or two arguments, got {len(paths)}; {USAGE}")
    mean, count = _mean(paths[0], Database(flags.backend, paths[0]).datums())
    if count % _BATCH:
        info("compute_image_mean.cpp:101", f"Processed {count} files.")
    if len(paths) == 2:
        info("compute_image_mean.cpp:108", f"Write to {paths[1]}")
        channels, height, width = mean.shape
        # the legacy shape, which every version of Caffe reads
        proto = caffe_pb2.BlobProto(num=1, channels=channels, height=height, width=width)
        proto.data.extend(mean.ravel())
        write_bytes(paths[1], proto.SerializeToString())
    info("compute_image_mean.cpp:114", f"Number of channels: {len(mean)}")
    for i, channel in enumerate(mean):
        info("compute_image_mean.cpp:119", f"mean_value channel [{i}]: {channel.mean():g}")
    return 0


def _mean(path: str, datums: Iterable[caffe_pb2.Datum]) -> tuple[np.ndarray, int]:
    """(mean picture, number of pictures) of Datums; ValueError for unequal shapes."""
    from ..layers.transform import decode_picture

    total, count = None, 0
    for datum in datums:
        if total is None and datum.encoded:
            info("compute_image_mean.cpp:59", "Decoding Datum")
        try:
            picture = decode_picture(datum.data) if datum.encoded else datum_to_array(datum)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: record {count}: {error}") from error
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
        if count % _BATCH == 0:
            info("compute_image_mean.cpp:95", f"Processed {count} files.")
    if total is None:
        raise ValueError(f"{path}: the database is empty")
    return total / count, count
