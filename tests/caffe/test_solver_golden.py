"""Training runs as BVLC Caffe 1.0 made them: every parameter after every iteration."""

import numpy as np
import pytest
import replay
from places import GOLDEN

import caffe


@pytest.mark.parametrize("case, run", replay.SOLVERS)
def test_training_run(case, run, device):
    assert [error for error in replay.solver(case, run) if not error.within()] == []


@pytest.mark.parametrize("case", ["sgd_average_loss"])
def test_displayed_loss(case, monkeypatch, capfd):
    monkeypatch.chdir(GOLDEN / "solvers" / case)
    golden = np.load("trajectory.npz")
    solver = caffe.get_solver("solver.prototxt")
    solver.net.copy_from("init.caffemodel")
    for name, values in np.load("data.npz").items():
        solver.net.blobs[name].data[...] = values
    shown = []
    monkeypatch.setattr(
        solver, "_display", lambda: shown.append((solver.iter, solver.smoothed_loss))
    )
    solver.step(len(golden["loss"]))
    assert [i for i, _ in shown] == golden["displayed_iter"].tolist()
    np.testing.assert_allclose([v for _, v in shown], golden["displayed_loss"], rtol=1e-4)
