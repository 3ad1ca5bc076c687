"""What Caffe's two files do not hold of a training: random numbers, where data layers are, the loss that
is smoothed. It lies beside them, in <prefix>_iter_N.position.json, so that a training that was cut goes
on as if it had not been, bit for bit on a CPU.

A layer takes part by `resume_state` and `resume_from` (layer.py); Python layers of users, too.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from . import context
from .files.paths import Path, write_bytes
from .files.snapshot import stem_of
from .glog import info
from .workers import solver_rank

ENDING = ".position.json"
FORMAT = 1


class Smoothing(NamedTuple):
    """The smoothed loss of a call of `step` that was cut."""

    at: int  # iterations that were made
    mean: float
    losses: list[float]


def _smoothing(solver: Any) -> Smoothing | None:
    """The state of the smoothed loss; None where the next step begins it anew."""
    if solver.iter >= solver._step_ends:
        return None
    smoothed = solver._smoothed
    return Smoothing(solver.iter - solver._step_began, smoothed.mean, smoothed.losses)


def path_beside(state: Path) -> str:
    """The file that belongs to a solverstate."""
    return stem_of(state) + ENDING


def write(stem: str, solver: Any) -> None:
    """Write the file of a snapshot, whole or not at all."""
    record = {
        "format": FORMAT,
        "iteration": solver.iter,
        "generators": context.generator_states(),
        "smoothed_loss": _smoothing(solver),
        "train": _layers(solver.net),
        "test": [_layers(net) for net in solver.test_nets],
    }
    write_bytes(stem + ENDING, json.dumps(record).encode())


def _layers(net: Any) -> dict[str, Any]:
    """Layer -> its state; of a data layer that does not tell it, null."""
    found = {}
    for layer in net.layers:
        state = layer.resume_state()
        if state is not None or _reads_unseen(layer):
            found[layer.name] = state
    return found


def _reads_unseen(layer: Any) -> bool:
    """Whether this is a user's data layer that does not say where it is."""
    param = layer.layer_param
    return not param.bottom and param.type == "Python"


def read(solver: Any, state: Path) -> str:
    """Go on where a snapshot was written; returns in a sentence what does not.

    ValueError for a file that is no such file.
    """
    path = path_beside(state)
    try:
        with open(path, "rb") as file:
            record = json.loads(file.read())
    except FileNotFoundError:
        return (
            f"there is no {os.path.basename(path)}: data begin anew, and random numbers at the seed"
        )
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    try:
        if record["format"] != FORMAT or record["iteration"] != solver.iter:
            return (
                f"{os.path.basename(path)} is of iteration {record['iteration']}, and the state of "
                f"{solver.iter}: data begin anew, and random numbers at the seed"
            )
        silent = _restore_layers(solver.net, record["train"])
        for net, layers in zip(solver.test_nets, record["test"]):
            silent += _restore_layers(net, layers)
        smoothing = record["smoothed_loss"]
        solver._resumed = None if smoothing is None else Smoothing(*smoothing)
        context.set_generator_states(record["generators"])
        if rank := solver_rank():  # worker 0 wrote them
            context.set_generators_apart(rank)
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged, or of another net: {error}") from error
    if silent:
        return f"layer {', '.join(silent)} tells no resume_state: its data begin anew"
    return ""


def _restore_layers(net: Any, states: dict[str, Any]) -> list[str]:
    """Give layers their states; the names of those that told none."""
    silent = []
    for name, state in states.items():
        if state is None:
            silent.append(name)
        else:
            net.layer_dict[name].resume_from(state)
    return silent


def log_missing(sentence: str) -> None:
    """Say in the log what does not go on as it was."""
    if sentence:
        info("resuming:0", f"Not all goes on as it was: {sentence}")
