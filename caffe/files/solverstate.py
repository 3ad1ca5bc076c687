"""A solver's state in a binary file (.solverstate).

The bytes are those of Caffe's SGDSolver::SnapshotSolverStateToBinaryProto.
"""

import os
from collections.abc import Iterable

import numpy as np

from ..proto import caffe_pb2
from . import wire
from .blob_proto import blob_pieces, read_blob, write_pieces
from .paths import Path
from .stored import BlobValues, SolverState

# field numbers of SolverState
_ITER, _LEARNED_NET, _HISTORY, _CURRENT_STEP = 1, 2, 3, 4
_LAYER = 100  # of NetParameter, whose field 1 is its name


def read_state(path: Path) -> SolverState:
    """A binary solver state; errors as caffemodel.read_weights."""
    file = wire.File(path)
    rest: list[wire.Field] = []
    found: list[wire.Field] = []
    for field in wire.read_fields(file, 0, file.size):
        if field.wire == wire.BYTES and field.number in (_ITER, _LAYER):
            raise ValueError(f"{path}: these are weights (a caffemodel), not a solver state")
        is_history = field.number == _HISTORY and field.wire == wire.BYTES
        (found if is_history else rest).append(field)
    state = wire.parse(file, caffe_pb2.SolverState(), rest)
    if not state.HasField("iter"):
        raise ValueError(f"{path}: no solver state: it states no iteration")
    history = [read_blob(file, f.start, f.end, f"{path}: history {i}") for i, f in enumerate(found)]
    return SolverState(state.iter, os.fsdecode(state.learned_net), state.current_step, history)


def write_state(
    path: Path, iteration: int, learned_net: str, current_step: int, history: Iterable[np.ndarray]
) -> None:
    """Write a binary solver state, whole or not at all; errors as caffemodel.write_weights."""
    pieces: list[wire.Piece] = [
        wire.integer_field(_ITER, iteration),
        wire.bytes_field(_LEARNED_NET, os.fsencode(learned_net)),
    ]
    for array in history:
        inner = blob_pieces(BlobValues(array.shape, array))
        pieces += [wire.field_header(_HISTORY, wire.byte_count(inner)), *inner]
    write_pieces(path, [*pieces, wire.integer_field(_CURRENT_STEP, current_step)])
