"""Reading nets and solvers from files, upgraded from whatever format they are in."""

import os

from google.protobuf.message import DecodeError

from caffe.files.prototxt import parse_text
from caffe.files.upgrade import upgrade_net, upgrade_snapshot_prefix, upgrade_solver
from caffe.proto import caffe_pb2


def read_net(path) -> caffe_pb2.NetParameter:
    """The net of a .prototxt, in today's format.

    RuntimeError if the file cannot be opened, ValueError (file:line:column, what) if it is no net.
    """
    return upgrade_net(parse_file(path, caffe_pb2.NetParameter()), str(path))


def read_net_binary(path) -> caffe_pb2.NetParameter:
    """The net of a .caffemodel, weights included, in today's format; errors as read_net."""
    return upgrade_net(parse_binary(path, caffe_pb2.NetParameter()), str(path))


def read_solver(path) -> caffe_pb2.SolverParameter:
    """The settings of a solver.prototxt, in today's terms, snapshot_prefix filled in.

    Errors as read_net.
    """
    param = parse_file(path, caffe_pb2.SolverParameter())
    return upgrade_snapshot_prefix(upgrade_solver(param, str(path)), os.fspath(path))


def parse_file(path, message):
    """`message` filled from a text file, as it stands there; errors as read_net."""
    data = _contents(path)
    if b"\0" in data:
        raise ValueError(
            f"{path}: binary data where a prototxt (text) is expected; weights by mistake?"
        )
    return parse_text(data, message, str(path))


def parse_binary(path, message):
    """`message` filled from a binary file, as it stands there; errors as read_net."""
    try:
        message.ParseFromString(_contents(path))
    except DecodeError as error:
        kind = message.DESCRIPTOR.name.removesuffix("Parameter").lower()
        raise ValueError(f"{path}: no binary {kind}, or a damaged one ({error})") from None
    return message


def _contents(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        why = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror})"
        raise RuntimeError(f"Could not open file {path}{why}") from None
