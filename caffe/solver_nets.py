"""The nets of a solver: one training net, any number of test nets (InitTrainNet and InitTestNets in
src/caffe/solver.cpp)."""

import os
from collections.abc import Iterable
from typing import Any

import torch

from . import testing
from .files import allowed, read
from .glog import info, number
from .net import Net
from .proto import caffe_pb2

_TRAIN_FIELDS = ("net", "net_param", "train_net", "train_net_param")


def train_net(param: caffe_pb2.SolverParameter, source: str) -> Net:
    """The training net that a solver's parameters name, with its starting weights.

    `source` is the solver's file, for errors. ValueError unless exactly one field names a net;
    RuntimeError for a missing file.
    """
    given = [field for field in _TRAIN_FIELDS if param.HasField(field)]
    if len(given) != 1:
        raise ValueError(
            f"{source}: exactly one of {', '.join(_TRAIN_FIELDS)} gives the training net, "
            f"got {', '.join(given) or 'none'}"
        )
    net = _path_or_message(getattr(param, given[0]))
    about = _named(given[0], net)
    about = f"from {about}" if isinstance(net, str) else f"specified in {about}."
    info("solver.cpp:102", f"Creating training net {about}")
    return _build(param, source, given[0], net, caffe_pb2.TRAIN, param.train_state)


def test_nets(param: caffe_pb2.SolverParameter, source: str) -> list[Net]:
    """The test nets: test_net_param's, then test_net's, then `net` for what else test_iter counts.

    ValueError where test_iter, test_state or test_interval do not fit their number, and for an unknown
    eval_type or ap_version.
    """
    testing.check(param, source)
    nets: list[tuple[str, Any]] = [("test_net_param", message) for message in param.test_net_param]
    nets += [("test_net", os.fsdecode(path)) for path in param.test_net]
    generic = [field for field in ("net_param", "net") if param.HasField(field)]
    named, wanted = len(nets), len(param.test_iter)
    if wanted < named or (wanted > named and not generic):
        raise ValueError(
            f"{source}: test_iter is given {wanted} times for {named} test nets: once per test net"
        )
    nets += [
        (field, _path_or_message(getattr(param, field))) for field in generic[:1] * (wanted - named)
    ]
    if param.test_state and len(param.test_state) != len(nets):
        raise ValueError(
            f"{source}: test_state is given {len(param.test_state)} times for "
            f"{len(nets)} test nets: once per test net, or not at all"
        )
    if nets and param.test_interval <= 0:
        raise ValueError(
            f"{source}: test_interval is {param.test_interval}, it must be above 0 with a test net"
        )
    built = []
    for i, (field, net) in enumerate(nets):
        info("solver.cpp:190", f"Creating test net (#{i}) specified by {_named(field, net)}")
        state = param.test_state[i] if param.test_state else None
        built.append(_build(param, source, field, net, caffe_pb2.TEST, state))
    return built


def _path_or_message(net: Any) -> Any:
    return os.fsdecode(net) if isinstance(net, (str, bytes)) else net


def _named(field: str, net: Any) -> str:
    return f"{field} file: {net}" if isinstance(net, str) else field


def _build(
    param: caffe_pb2.SolverParameter,
    source: str,
    field: str,
    net: Any,
    phase: caffe_pb2.Phase,
    state: Any,
) -> Net:
    """A net from a path or a message, with the solver's starting weights.

    Its state is the phase, then the net's own state, then the solver's, each replacing what the one
    before states.
    """
    folder = None
    if isinstance(net, str):
        if not os.path.isfile(net):
            raise RuntimeError(
                f"{source}: {field}: could not open file {net} "
                f"(relative to {os.getcwd()}, the folder the solver runs in)"
            )
        folder = os.path.dirname(os.path.abspath(net))
        net_param = read.read_net(allowed.to_read(net), lenient=True)
    else:
        net_param = caffe_pb2.NetParameter()
        net_param.CopyFrom(net)
        read.upgrade_net(net_param, f"{source}: {field}")
    merged = caffe_pb2.NetState(phase=phase)
    merged.MergeFrom(net_param.state)
    if state is not None:
        merged.MergeFrom(state)
    net_param.state.CopyFrom(merged)
    built = Net.from_param(net_param, folder)
    for paths in map(os.fsdecode, param.weights):
        for path in paths.split(","):
            info("solver.cpp:72", f"Finetuning from {path.strip()}")
            built.copy_from(allowed.to_read(path.strip()))
    return built


def output_lines(net: Net, values: Iterable[torch.Tensor]) -> list[str]:
    """A line an output value: `loss = 0.5 (* 1 = 0.5 loss)`."""
    lines = []
    for name, tensor in zip(net.outputs, values):
        weight = net.blob_loss_weights[name]
        for value in tensor.view(-1).tolist():
            note = f" (* {number(weight)} = {number(weight * value)} loss)" if weight else ""
            lines.append(f"{name} = {number(value)}{note}")
    return lines


def run_test_net(solver: Any, i: int) -> None:
    """Run a solver's test net i on the current weights; log what its outputs come to (Solver::Test)."""
    info("solver.cpp:347", f"Iteration {solver.iter}, Testing net (#{i})")
    net, passes = solver.test_nets[i], solver.param.test_iter[i]
    net.share_with(solver.net)
    collected = testing.scores(solver.param)
    loss: float | torch.Tensor = 0.0
    for _ in range(passes):
        while (request := solver.requested()) != "none":
            if request == "snapshot":
                solver.snapshot()
            else:
                solver.stop()
        if solver._stop_requested:
            info("solver.cpp:395", "Test interrupted.")
            return
        loss = loss + net._forward_async(0, len(net.layers) - 1)
        collected.add({name: net.blobs[name] for name in net.outputs})
    net._raise_deferred()
    if solver.param.test_compute_loss:
        info("solver.cpp:400", f"Test loss: {number(float(loss) / passes)}")
    for j, line in enumerate(output_lines(net, collected.results())):
        info("solver.cpp:414", f"    Test net output #{j}: {line}")
