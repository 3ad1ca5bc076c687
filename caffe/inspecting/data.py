"""Data and whatever is not Caffe's: databases, pictures, folders, archives."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..files import wire
from ..files.database import Database
from ..proto import caffe_pb2
from . import kinds
from .report import Report, count, listed, size

_LOOKED_AT = 1000  # records of a database


def of_archive(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """Whole, to be unpacked, or cut off, to be had anew."""
    if cut := kinds.is_cut_zip(path):
        report = Report("a zip file that is cut off, as .pth and .npz are, too")
        report.wrong.append("its end is missing, where its contents are listed")
    else:
        report = Report("an archive")
    report.facts["size"] = f"{os.path.getsize(path):,} bytes"
    report.next.append(
        "download or copy it anew" if cut else "unpack it, and inspect what is in it"
    )
    return report


def database(backend: str) -> Callable[[str, Mapping[str, Sequence[int]]], Report]:
    """What reports on a database of that kind."""

    def of_database(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
        name = {"lmdb": "an LMDB", "leveldb": "a LevelDB"}[backend]
        report = Report(f"{name}, as a Data layer reads it")
        opened = Database(backend, path)
        if opened.count is not None:
            report.facts["records"] = f"{opened.count:,}"
        seen = list(itertools.islice(opened.datums(), _LOOKED_AT))
        _describe(seen, report)
        report.next.append(f"caffe compute_image_mean {path} MEAN.binaryproto")
        return report

    return of_database


def _describe(datums: Sequence[Any], report: Report) -> None:
    """Shapes and labels of the first records."""
    if not datums:
        report.wrong.append("it holds no record")
        return
    if len(datums) == _LOOKED_AT:
        report.facts["looked at"] = f"the first {_LOOKED_AT:,}"
    encoded = sum(datum.encoded for datum in datums)
    report.facts["pictures"] = (
        f"encoded, as JPEG or PNG ({encoded} of them)" if encoded else "as they are"
    )
    sizes = Counter((d.channels, d.height, d.width) for d in datums if not d.encoded)
    report.facts["sizes"] = listed(f"{size(shape)} ({n})" for shape, n in sizes.most_common(5))
    labels = Counter(datum.label for datum in datums)
    report.facts["labels"] = f"{min(labels)} to {max(labels)}, {len(labels)} different"
    if len(sizes) > 1:
        report.wrong.append("sizes differ: a batch of several needs a crop_size")
    for i, datum in enumerate(datums):
        wanted = datum.channels * datum.height * datum.width
        given = len(datum.data) or len(datum.float_data)
        if not datum.encoded and given != wanted:
            report.wrong.append(f"record {i}: {given} values for {wanted} of its size")
            break


def of_datum(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """One record."""
    with open(path, "rb") as file:
        datum = caffe_pb2.Datum.FromString(file.read())
    report = Report("a Datum, one record of a database")
    _describe([datum], report)
    return report


def of_onnx(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """A model of ONNX: who wrote it."""
    report = Report("a model in ONNX")
    file = wire.File(path)
    for field in wire.read_fields(file, 0, file.size):
        if field.number == 2 and field.wire == wire.BYTES:
            writer = bytes(file.bytes[field.start : field.end]).decode("utf-8", "replace")
            report.facts["written by"] = writer
    report.next.append(f"onnxruntime.InferenceSession({path!r}) in Python runs it; Caffe does not")
    return report


def of_picture(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """Size and colours."""
    from PIL import Image

    with Image.open(path) as picture:
        report = Report(f"a picture ({picture.format})")
        report.facts["size"] = f"{picture.width} x {picture.height}, {picture.mode}"
        picture.load()
    return report


def of_array(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """One array of NumPy."""
    import numpy as np

    array = np.load(path, mmap_mode="r", allow_pickle=False)
    report = Report("an array of NumPy (.npy)")
    report.facts["shape"], report.facts["type"] = size(array.shape), str(array.dtype)
    return report


def of_folder(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """What of interest lies in a folder."""
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(path)):
        inner = os.path.join(path, name)
        try:
            kind = kinds.kind_of(inner) if os.path.isfile(inner) else "folder"
        except OSError:
            continue
        if kind in _OF_INTEREST:
            found.setdefault(_OF_INTEREST[kind], []).append(name)
    report = Report("a folder" if os.listdir(path) else "an empty folder")
    report.facts |= {word: listed(names) for word, names in found.items()}
    if found:
        first = next(iter(found.values()))[0]
        report.next.append(f"caffe inspect {os.path.join(path, first)}")
    return report


_OF_INTEREST = {
    "net": "nets",
    "solver": "solvers",
    "caffemodel": "weights",
    "hdf5": "HDF5",
    "foreign": "weights of other libraries",
    "solverstate": "solvers' states",
    "mean": "means",
    "log": "logs",
    "onnx": "ONNX",
}


def plain(what: str, *advice: str) -> Callable[[str, Mapping[str, Sequence[int]]], Report]:
    """What reports on a kind of which there is no more to say."""

    def of_plain(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
        report = Report(what, next=list(advice))
        if os.path.isfile(path):
            report.facts["size"] = count(os.path.getsize(path), "byte")
        return report

    return of_plain
