"""`caffe time`: how long each layer takes (tools/caffe.cpp), and what the machine could do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import caffe

from ..glog import info, number
from ..proto import caffe_pb2
from .caffe_tool import SourceLines, check_iterations, choose_device, parse_flags, stages
from .flags import UsageError


def time(argv: Sequence[str]) -> int:
    """Log how long each layer's forward and backward take."""
    flags = parse_flags(argv, "time")
    if not flags.model:
        raise UsageError("needs a net: -model net.prototxt")
    if flags.phase not in ("", "TRAIN", "TEST"):
        raise UsageError(f"-phase is TRAIN or TEST, got '{flags.phase}'")
    check_iterations(flags)
    choose_device(flags, SourceLines(unused=332, gpu=339, name=None, cpu=343))
    caffe.set_precision(flags.precision)
    phase = caffe_pb2.TEST if flags.phase == "TEST" else caffe_pb2.TRAIN
    net = caffe.Net(flags.model, phase, level=flags.level, stages=stages(flags))
    last = len(net.layers) - 1
    info("caffe.cpp:351", "Performing Forward")
    info("caffe.cpp:356", f"Initial loss: {number(net._forward(0, last))}")
    info("caffe.cpp:357", "Performing Backward")
    net._backward(last, 0)
    info("caffe.cpp:365", "*** Benchmark begins ***")
    info("caffe.cpp:366", f"Testing for {flags.iterations} iterations.")
    forward, backward = _measure(net, flags.iterations)
    _log_times(net, flags.iterations, forward, backward)
    info("caffe.cpp:415", "*** Benchmark ends ***")
    _log_rates(net, forward, backward)
    return 0


class MeanTimes:
    """Mean milliseconds of one direction, forward or backward.

    `each`: of each layer, timed one by one. `whole`: of passes in which no layer is timed.
    """

    def __init__(self, layers: int) -> None:
        self.each, self.whole = [0.0] * layers, 0.0

    def add(self, each: Sequence[float], whole: float, iterations: int) -> None:
        """Add the times of one of `iterations` passes."""
        self.each = [total + ms / iterations for total, ms in zip(self.each, each)]
        self.whole += whole / iterations


def _measure(net: caffe.Net, iterations: int) -> tuple[MeanTimes, MeanTimes]:
    """The times of both directions; every pass is one that a user would run."""
    from ..running import roofline

    count, timer = len(net.layers), caffe.Timer()
    forward, backward = MeanTimes(count), MeanTimes(count)
    # One pass is not counted: the second forward prepares weights for incremental passes, and the
    # first backward, which without a loss has not been run yet, chooses kernels.
    _renew_inputs(net)
    net._forward(0, count - 1)
    _backward_all(net)
    for iteration in range(iterations):
        _renew_inputs(net)
        timer.start()
        net._forward(0, count - 1)
        forward_ms = timer.ms
        timer.start()
        _backward_all(net)
        backward_ms = timer.ms
        _renew_inputs(net)
        forward.add(roofline.forward_ms(net), forward_ms, iterations)
        backward.add(roofline.millis(_backward_steps(net), count), backward_ms, iterations)
        both = number(forward_ms + backward_ms)
        info("caffe.cpp:394", f"Iteration: {iteration + 1} forward-backward time: {both} ms.")
    return forward, backward


def _renew_inputs(net: caffe.Net) -> None:
    """Write other values into the Input layers' blobs."""
    from .. import context

    # A TEST net does not compute again what did not change. Values between 0 and 1 are 0 as integers,
    # and in range wherever an Input layer gives labels or indices.
    for i in net._inputs:
        net._blobs[i].x.uniform_(generator=context.generator())


def _backward_all(net: caffe.Net) -> None:
    for _ in _backward_steps(net):
        pass


def _backward_steps(net: caffe.Net) -> Iterator[int]:
    """Run each layer's backward, with or without a loss above it as Caffe does; yields its index."""
    topology = net._topology
    for i in reversed(range(len(net.layers))):
        layer = net.layers[i]
        if type(layer).backward is not caffe.Layer.backward:  # a user's layer may have no gradient
            layer.backward(topology.tops[i], topology.bottom_need_backward[i], topology.bottoms[i])
        yield i


def _log_times(net: caffe.Net, iterations: int, forward: MeanTimes, backward: MeanTimes) -> None:
    info("caffe.cpp:397", "Average time per layer: ")
    for layer, forward_ms, backward_ms in zip(net.layers, forward.each, backward.each):
        info("caffe.cpp:400", f"{layer.layer_param.name:>10}\tforward: {number(forward_ms)} ms.")
        info("caffe.cpp:403", f"{layer.layer_param.name:>10}\tbackward: {number(backward_ms)} ms.")
    both = forward.whole + backward.whole
    info("caffe.cpp:408", f"Average Forward pass: {number(forward.whole)} ms.")
    info("caffe.cpp:410", f"Average Backward pass: {number(backward.whole)} ms.")
    info("caffe.cpp:412", f"Average Forward-Backward: {number(both)} ms.")
    info("caffe.cpp:414", f"Total Time: {number(both * iterations)} ms.")


def _log_rates(net: caffe.Net, forward: MeanTimes, backward: MeanTimes) -> None:
    """Log, after Caffe's lines, each layer's rate beside what the machine can do."""
    from ..running import roofline

    peak = roofline.peak()
    for title, times, work in (
        ("Forward", forward, roofline.forward_work),
        ("Backward", backward, roofline.backward_work),
    ):
        record = roofline.record(net, times.each, times.whole, work, peak)
        for line in (f"{title}:", *roofline.table(record).splitlines()):
            info("roofline:0", line)
