"""Which layers a caffemodel holds, read without its values: a file of half a gigabyte in no time."""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from fcn.doctor.case import Case

Outputs: TypeAlias = Mapping[str, int]  # layer with parameters -> its outputs

# Numbers of fields in caffe.proto: (layers in NetParameter, a layer's name, its blobs)
FORMS = ((100, 1, 7), (2, 4, 6))  # today's layers, those of 2014
SHAPE, DIM, NUM = 7, 1, 1  # in BlobProto and BlobShape; NUM is the first axis of 2014
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


class Field(NamedTuple):
    """A field of a message: a number, or where its bytes begin and end."""

    number: int
    value: int
    begin: int
    end: int


def outputs_of_layers(file: Path) -> Mapping[str, int]:
    """The layers with parameters in a caffemodel, with the first axis of their weights.

    {} for a file that is no binary NetParameter, such as HDF5.
    """
    found = {}
    try:
        with (
            open(file, "rb") as content,
            mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            for field in fields(data, 0, len(data)):
                for layers, name, blobs in FORMS:
                    if field.number == layers and field.end:
                        found.update(layer(data, field, name, blobs))
    except (OSError, ValueError, IndexError, UnicodeDecodeError):
        return {}
    return found


def layer(data: mmap.mmap, message: Field, name: int, blobs: int) -> dict[str, int]:
    """{name: first axis of its weights} of one layer; {} without parameters."""
    title, first = "", None
    for field in fields(data, message.begin, message.end):
        if field.number == name and field.end:
            title = data[field.begin : field.end].decode()
        elif field.number == blobs and first is None and field.end:
            first = axis(data, field)
    return {} if first is None else {title: first}


def axis(data: mmap.mmap, blob: Field) -> int:
    """The first axis of a stored array; 0 if it states no shape."""
    num = 0
    for field in fields(data, blob.begin, blob.end):
        if field.number == SHAPE and field.end:
            for dim in fields(data, field.begin, field.end):
                if dim.number == DIM:
                    return varint(data, dim.begin)[0] if dim.end else dim.value
        elif field.number == NUM and not field.end:
            num = field.value
    return num


def fields(data: mmap.mmap, begin: int, end: int) -> Iterator[Field]:
    """The fields of a message in `data`; ValueError where it is none."""
    while begin < end:
        key, begin = varint(data, begin)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, begin = varint(data, begin)
            yield Field(number, value, 0, 0)
        elif kind == BYTES:
            length, begin = varint(data, begin)
            if begin + length > end:
                raise ValueError("cut short")
            yield Field(number, 0, begin, begin + length)
            begin += length
        elif kind in (FIXED32, FIXED64):
            begin += 4 if kind == FIXED32 else 8
        else:
            raise ValueError(f"no wire type {kind}")


def varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A number of protobuf's variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("no varint")


def layers_in(case: Case, file: Path) -> Outputs:
    """The layers with parameters in a caffemodel; read once for a case."""
    key = ("layers", file)
    if key not in case.surveys:
        case.surveys[key] = outputs_of_layers(file)
    return case.surveys[key]
