"""Snapshots: a solver's weights and state, from which training goes on.

(Solver::Snapshot in src/caffe/solver.cpp, SGDSolver::SnapshotSolverState and RestoreSolverState in
src/caffe/solvers/sgd_solver.cpp)
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..glog import info
from . import allowed, hdf5, solverstate
from .paths import Path, require_file
from .stored import SolverState

if TYPE_CHECKING:
    from ..net import Net


def stem_of(state: Path) -> str:
    """What the names of a snapshot's files begin with, of the name of its solverstate."""
    name = os.fspath(state)
    return name[: name.rindex(".solverstate")] if ".solverstate" in name else name


def check_writable(prefix: str, source: str) -> None:
    """Raise ValueError unless files can be, and may be, written to a snapshot_prefix.

    The solver calls this before hours of training. `source` is the solver's file, for the error.
    """
    require_allowed(prefix, source)
    folder = os.path.dirname(prefix) or "."
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{source}: cannot write to snapshot_prefix '{prefix}' "
            f"({error.strerror}): the folder {os.path.abspath(folder)} must exist and be writeable"
        ) from error


def require_allowed(prefix: str, source: str) -> None:
    """Raise ValueError if a solver's file may not have files written at this snapshot_prefix."""
    try:
        allowed.to_write(prefix, os.path.dirname(os.path.abspath(source)))
    except PermissionError as error:
        raise ValueError(f"{source}: snapshot_prefix: {error}") from None


def write(
    stem: str,
    net: "Net",
    iteration: int,
    current_step: int,
    history: Sequence[np.ndarray],
    *,
    as_hdf5: bool = False,
    write_diff: bool = False,
    beside: Callable[[str], None] = lambda stem: None,
) -> None:
    """Write <stem>.caffemodel and <stem>.solverstate (or .caffemodel.h5 and .solverstate.h5).

    Each file is written whole or not at all, the state last, so that it never names weights that are
    not there. `beside(stem)` writes what lies beside them.
    """
    if as_hdf5:
        model, state = stem + ".caffemodel.h5", stem + ".solverstate.h5"
        info("solver.cpp:474", f"Snapshotting to HDF5 file {model}")
        net.save_hdf5(model, write_diff)
        beside(stem)
        info("sgd_solver.cpp:296", f"Snapshotting solver state to HDF5 file {state}")
        hdf5.write_state(state, iteration, model, current_step, history)
    else:
        model, state = stem + ".caffemodel", stem + ".solverstate"
        info("solver.cpp:464", f"Snapshotting to binary proto file {model}")
        net.save(model, write_diff)
        beside(stem)
        info("sgd_solver.cpp:284", f"Snapshotting solver state to binary proto file {state}")
        solverstate.write_state(state, iteration, model, current_step, history)


def read(path: Path, history_shapes: Sequence[Sequence[int]], solver_name: str) -> SolverState:
    """The state in a .solverstate or .solverstate.h5, whose weights are there and history fits.

    RuntimeError if the file, or the weights it names, is not there. ValueError if it is no solver
    state, or that of another solver type or net.
    """
    require_file(path)
    reader = hdf5.read_state if os.fspath(path).endswith(".h5") else solverstate.read_state
    state = reader(path)
    stored, shapes = state.history, history_shapes
    if len(stored) != len(shapes) or not all(s.matches(w) for s, w in zip(stored, shapes)):
        raise ValueError(
            f"{path}: its history of {len(stored)} blobs does not fit the {len(shapes)} of "
            f"{solver_name} on this net: a state of another solver type or net "
            "(copy_from takes its weights alone)"
        )
    if state.learned_net and not os.path.isfile(state.learned_net):
        raise RuntimeError(
            f"{path}: could not open file {state.learned_net}, the weights it names "
            f"(relative to {os.getcwd()})"
        )
    return state
