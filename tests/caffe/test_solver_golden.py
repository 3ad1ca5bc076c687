"""Training runs as BVLC Caffe 1.0 made them: every parameter after every iteration.

Protocol: get_solver, copy_from init.caffemodel, write data.npz into the inputs, step(1) n times;
resumed runs restore the stored solverstate instead. BVLC's own runs differ by 1e-6 of the largest
parameter and 2e-5 of the largest change between BLAS kernels.
"""

import numpy as np
import pytest
from places import GOLDEN

import caffe

SOLVERS = GOLDEN / "solvers"
OF_PARAMETER = 1e-5  # of a parameter's largest value
OF_CHANGE = 1e-3  # of its largest change since the start; only this sees rates of 1e-14
OF_LOSS = 1e-4
RUNS = [
    pytest.param(folder.name, run, id=f"{folder.name}-{run}")
    for folder in sorted(SOLVERS.iterdir())
    for run in ("trajectory", "resumed", "resumed_hdf5")
    if (folder / f"{run}.npz").exists()
]


@pytest.mark.parametrize(("case", "run"), RUNS)
def test_training_run(case, run, device, monkeypatch):
    monkeypatch.chdir(SOLVERS / case)
    golden = np.load(f"{run}.npz")
    hdf5 = run == "resumed_hdf5"
    solver = caffe.get_solver("solver_hdf5.prototxt" if hdf5 else "solver.prototxt")
    if "python_class" in golden:
        assert type(solver).__name__ == str(golden["python_class"])
    for name, values in np.load("data.npz").items():
        solver.net.blobs[name].data[...] = values
    if run == "trajectory":
        solver.net.copy_from("init.caffemodel")
    else:
        at = int(golden["start_iter"])
        solver.restore(f"snap_iter_{at}.solverstate{'.h5' if hdf5 else ''}")
        assert solver.iter == at
    check_params(solver.net, golden, 0)
    for i, loss in enumerate(golden["loss"]):
        if "lr" in golden and "lr_from_log" not in golden:
            np.testing.assert_allclose(solver.lr, golden["lr"][i], rtol=1e-6)
        solver.step(1)
        np.testing.assert_allclose(solver.net.blobs["loss"].data, loss, rtol=OF_LOSS)
        check_params(solver.net, golden, i + 1)


def check_params(net, golden, step):
    for name, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            history = golden[f"param/{name}/{i}"]
            want, change = history[step], history[step] - history[0]
            error = np.abs(blob.data - want).max()
            assert error <= OF_PARAMETER * np.abs(want).max(), f"{name}[{i}] after {step} steps"
            assert error <= OF_CHANGE * np.abs(change).max() or error == 0 or step == 0, (
                f"{name}[{i}] moved wrongly after {step} steps"
            )


@pytest.mark.parametrize("case", ["sgd_average_loss"])
def test_displayed_loss(case, monkeypatch, capfd):
    monkeypatch.chdir(SOLVERS / case)
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
