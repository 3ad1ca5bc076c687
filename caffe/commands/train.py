"""`caffe train`: train or finetune a model (tools/caffe.cpp)."""

import os
import signal
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import caffe

from ..files import read
from ..glog import info, warning
from ..proto import caffe_pb2
from .caffe_tool import device_name, gpu_numbers, parse_flags, require_files, require_gpu, stages
from .flags import UsageError

EFFECTS = ("snapshot", "stop", "none")


def train(argv: Sequence[str]) -> int:
    """Train the net of a solver to its max_iter."""
    flags = parse_flags(argv, "train")
    _check(flags)
    param = read.read_solver(flags.solver)
    param.train_state.level = flags.level
    param.train_state.stage.extend(stages(flags))
    gpus = _gpus(flags, param)
    if len(gpus) > 1 and not caffe.workers.started_together():
        info("caffe.cpp:214", f"Using GPUs {', '.join(map(str, gpus))}")
        return caffe.workers.launch([sys.executable, "-m", "caffe", "train", *argv], len(gpus))
    if caffe.workers.started_together():
        caffe.workers.join()
    _choose_device(gpus, param)
    caffe.set_precision(flags.precision)
    if flags.weights:
        param.weights.append(flags.weights)
    signals = Signals(flags.sigint_effect, flags.sighup_effect)
    with signals:
        solver = caffe.get_solver(flags.solver, param)
        solver.action = signals.action
        if flags.snapshot:
            info("caffe.cpp:235", f"Resuming from {flags.snapshot}")
            solver.restore(flags.snapshot)
        if lost := caffe.learnable.stuck(solver.net):
            warning("learnable:0", f"{flags.solver}: {lost}")
        elif names := caffe.learnable.alike(solver.net):
            warning("learnable:0", f"{flags.solver}: {caffe.learnable.alike_sentence(names)}")
        Trace(solver)
        if caffe.workers.started_together():
            together = caffe.NCCL(solver)
            together.bcast()
            solver.add_callback(together)
            if param.layer_wise_reduce:
                solver.net.after_backward(together)
        if flags.check_gradients:
            caffe.diagnosis.require_finite_gradients(solver)
        info("caffe.cpp:239", "Starting Optimization")
        solver.solve()
    info("caffe.cpp:250", "Optimization Done.")
    return 0


def _check(flags: SimpleNamespace) -> None:
    """Raise UsageError for flags that do not fit, RuntimeError for missing files."""
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
    require_files([flags.snapshot, *flags.weights.split(",")])


def _gpus(flags: SimpleNamespace, param: caffe_pb2.SolverParameter) -> list[int]:
    """The GPUs that -gpu names, or else the solver (its default is GPU 0); RuntimeError without them."""
    by_solver = not flags.gpu and param.solver_mode == caffe_pb2.SolverParameter.GPU
    gpus = [max(param.device_id, 0)] if by_solver else gpu_numbers(flags.gpu)
    if flags.gpu and not gpus:
        raise RuntimeError("-gpu all: PyTorch sees no GPU")
    asked_by = "the solver's solver_mode is GPU, Caffe's default" if by_solver else "-gpu"
    return [gpu for gpu in gpus if require_gpu(gpu, asked_by)]


def _choose_device(gpus: Sequence[int], param: caffe_pb2.SolverParameter) -> None:
    """Compute on the one of these GPUs that is this worker's; on the CPU if there are none."""
    if not gpus:
        info("caffe.cpp:197", "Use CPU.")
        caffe.set_mode_cpu()
        return
    gpu = (
        gpus[caffe.workers.local_rank() % len(gpus)]
        if caffe.workers.started_together()
        else gpus[0]
    )
    info("caffe.cpp:204", f"Using GPUs {gpu}")
    info("caffe.cpp:209", f"GPU {gpu}: {device_name(gpu)}")
    param.device_id = gpu
    caffe.set_device(gpu)
    caffe.set_mode_gpu()


class Trace:
    """Warns once of a loss that is not finite, at the display that shows it, and of each snapshot of such.

    The snapshots are written all the same, as Caffe writes them.
    """

    def __init__(self, solver: Any) -> None:
        """Watch a solver's passes and snapshots."""
        self.solver, self.told = solver, False
        self.found = caffe.diagnosis.FirstNotFinite(solver)
        self.write = solver.snapshot
        solver.snapshot = self.snapshot
        solver.add_callback(lambda: None, self.after_pass)

    def after_pass(self) -> None:
        """Look at the losses of each pass on a CPU, on a GPU at displays: they are fetched then.

        Without displays it is told at once.
        """
        if self.told:
            return
        display = self.solver.param.display
        due = bool(display) and self.solver.iter % display == 0
        seen = self.found.look() if due else self.found.after_pass()
        if seen and (due or not display):
            self.told = True
            warning("diagnosis:0", f"{self.found}; what is trained from here on is lost")

    def snapshot(self) -> None:
        """The solver's `snapshot`, and a warning if its weights are not finite."""
        self.write()
        if broken := caffe.diagnosis.not_finite(self.solver.net):
            of = len(self.solver.net.params)
            stem = f"{os.fsdecode(self.solver.param.snapshot_prefix)}_iter_{self.solver.iter}"
            warning(
                "diagnosis:0",
                f"snapshot {stem}: the weights of {len(broken)} of {of} layers are not finite "
                f"(NaN or Inf), first of '{broken[0]}'; nothing can go on from it",
            )


class Signals:
    """While entered, SIGINT and SIGHUP are requests to the solver (src/caffe/util/signal_handler.cpp)."""

    def __init__(self, sigint_effect: str, sighup_effect: str) -> None:
        """The effects are among EFFECTS."""
        self.effects = {signal.SIGINT: sigint_effect}
        if hasattr(signal, "SIGHUP"):  # Windows has none
            self.effects[signal.SIGHUP] = sighup_effect
        self.received: set[int] = set()

    def __enter__(self) -> "Signals":
        self.handlers = {
            signum: signal.signal(signum, lambda signum, frame: self.received.add(signum))
            for signum in self.effects
        }
        return self

    def __exit__(self, *error: Any) -> None:
        for signum, handler in self.handlers.items():
            signal.signal(signum, handler)

    def action(self) -> str:
        """The effect of a signal that came since the last call, SIGINT first; none without one."""
        for signum, effect in self.effects.items():
            if signum in self.received:
                self.received.discard(signum)
                return effect
        return "none"
