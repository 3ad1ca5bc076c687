"""The module that BVLC's package keeps its classes in, for scripts that import them from there."""

from .context import set_device, set_mode_cpu, set_mode_gpu, set_random_seed
from .glog import init_log, log
from .layer import Layer, layer_type_list
from .nccl import NCCL
from .net import Net
from .timer import Timer
from .updates import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Layer",
    "NCCL",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "get_solver",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
]
