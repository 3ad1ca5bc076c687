"""Solver states in binary files, told apart from weights."""

import pytest
from stored import FORMATS, STATES, array_of

from caffe.files import caffemodel, hdf5, solverstate


def test_bytes_of_a_solverstate_are_caffes(tmp_path):
    path = STATES / "snap_iter_4.solverstate"
    state = solverstate.read_state(path)
    assert (state.iter, state.learned_net, state.current_step) == (4, "snap_iter_4.caffemodel", 0)
    arrays = [array_of(blob) for blob in state.history]
    assert any(array.any() for array in arrays)
    solverstate.write_state(tmp_path / "s", *state[:3], arrays)
    assert (tmp_path / "s").read_bytes() == path.read_bytes()


def test_weights_and_states_are_told_apart():
    with pytest.raises(ValueError, match="this is a solver state"):
        caffemodel.read_weights(STATES / "snap_iter_4.solverstate")
    for path in (STATES / "snap_iter_4.caffemodel", FORMATS / "v1/net.caffemodel"):
        with pytest.raises(ValueError, match="these are weights"):
            solverstate.read_state(path)
    with pytest.raises(ValueError, match="a solver state, not weights"):
        hdf5.read_weights(STATES / "snap_iter_4.solverstate.h5")
    with pytest.raises(ValueError, match="weights, not a solver state"):
        hdf5.read_state(STATES / "snap_iter_4.caffemodel.h5")


def test_missing_files(tmp_path):
    for read in (
        caffemodel.read_weights,
        solverstate.read_state,
        hdf5.read_weights,
        hdf5.read_state,
    ):
        with pytest.raises(RuntimeError, match="Could not open file .*none"):
            read(tmp_path / "none")
