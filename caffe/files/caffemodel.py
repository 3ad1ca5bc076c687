"""Weights in a binary file (.caffemodel).

Values never become Python objects. Reading walks the file's structure, checks it to its end, and
then fills given arrays straight from the file; writing streams the arrays' memory. The bytes are
those of Caffe's Net::ToProto.
"""

from collections.abc import Iterable
from typing import Any

from ..names import as_text
from ..proto import caffe_pb2
from . import wire
from .blob_proto import BinaryBlob, blob_pieces, read_blob, write_pieces
from .paths import Path
from .stored import BlobValues

# field numbers of NetParameter
_NAME, _OLD_LAYERS, _LAYER = 1, 2, 100
# field numbers of the blobs in a layer: LayerParameter, V1LayerParameter, V0LayerParameter
_BLOBS, _V1_BLOBS, _V0_BLOBS = 7, 6, 50
_V0_LAYER = 1  # field number in V1LayerParameter of the V0 layer that it wraps


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
            message = caffe_pb2.LayerParameter()
            layer, blobs, _ = _read_layer(file, field, message, _BLOBS)
            layers.append((as_text(layer.name), blobs))
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
    message: Any,
    blobs_number: int,
    inner_number: int | None = None,
) -> tuple[Any, list[BinaryBlob], wire.Field | None]:
    """(message without blobs, stored blobs, field of an inner layer) of a layer of any format."""
    rest, found, inner = [], [], None
    for part in wire.read_fields(file, field.start, field.end):
        if part.number == blobs_number and part.wire == wire.BYTES:
            found.append(part)
        elif part.number == inner_number and part.wire == wire.BYTES:
            inner = part
        else:
            rest.append(part)
    layer = wire.parse(file, message, rest)
    where = f"{file.path}: layer '{as_text(layer.name)}': blob"
    blobs = [read_blob(file, f.start, f.end, f"{where} {i}") for i, f in enumerate(found)]
    return layer, blobs, inner


def _read_old_layer(
    file: wire.File, field: wire.Field
) -> tuple[str | None, list[BinaryBlob], bool]:
    """(name, blobs, whether it is V0) of a `layers` entry; no name for V0's padding layers."""
    message = caffe_pb2.V1LayerParameter()
    layer, blobs, inner = _read_layer(file, field, message, _V1_BLOBS, _V0_LAYER)
    if inner is None:
        return as_text(layer.name), blobs, False
    layer, blobs, _ = _read_layer(file, inner, caffe_pb2.V0LayerParameter(), _V0_BLOBS)
    return (None if layer.type == "padding" else as_text(layer.name)), blobs, True


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
