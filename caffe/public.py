"""The names that `caffe` has, each from its module. `caffe` itself imports this when one is asked for."""

from .background import Background
from .boxes import suppress
from .classifier import Classifier
from .confusion import ConfusionMatrix, predicted
from .context import (
    set_cuda_graphs,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_precision,
    set_random_seed,
)
from .detector import Detector
from .exporting import export
from .files.allowed import allow_writing, read_only_below
from .files.upgrade import upgrade_net
from .files.weights import weight_shapes
from .glog import init_log, log, log_to_file
from .importing import import_weights
from .layer import Layer, layer_type_list
from .layers.python import python_layer_class
from .nccl import NCCL, has_nccl, set_multiprocess
from .net import Net
from .net_spec import NetSpec, layers, params, to_proto
from .own_layers import register_layer
from .proto.caffe_pb2 import TEST, TRAIN
from .python_modules import allow_python_layers
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
from .workers import set_solver_count, set_solver_rank, solver_count, solver_rank

from . import coord_map, crf, diagnosis, draw, io, learnable, workers  # isort: skip
from .running import memory, roofline  # isort: skip

Tally = ConfusionMatrix  # its first name

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Background",
    "Classifier",
    "ConfusionMatrix",
    "Detector",
    "Layer",
    "NCCL",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "TEST",
    "TRAIN",
    "Tally",
    "Timer",
    "allow_python_layers",
    "allow_writing",
    "coord_map",
    "crf",
    "diagnosis",
    "draw",
    "export",
    "get_solver",
    "has_nccl",
    "import_weights",
    "init_log",
    "io",
    "layer_type_list",
    "layers",
    "learnable",
    "log",
    "log_to_file",
    "memory",
    "params",
    "predicted",
    "python_layer_class",
    "read_only_below",
    "register_layer",
    "roofline",
    "set_cuda_graphs",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_precision",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "suppress",
    "to_proto",
    "upgrade_net",
    "weight_shapes",
    "workers",
]
