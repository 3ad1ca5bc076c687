"""Nets, solvers and blobs read from files of any age.

All functions raise RuntimeError if the file cannot be opened, and ValueError if its content is not
what was asked for: file:line:column and the reason for text.
"""

import os
from typing import Any

from google.protobuf.message import DecodeError

from ..proto import caffe_pb2
from .caffemodel import read_net_without_strange_fields
from .paths import Path, read_bytes
from .prototxt import parse_text
from .upgrade import upgrade_net, upgrade_snapshot_prefix, upgrade_solver
from .wire import looks_like

_KINDS = {"NetParameter": "binary net (.caffemodel)", "BlobProto": "blob (.binaryproto)"}


def read_net(path: Path, lenient: bool = False) -> caffe_pb2.NetParameter:
    """The net of a .prototxt, in the current format.

    If `lenient`, a layer's fields that the schema lacks stand in its `unread`, and whoever uses the
    layer raises the error: other layers, and other phases, are not concerned.
    """
    param = parse_file(path, caffe_pb2.NetParameter(), lenient)
    unsized = [] if param.input_shape or param.input_dim else list(param.input)
    upgrade_net(param, str(path))
    if lenient:
        _check_inputs(param, unsized, path)
    return param


def _check_inputs(param: caffe_pb2.NetParameter, unsized: list[str], path: Path) -> None:
    """ValueError for an input without a size, which is no blob, that a layer reads."""
    tops = {top for layer in param.layer for top in layer.top}
    for layer in param.layer:
        for blob in set(unsized).difference(tops).intersection(layer.bottom):
            raise ValueError(
                f"{path}: input '{blob}', which layer '{layer.name}' reads, has no size: state "
                "input_shape { dim: 1 dim: 3 dim: HEIGHT dim: WIDTH } behind it"
            )


def read_net_binary(path: Path) -> caffe_pb2.NetParameter:
    """The net of a .caffemodel, weights included, in the current format."""
    return upgrade_net(parse_binary(path, caffe_pb2.NetParameter()), str(path))


def read_solver(path: Path) -> caffe_pb2.SolverParameter:
    """The settings of a solver.prototxt, in the current format, with snapshot_prefix filled in."""
    param = parse_file(path, caffe_pb2.SolverParameter(), lenient=True)
    return upgrade_snapshot_prefix(upgrade_solver(param, str(path)), os.fspath(path))


def read_blob_proto(path: Path) -> caffe_pb2.BlobProto:
    """The blob of a .binaryproto, such as a mean picture."""
    return parse_binary(path, caffe_pb2.BlobProto())


def parse_file(path: Path, message: Any, lenient: bool = False) -> Any:
    """`message` filled from a text file, without any upgrade; `lenient` as in read_net."""
    data = read_bytes(path)
    if b"\0" in data:
        hint = looks_like(data[:512]) or "; weights by mistake?"
        raise ValueError(f"{path}: binary data where a prototxt (text) is expected{hint}")
    return parse_text(data, message, str(path), lenient)


def parse_binary(path: Path, message: Any) -> Any:
    """`message` filled from a binary file, without any upgrade."""
    data = read_bytes(path)
    try:
        message.ParseFromString(data)
    except DecodeError:
        if isinstance(message, caffe_pb2.NetParameter):
            try:
                message.CopyFrom(read_net_without_strange_fields(path))
                return message
            except ValueError:
                pass  # damaged, or no net at all
        kind = _KINDS.get(message.DESCRIPTOR.name, message.DESCRIPTOR.name)
        hint = looks_like(data)
        raise ValueError(f"{path}: no {kind} of Caffe's, or a damaged one{hint}") from None
    return message
