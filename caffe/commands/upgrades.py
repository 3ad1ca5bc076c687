"""Files of older formats brought up to date (tools/upgrade_*_proto_*.cpp)."""

import re

from google.protobuf import text_format

from ..files import read, upgrade, wire
from ..glog import error, info
from ..proto import caffe_pb2
from .flags import UsageError, parse

_NET = "NetParameter"
_SOLVER = "SolverParameter"


def upgrade_net_proto_text(argv):
    """A net's prototxt; exit code 1 if settings were lost, those foreign to their V0 layer."""
    source, target = _paths(argv, "upgrade_net_proto_text")
    net = read.parse_file(source, caffe_pb2.NetParameter())
    complete = _upgrade_net(net, source, "upgrade_net_proto_text.cpp", "prototxt")
    _write(target, _text(net))
    info("upgrade_net_proto_text.cpp:49", f"Wrote upgraded {_NET} text proto to {target}")
    return 0 if complete else 1


def upgrade_net_proto_binary(argv):
    """A net's caffemodel; exit code as upgrade_net_proto_text's."""
    source, target = _paths(argv, "upgrade_net_proto_binary")
    net = read.parse_binary(source, caffe_pb2.NetParameter())
    complete = _upgrade_net(net, source, "upgrade_net_proto_binary.cpp", "proto")
    _write(target, net.SerializeToString())
    info("upgrade_net_proto_binary.cpp:46", f"Wrote upgraded {_NET} binary proto to {target}")
    return 0 if complete else 1


def upgrade_solver_proto_text(argv):
    """A solver's prototxt: solver_type becomes type."""
    source, target = _paths(argv, "upgrade_solver_proto_text")
    solver = read.parse_file(source, caffe_pb2.SolverParameter())
    if solver.HasField("solver_type"):
        upgrade.upgrade_solver(solver, source)
    else:
        text = f"Solver already in latest proto format: {source}"
        error("upgrade_solver_proto_text.cpp:42", text)
    _write(target, _text(solver))
    info("upgrade_solver_proto_text.cpp:48", f"Wrote upgraded {_SOLVER} text proto to {target}")
    return 0


def _paths(argv, command):
    usage = f"usage: caffe {command} OLD_FILE NEW_FILE"
    _, paths = parse(argv, (), command, usage)
    if len(paths) != 2:
        raise UsageError(f"takes two files, got {len(paths)}; {usage}")
    return paths


def _text(message):
    """As C++ prints a message: a float of 1 as 1, where Python's printer says 1.0."""
    text = text_format.MessageToString(message)
    return re.sub(r"(: -?\d+)\.0$", r"\1", text, flags=re.MULTILINE).encode()


def _upgrade_net(net, source, tool, kind):
    """Upgrade in place; whether nothing was lost."""
    before = caffe_pb2.NetParameter()
    before.CopyFrom(net)
    complete = not any(_is_foreign(layer.layer) for layer in net.layers)
    upgrade.upgrade_net(net, source)
    if net == before:
        error(f"{tool}:43", f"File already in latest proto format: {source}")
    if not complete:
        error(f"{tool}:39", f"Encountered error(s) while upgrading {kind}; see details above.")
    return complete


def _is_foreign(layer):
    """Whether a V0 layer states what its type does not have."""
    return any(
        layer.HasField(field) and layer.type not in types
        for field, (types, _) in upgrade.V0_FIELDS.items()
    ) or (layer.HasField("hdf5_output_param") and layer.type != "hdf5_output")


def _write(path, data):
    with wire.replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
