"""What train, test, time and device_query share: the flags of Caffe's own tool (tools/caffe.cpp),
and the choice of a device.

What needs PyTorch is imported where it is used: help pages come at once."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import caffe

from ..files.paths import require_file
from ..glog import info
from .flags import Flag, UsageError, parse

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
    Flag("check_gradients", False, "whether train stops before an update by NaN or Inf"),
    Flag("iterations", 50, "number of passes of test and time"),
    Flag("sigint_effect", "stop", "what SIGINT (Ctrl-C) does to training: snapshot, stop or none"),
    Flag("sighup_effect", "snapshot", "what SIGHUP does to training: snapshot, stop or none"),
)


def parse_flags(argv: Sequence[str], command: str) -> SimpleNamespace:
    """The flags' values as attributes. UsageError for anything that is no flag."""
    flags, others = parse(argv, FLAGS, "caffe", f"usage: caffe {command} <flags>")
    if others:
        raise UsageError(f"takes flags only, got '{others[0]}'")
    return flags


def stages(flags: SimpleNamespace) -> list[str]:
    """The stages that -stage names; without the flag one empty stage, as in Caffe."""
    return flags.stage.split(",")


def require_files(paths: Sequence[str]) -> None:
    """RuntimeError for a missing file, before nets are built; empty paths are left out."""
    for path in filter(None, paths):
        require_file(path)


def check_iterations(flags: SimpleNamespace) -> None:
    """UsageError unless -iterations is above 0."""
    if flags.iterations < 1:
        raise UsageError(f"-iterations is at least 1, got {flags.iterations}")


# ---- the device


def gpu_numbers(text: str) -> list[int]:
    """Numbers of the GPUs that -gpu names."""
    if text == "all":
        return list(range(_device_count()))
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UsageError(f"-gpu takes numbers separated by commas, or all, got '{text}'") from None


def _device_count() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_name(gpu: int) -> str:
    """The name of a GPU."""
    import torch

    return torch.cuda.get_device_name(gpu)


def require_gpu(gpu: int, asked_by: str) -> bool:
    """RuntimeError, with what asks for the GPU and the way out, unless PyTorch sees it.

    False, with a warning, where the environment lets the CPU compute instead.
    """
    from .. import context

    try:
        return context.require_gpu(gpu)
    except RuntimeError as error:
        raise RuntimeError(
            f"GPU {gpu} is wanted ({asked_by}), PyTorch sees {_device_count()} GPUs: state solver_mode: CPU "
            "in the solver, leave out -gpu, or install a CUDA build of torch and its driver; "
            "CAFFE_GPU_FALLBACK=cpu in the environment lets the CPU compute"
        ) from error


class SourceLines(NamedTuple):
    """Lines of caffe.cpp that log the choice of a device, for the tags of the log lines."""

    unused: int  # another GPU is not used
    gpu: int
    name: int | None  # the GPU's name; None where it is not logged
    cpu: int


def choose_device(flags: SimpleNamespace, lines: SourceLines) -> None:
    """Compute on the first GPU that -gpu names, or on the CPU."""
    gpus = gpu_numbers(flags.gpu)
    for unused in reversed(gpus[1:]):
        info(f"caffe.cpp:{lines.unused}", f"Not using GPU #{unused} for single-GPU function")
    if not gpus or not require_gpu(gpus[0], "-gpu"):
        info(f"caffe.cpp:{lines.cpu}", "Use CPU.")
        caffe.set_mode_cpu()
        return
    info(f"caffe.cpp:{lines.gpu}", f"Use GPU with device ID {gpus[0]}")
    if lines.name:
        info(f"caffe.cpp:{lines.name}", f"GPU device name: {device_name(gpus[0])}")
    caffe.set_device(gpus[0])
    caffe.set_mode_gpu()
