"""The `caffe` command's tools: `caffe <command> ...`, one tool a file, named as the command.

A command is a function of that name. It takes the arguments after the command's name and returns
the exit code.
"""

import importlib
from collections.abc import Callable, Sequence

COMMANDS = {
    "train": "train or finetune a model",
    "test": "score a model",
    "time": "measure how long each layer of a model takes, beside the machine's peak",
    "device_query": "show what is known of the GPUs",
    "upgrade_net_proto_text": "bring a net's prototxt up to date",
    "upgrade_net_proto_binary": "bring a net's caffemodel up to date",
    "upgrade_solver_proto_text": "bring a solver's prototxt up to date",
    "convert_imageset": "put listed pictures into an LMDB or LevelDB",
    "compute_image_mean": "compute the mean picture of a database",
    "extract_features": "put blobs of a net into databases",
    "parse_log": "turn a training log into tables",
    "plot_training_log": "plot training logs",
    "classify": "predict classes of pictures",
    "detect": "predict classes of windows of pictures",
    "draw_net": "draw a net's graph",
    "new_layer": "print a Python layer to fill in, for a type that is not built in",
    "export": "write a net as ONNX or as a module of PyTorch",
    "inspect": "say what a file is, and what two files of weights differ in",
    "import_weights": "put weights of PyTorch, Keras or NumPy into a caffemodel",
}


def find(name: str) -> Callable[[Sequence[str]], int]:
    """The function of a command. KeyError for an unknown one."""
    if name not in COMMANDS:
        raise KeyError(name)
    module = "upgrade" if name.startswith("upgrade_") else name
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def summary() -> str:
    """A line a command: its name and what it does."""
    width = max(map(len, COMMANDS))
    return "\n".join(f"  {name:<{width}}  {about}" for name, about in COMMANDS.items())
