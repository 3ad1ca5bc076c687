"""The tools: `caffe <command> ...`, one family a module.

A command is a function of the arguments after its name, which returns the exit code.
"""

import importlib

# command -> (module here, what it does); the function in the module has the command's name
COMMANDS = {
    "train": ("brew", "train or finetune a model"),
    "test": ("brew", "score a model"),
    "time": ("brew", "measure how long each layer of a model takes, beside the machine's peak"),
    "device_query": ("brew", "show what is known of the GPUs"),
    "upgrade_net_proto_text": ("upgrades", "bring a net's prototxt up to date"),
    "upgrade_net_proto_binary": ("upgrades", "bring a net's caffemodel up to date"),
    "upgrade_solver_proto_text": ("upgrades", "bring a solver's prototxt up to date"),
    "convert_imageset": ("databases", "put listed pictures into an LMDB or LevelDB"),
    "compute_image_mean": ("databases", "compute the mean picture of a database"),
    "extract_features": ("databases", "put blobs of a net into databases"),
    "parse_log": ("logs", "turn a training log into tables"),
    "plot_training_log": ("logs", "plot training logs"),
    "classify": ("pictures", "predict classes of pictures"),
    "detect": ("pictures", "predict classes of windows of pictures"),
    "draw_net": ("drawing", "draw a net's graph"),
}


def find(name):
    """The function of a command. KeyError for an unknown one."""
    module, _ = COMMANDS[name]
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def summary():
    """A line a command."""
    width = max(map(len, COMMANDS))
    return "\n".join(f"  {name:<{width}}  {about}" for name, (_, about) in COMMANDS.items())
