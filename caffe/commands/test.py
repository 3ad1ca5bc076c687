"""`caffe test`: score a model (tools/caffe.cpp)."""

from collections.abc import Sequence

import caffe

from ..glog import info, number
from ..proto import caffe_pb2
from .caffe_tool import (
    SourceLines,
    check_iterations,
    choose_device,
    parse_flags,
    require_files,
    stages,
)
from .flags import UsageError


def test(argv: Sequence[str]) -> int:
    """Run a net's TEST phase some times; log its outputs and their means."""
    flags = parse_flags(argv, "test")
    if not flags.model:
        raise UsageError("needs a net: -model net.prototxt")
    if not flags.weights:
        raise UsageError("needs weights: -weights net.caffemodel")
    require_files([flags.model, *flags.weights.split(",")])
    check_iterations(flags)
    choose_device(flags, SourceLines(unused=257, gpu=266, name=270, cpu=275))
    caffe.set_precision(flags.precision)
    net = caffe.Net(flags.model, caffe_pb2.TEST, level=flags.level, stages=stages(flags))
    for path in flags.weights.split(","):
        net.copy_from(path)
    info("caffe.cpp:281", f"Running for {flags.iterations} iterations.")
    sums: dict[tuple[str, int], float] = {}
    loss = 0.0
    for i in range(flags.iterations):
        loss += net._forward(0, len(net.layers) - 1)
        for name in net.outputs:
            values = net.blobs[name].data.ravel().tolist()
            for k, value in enumerate(values):
                info("caffe.cpp:304", f"Batch {i}, {name} = {number(value)}")
                sums[name, k] = sums.get((name, k), 0.0) + value
    info("caffe.cpp:309", f"Loss: {number(loss / flags.iterations)}")
    for (name, _), total in sums.items():
        mean, weight = total / flags.iterations, net.blob_loss_weights[name]
        note = f" (* {number(weight)} = {number(weight * mean)} loss)" if weight else ""
        info("caffe.cpp:321", f"{name} = {number(mean)}{note}")
    return 0
