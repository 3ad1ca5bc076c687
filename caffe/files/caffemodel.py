"""Weights in a binary file (.caffemodel).

Values never become Python objects. Reading walks the file's structure, checks it to its end, and
then fills given arrays straight from the file; writing streams the arrays' memory. The bytes are
those of Caffe's Net::ToProto.

Of a layer only its name and its blobs are read. Its settings have numbers that forks of Caffe gave
to different things: no such field can make a file unreadable.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError

from ..glog import warning
from ..proto import caffe_pb2
from . import wire
from .blob_proto import BinaryBlob, blob_pieces, read_blob, write_pieces
from .paths import Path
from .stored import BlobValues

# field numbers of NetParameter; LayerParameter and V0LayerParameter have `name` at 1 as well
_NAME, _OLD_LAYERS, _LAYER = 1, 2, 100
# field numbers of the blobs in a layer: LayerParameter, V1LayerParameter, V0LayerParameter
_BLOBS, _V1_BLOBS, _V0_BLOBS = 7, 6, 50
_V0_LAYER, _V1_NAME, _V0_TYPE = 1, 4, 2  # in V1LayerParameter, and in the V0 layer that it wraps


# -- reading --


def read_weights(path: Path) -> list[tuple[str, list[BinaryBlob]]]:
    """(layer name, its stored blobs) in file order, from a caffemodel of any age; [] if empty.

    RuntimeError if the file cannot be opened. ValueError (file, byte, reason) if any part of it is
    damaged: the whole structure is checked before anything can be loaded.
    """
    file = wire.File(path)
    layers, old, rest = [], [], []
    for field in wire.read_fields(file, 0, file.size):
        if field.number == _NAME and field.wire == wire.VARINT:
            raise ValueError(f"{path}: this is a solver state; its weights are in a .caffemodel")
        if field.number == _LAYER and field.wire == wire.BYTES:
            name, blobs, _ = _read_layer(file, field, _NAME, _BLOBS)
            layers.append((name, blobs))
        elif field.number == _OLD_LAYERS and field.wire == wire.BYTES:
            old.append(_read_old_layer(file, field))
        else:
            rest.append(field)
    wire.parse(file, caffe_pb2.NetParameter(), rest)
    if layers and old:
        raise ValueError(f"{path}: both 'layer' and 'layers' (the old format) in one net")
    any_v0 = any(is_v0 for _, _, is_v0 in old)
    # In a V0 net Caffe's upgrade keeps nothing but the connections of layers in another format.
    kept = [(name, blobs) for name, blobs, is_v0 in old if name is not None and is_v0 == any_v0]
    return layers or kept


def _read_layer(
    file: wire.File,
    field: wire.Field,
    name_number: int,
    blobs_number: int,
) -> tuple[str, list[BinaryBlob], dict[int, wire.Field]]:
    """(name, stored blobs, the other fields by their numbers) of a layer of any format."""
    found, others = [], {}
    for part in wire.read_fields(file, field.start, field.end):
        if part.number == blobs_number and part.wire == wire.BYTES:
            found.append(part)
        else:
            others[part.number] = part
    name = wire.text(file, others.get(name_number))
    where = f"{file.path}: layer '{name}': blob"
    return (
        name,
        [read_blob(file, f.start, f.end, f"{where} {i}") for i, f in enumerate(found)],
        others,
    )


def _read_old_layer(
    file: wire.File, field: wire.Field
) -> tuple[str | None, list[BinaryBlob], bool]:
    """(name, blobs, whether it is V0) of a `layers` entry; no name for V0's padding layers."""
    name, blobs, others = _read_layer(file, field, _V1_NAME, _V1_BLOBS)
    inner = others.get(_V0_LAYER)
    if inner is None or inner.wire != wire.BYTES:
        return name, blobs, False
    name, blobs, others = _read_layer(file, inner, _NAME, _V0_BLOBS)
    padding = wire.text(file, others.get(_V0_TYPE)) == "padding"
    return (None if padding else name), blobs, True


def read_net_without_strange_fields(path: Path) -> caffe_pb2.NetParameter:
    """The net of a caffemodel with a fork's fields that cannot be read by Caffe's schema left out.

    A warning names them. ValueError if the file is damaged.
    """
    file = wire.File(path)
    net, left_out = caffe_pb2.NetParameter(), set()
    kinds: dict[int, Any] = {_LAYER: net.layer, _OLD_LAYERS: net.layers}
    for field in wire.read_fields(file, 0, file.size):
        if field.number not in kinds:
            net.MergeFrom(wire.parse(file, net, [field]))
            continue
        layer = kinds[field.number].add()
        for part in wire.read_fields(file, field.start, field.end):
            try:
                layer.MergeFromString(bytes(file.bytes[part.tag : part.end]))
            except DecodeError:
                left_out.add(part.number)
    warning(
        "upgrade_proto.cpp:0",
        f"{path}: fields {', '.join(map(str, sorted(left_out)))} of layers mean something else in "
        "the fork of Caffe that wrote the file, and are left out",
    )
    return net


# -- writing --


def write_weights(
    path: Path, name: str, layers: Iterable[tuple[Any, Iterable[BlobValues | tuple]]]
) -> None:
    """Write a caffemodel as Caffe does, whole or not at all.

    layers: (LayerParameter without blobs, its blobs' values) in order. FileNotFoundError for a
    missing folder, ValueError beyond 2 GiB.
    """
    pieces: list[wire.Piece] = [wire.bytes_field(_NAME, name.encode("utf-8"))]
    for layer, blobs in layers:
        inner = _layer_pieces(layer, blobs)
        pieces += [wire.field_header(_LAYER, wire.byte_count(inner)), *inner]
    write_pieces(path, pieces)


def _layer_pieces(layer: Any, blobs: Iterable[BlobValues | tuple]) -> list[wire.Piece]:
    """A layer's bytes: its fields in the order of their numbers, the blobs among them."""
    before, after = caffe_pb2.LayerParameter(), caffe_pb2.LayerParameter()
    before.CopyFrom(layer)
    after.CopyFrom(layer)
    before.DiscardUnknownFields()
    for field in layer.DESCRIPTOR.fields:
        if field.number <= _BLOBS:
            after.ClearField(field.name)
        if field.number >= _BLOBS:
            before.ClearField(field.name)
    pieces: list[wire.Piece] = [before.SerializeToString()]
    for blob in blobs:
        inner = blob_pieces(blob)
        pieces += [wire.field_header(_BLOBS, wire.byte_count(inner)), *inner]
    return [*pieces, after.SerializeToString()]
