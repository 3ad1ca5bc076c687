"""train, test, time, device_query: Caffe's own tool (tools/caffe.cpp), with its flags and log lines."""

import os
import signal
from types import SimpleNamespace

import torch

from .. import context
from ..files import read
from ..glog import info, number
from ..layer import Layer
from ..net import Net
from ..proto import caffe_pb2
from ..running import roofline
from ..timer import Timer
from ..updates import get_solver
from .flags import Flag, UsageError, parse

EFFECTS = ("snapshot", "stop", "none")
FLAGS = (
    Flag(
        "gpu", "", "number of the GPU to use, or all; without it the CPU, or what the solver says"
    ),
    Flag("precision", "float32", "what convolutions multiply in: float32, tf32 or bf16"),
    Flag("solver", "", "the solver prototxt"),
    Flag("model", "", "the net prototxt"),
    Flag("phase", "", "TRAIN or TEST, for time (TRAIN without it)"),
    Flag("level", 0, "level of the net's state"),
    Flag("stage", "", "stages of the net's state, separated by commas"),
    Flag("snapshot", "", "the solver state to resume from"),
    Flag("weights", "", "weights to start from, separated by commas; not together with -snapshot"),
    Flag("iterations", 50, "number of passes of test and time"),
    Flag("sigint_effect", "stop", "what SIGINT (Ctrl-C) does to training: snapshot, stop or none"),
    Flag("sighup_effect", "snapshot", "what SIGHUP does to training: snapshot, stop or none"),
)


def _flags(argv, command):
    flags, others = parse(argv, FLAGS, "caffe", f"usage: caffe {command} <flags>")
    if others:
        raise UsageError(f"takes flags only, got '{others[0]}'")
    return flags


def _stages(flags):
    return flags.stage.split(",")  # without the flag one empty stage, as in Caffe


def _gpus(text):
    """Numbers of the GPUs that -gpu names."""
    if text == "all":
        return list(range(torch.cuda.device_count()))
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UsageError(f"-gpu takes numbers separated by commas, or all, got '{text}'") from None


# ---- train


def train(argv):
    """Train the net of a solver to its max_iter."""
    flags = _flags(argv, "train")
    _check_train(flags)
    param = read.read_solver(flags.solver)
    param.train_state.level = flags.level
    param.train_state.stage.extend(_stages(flags))
    _set_training_mode(flags, param)
    context.set_precision(flags.precision)
    if flags.weights:
        param.weights.append(flags.weights)
    signals = Signals(flags.sigint_effect, flags.sighup_effect)
    with signals:
        solver = get_solver(flags.solver, param)
        solver.action = signals.action
        if flags.snapshot:
            info("caffe.cpp:235", f"Resuming from {flags.snapshot}")
            solver.restore(flags.snapshot)
        info("caffe.cpp:239", "Starting Optimization")
        solver.solve()
    info("caffe.cpp:250", "Optimization Done.")
    return 0


def _check_train(flags):
    if not flags.solver:
        raise UsageError("needs a solver: -solver solver.prototxt")
    if flags.snapshot and flags.weights:
        raise UsageError(
            "takes either -snapshot, to resume training, or -weights, to start from, not both"
        )
    for name in ("sigint_effect", "sighup_effect"):
        effect = getattr(flags, name)
        if effect not in EFFECTS:
            raise UsageError(f"-{name} is one of {', '.join(EFFECTS)}, got '{effect}'")
    _check_files([flags.snapshot, *flags.weights.split(",")])


def _check_files(paths):
    """Missing files are told before nets are built."""
    for path in filter(None, paths):
        if not os.path.isfile(path):
            raise RuntimeError(f"Could not open file {path}")


def _set_training_mode(flags, param):
    """GPU or CPU, as -gpu or else the solver says (its default is GPU, number 0)."""
    by_solver = not flags.gpu and param.solver_mode == caffe_pb2.SolverParameter.GPU
    gpus = [max(param.device_id, 0)] if by_solver else _gpus(flags.gpu)
    if len(gpus) > 1:
        raise NotImplementedError(
            f"-gpu {flags.gpu}: training on several GPUs is not available; give one GPU, and "
            f"iter_size: {len(gpus)} in the solver for the same number of pictures an update"
        )
    if not gpus:
        if flags.gpu:
            raise RuntimeError("-gpu all: PyTorch sees no GPU")
        info("caffe.cpp:197", "Use CPU.")
        context.set_mode_cpu()
        return
    _require(gpus[0], "the solver's solver_mode is GPU, Caffe's default" if by_solver else "-gpu")
    info("caffe.cpp:204", f"Using GPUs {gpus[0]}")
    info("caffe.cpp:209", f"GPU {gpus[0]}: {torch.cuda.get_device_name(gpus[0])}")
    param.device_id = gpus[0]
    context.set_device(gpus[0])
    context.set_mode_gpu()


def _require(gpu, asked_by):
    try:
        context.require_gpu(gpu)
    except RuntimeError as error:
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise RuntimeError(
            f"GPU {gpu} is wanted ({asked_by}), PyTorch sees {found} GPUs: state solver_mode: CPU "
            "in the solver, leave out -gpu, or install a CUDA build of torch and its driver"
        ) from error


class Signals:
    """While entered, SIGINT and SIGHUP are requests to the solver (src/caffe/util/signal_handler.cpp)."""

    def __init__(self, sigint_effect, sighup_effect):
        hangup = getattr(signal, "SIGHUP", None)  # Windows has none
        effects = {signal.SIGINT: sigint_effect, hangup: sighup_effect}
        self.effects = {number: effect for number, effect in effects.items() if number is not None}
        self.received = set()

    def __enter__(self):
        self.before = {
            signum: signal.signal(signum, lambda signum, frame: self.received.add(signum))
            for signum in self.effects
        }

    def __exit__(self, *error):
        for signum, handler in self.before.items():
            signal.signal(signum, handler)

    def action(self) -> str:
        """The effect of a signal that came since the last call, SIGINT first; none without one."""
        for signum, effect in self.effects.items():
            if signum in self.received:
                self.received.discard(signum)
                return effect
        return "none"


# ---- test


def test(argv):
    """Run a net's TEST phase some times; log its outputs and their means."""
    flags = _flags(argv, "test")
    if not flags.model:
        raise UsageError("needs a net: -model net.prototxt")
    if not flags.weights:
        raise UsageError("needs weights: -weights net.caffemodel")
    _check_files([flags.model, *flags.weights.split(",")])
    _check_iterations(flags)
    _set_mode(flags, SimpleNamespace(spare=257, gpu=266, name=270, cpu=275))
    context.set_precision(flags.precision)
    net = Net(flags.model, caffe_pb2.TEST, level=flags.level, stages=_stages(flags))
    for path in flags.weights.split(","):
        net.copy_from(path)
    info("caffe.cpp:281", f"Running for {flags.iterations} iterations.")
    sums, loss = {}, 0.0
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


def _check_iterations(flags):
    if flags.iterations < 1:
        raise UsageError(f"-iterations is at least 1, got {flags.iterations}")


def _set_mode(flags, line):
    """GPU or CPU as -gpu says; `line` holds the source lines of the tags."""
    gpus = _gpus(flags.gpu)
    for spare in reversed(gpus[1:]):
        info(f"caffe.cpp:{line.spare}", f"Not using GPU #{spare} for single-GPU function")
    if not gpus:
        info(f"caffe.cpp:{line.cpu}", "Use CPU.")
        context.set_mode_cpu()
        return
    _require(gpus[0], "-gpu")
    info(f"caffe.cpp:{line.gpu}", f"Use GPU with device ID {gpus[0]}")
    if line.name:
        name = torch.cuda.get_device_name(gpus[0])
        info(f"caffe.cpp:{line.name}", f"GPU device name: {name}")
    context.set_device(gpus[0])
    context.set_mode_gpu()


# ---- time


def time(argv):
    """Log how long each layer's forward and backward take."""
    flags = _flags(argv, "time")
    if not flags.model:
        raise UsageError("needs a net: -model net.prototxt")
    if flags.phase not in ("", "TRAIN", "TEST"):
        raise UsageError(f"-phase is TRAIN or TEST, got '{flags.phase}'")
    _check_iterations(flags)
    _set_mode(flags, SimpleNamespace(spare=332, gpu=339, name=None, cpu=343))
    context.set_precision(flags.precision)
    phase = caffe_pb2.TEST if flags.phase == "TEST" else caffe_pb2.TRAIN
    net = Net(flags.model, phase, level=flags.level, stages=_stages(flags))
    last = len(net.layers) - 1
    info("caffe.cpp:351", "Performing Forward")
    info("caffe.cpp:356", f"Initial loss: {number(net._forward(0, last))}")
    info("caffe.cpp:357", "Performing Backward")
    net._backward(last, 0)
    info("caffe.cpp:365", "*** Benchmark begins ***")
    info("caffe.cpp:366", f"Testing for {flags.iterations} iterations.")
    forward, backward = _measure(net, flags.iterations)
    _report_times(net, flags.iterations, forward, backward)
    info("caffe.cpp:415", "*** Benchmark ends ***")
    _report_rates(net, forward, backward)
    return 0


class Direction:
    """Forward or backward: mean ms of each layer, and of passes that no layer is timed in."""

    def __init__(self, layers):
        self.each, self.whole = [0.0] * layers, 0.0

    def add(self, each, whole, iterations):
        self.each = [total + ms / iterations for total, ms in zip(self.each, each)]
        self.whole += whole / iterations


def _measure(net, iterations):
    """The times of both directions, every pass being one that a user would run."""
    count, timer = len(net.layers), Timer()
    forward, backward = Direction(count), Direction(count)
    # A pass that does not count. The second still prepares weights for what changes of the inputs, and
    # without a loss there was no backward yet, in the first of which kernels are chosen.
    _renew_inputs(net)
    net._forward(0, count - 1)
    _backward_all(net)
    for iteration in range(iterations):
        _renew_inputs(net)
        timer.start()
        net._forward(0, count - 1)
        ahead = timer.ms
        timer.start()
        _backward_all(net)
        back = timer.ms
        _renew_inputs(net)
        forward.add(roofline.forward_ms(net), ahead, iterations)
        backward.add(roofline.millis(_backwards(net), count), back, iterations)
        text = f"Iteration: {iteration + 1} forward-backward time: {number(ahead + back)} ms."
        info("caffe.cpp:394", text)
    return forward, backward


def _renew_inputs(net):
    """Other values in the Input layers' blobs."""
    # A TEST net does not compute again what did not change. Values between 0 and 1 are 0 as integers,
    # and in range wherever an Input layer gives labels or indices.
    for i in net._inputs:
        net._blobs[i].x.uniform_(generator=context.generator())


def _backward_all(net):
    for _ in _backwards(net):
        pass


def _backwards(net):
    """Run each layer's backward as Caffe times it, without a loss above, too; yields its position."""
    described = net._topology
    for i in reversed(range(len(net.layers))):
        layer = net.layers[i]
        if type(layer).backward is not Layer.backward:  # a user's layer without gradient
            layer.backward(
                described.tops[i], described.bottom_need_backward[i], described.bottoms[i]
            )
        yield i


def _report_times(net, iterations, forward, backward):
    info("caffe.cpp:397", "Average time per layer: ")
    for name, ahead, back in zip(net._layer_names, forward.each, backward.each):
        info("caffe.cpp:400", f"{name:>10}\tforward: {number(ahead)} ms.")
        info("caffe.cpp:403", f"{name:>10}\tbackward: {number(back)} ms.")
    both = forward.whole + backward.whole
    info("caffe.cpp:408", f"Average Forward pass: {number(forward.whole)} ms.")
    info("caffe.cpp:410", f"Average Backward pass: {number(backward.whole)} ms.")
    info("caffe.cpp:412", f"Average Forward-Backward: {number(both)} ms.")
    info("caffe.cpp:414", f"Total Time: {number(both * iterations)} ms.")


def _report_rates(net, forward, backward):
    """After Caffe's lines, ours: what layers did in their time, and what the machine can do."""
    peak = roofline.peak()
    for title, times, work in (
        ("Forward", forward, roofline.forward_work),
        ("Backward", backward, roofline.backward_work),
    ):
        record = roofline.record(net, times.each, times.whole, work, peak)
        for line in (f"{title}:", *roofline.table(record).splitlines()):
            info("roofline:0", line)


# ---- device_query


def device_query(argv):
    """Log what PyTorch tells of the GPUs that -gpu names."""
    flags = _flags(argv, "device_query")
    info("caffe.cpp:138", f"Querying GPUs {flags.gpu}")
    gpus = _gpus(flags.gpu)
    if flags.gpu and not gpus:
        raise RuntimeError("PyTorch sees no GPU")
    for gpu in gpus:
        _require(gpu, "-gpu")
        known = torch.cuda.get_device_properties(gpu)
        rows = {
            "Device id": gpu,
            "Major revision number": known.major,
            "Minor revision number": known.minor,
            "Name": known.name,
            "Total global memory": known.total_memory,
            "Total shared memory per block": getattr(known, "shared_memory_per_block", None),
            "Total registers per multiprocessor": getattr(known, "regs_per_multiprocessor", None),
            "Warp size": getattr(known, "warp_size", None),
            "Number of multiprocessors": known.multi_processor_count,
        }
        for line, (name, value) in enumerate(rows.items(), 186):
            if value is not None:
                info(f"common.cpp:{line}", f"{name + ':':<31}{value}")
    return 0
