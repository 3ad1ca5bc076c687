"""`caffe upgrade_net_proto_text`, `upgrade_net_proto_binary`, `upgrade_solver_proto_text`: files of
older formats brought to the current one (tools/upgrade_*_proto_*.cpp)."""

import re
from collections.abc import Sequence
from typing import Any

from google.protobuf import text_format

from ..files import read, upgrade
from ..files.paths import write_bytes
from ..files.upgrade_v0 import is_complete
from ..glog import error, info
from ..proto import caffe_pb2
from .flags import UsageError, parse

_NET = "NetParameter"
_SOLVER = "SolverParameter"


def upgrade_net_proto_text(argv: Sequence[str]) -> int:
    """Upgrade a net's prototxt; exit code 1 if settings that a V0 layer's type lacks were dropped."""
    source, target = _paths(argv, "upgrade_net_proto_text")
    net = read.parse_file(source, caffe_pb2.NetParameter())
    complete = _upgrade_net(net, source, "upgrade_net_proto_text.cpp", "prototxt")
    write_bytes(target, _text(net))
    info("upgrade_net_proto_text.cpp:49", f"Wrote upgraded {_NET} text proto to {target}")
    return 0 if complete else 1


def upgrade_net_proto_binary(argv: Sequence[str]) -> int:
    """Upgrade a net's caffemodel; exit code as upgrade_net_proto_text's."""
    source, target = _paths(argv, "upgrade_net_proto_binary")
    net = read.parse_binary(source, caffe_pb2.NetParameter())
    complete = _upgrade_net(net, source, "upgrade_net_proto_binary.cpp", "proto")
    write_bytes(target, net.SerializeToString())
    info("upgrade_net_proto_binary.cpp:46", f"Wrote upgraded {_NET} binary proto to {target}")
    return 0 if complete else 1


def upgrade_solver_proto_text(argv: Sequence[str]) -> int:
    """Upgrade a solver's prototxt: solver_type becomes type."""
    source, target = _paths(argv, "upgrade_solver_proto_text")
    solver = read.parse_file(source, caffe_pb2.SolverParameter())
    if solver.HasField("solver_type"):
        upgrade.upgrade_solver(solver, source)
    else:
        text = f"Solver already in latest proto format: {source}"
        error("upgrade_solver_proto_text.cpp:42", text)
    write_bytes(target, _text(solver))
    info("upgrade_solver_proto_text.cpp:48", f"Wrote upgraded {_SOLVER} text proto to {target}")
    return 0


def _paths(argv: Sequence[str], command: str) -> list[str]:
    """The old file and the new one."""
    usage = f"usage: caffe {command} OLD_FILE NEW_FILE"
    _, paths = parse(argv, (), command, usage)
    if len(paths) != 2:
        raise UsageError(f"takes two files, got {len(paths)}; {usage}")
    return paths


def _text(message: Any) -> bytes:
    """A message as C++ prints it: the float 1 as `1`, where Python prints `1.0`."""
    text = text_format.MessageToString(message)
    return re.sub(r"(: -?\d+)\.0$", r"\1", text, flags=re.MULTILINE).encode()


def _upgrade_net(net: caffe_pb2.NetParameter, source: str, tool: str, kind: str) -> bool:
    """Upgrade in place; returns whether no setting was dropped."""
    before = caffe_pb2.NetParameter()
    before.CopyFrom(net)
    complete = all(is_complete(layer.layer) for layer in net.layers)
    upgrade.upgrade_net(net, source)
    if net == before:
        error(f"{tool}:43", f"File already in latest proto format: {source}")
    if not complete:
        error(f"{tool}:39", f"Encountered error(s) while upgrading {kind}; see details above.")
    return complete
