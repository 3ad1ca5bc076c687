"""The snapshot that is named as good is good; a start that is wrecked is blamed, and not the rate."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from watched import watched

import caffe
from fcn.watching import Poisoned
from fcn.watching.snapshots import CALM, FEW, Snapshot, Snapshots


def poisoned(solver, steps=100):
    """The message of a run that ends by NaN."""
    with pytest.raises(Poisoned) as error:
        solver.step(steps)
    return str(error.value)


def test_a_snapshot_is_good_once_a_loss_was_computed_from_it(solver_of, tmp_path):
    solver = solver_of(0.01)
    watched(solver)
    solver.step(3)
    solver.snapshot()
    solver.step(1)
    solver.net.params["score_fr"][0].data[0, 0] = np.nan
    with pytest.raises(Poisoned) as error:
        solver.snapshot()
    message = str(error.value)
    assert "layer 'score_fr' (Convolution): its weights are not finite" in message
    assert "last good snapshot: snapshot/train_iter_3.caffemodel" in message
    state = re.search(r"--resume (\S+)", message)[1]
    weights = re.search(r"--weights (\S+)", message)[1]
    assert Path(state).is_file() and Path(weights).is_file() and Path(state).is_absolute()
    assert poisoned(solver) == message
    assert len(list((tmp_path / "voc-tiny" / "snapshot").glob("*_iter_*"))) == 3


def test_before_that_it_is_not(solver_of):
    solver = solver_of(0.01)
    watched(solver)
    solver.step(3)
    solver.snapshot()
    solver.net.params["body"][0].data[0, 0] = np.nan
    message = poisoned(solver)
    assert "no good snapshot; not to be trusted: train_iter_3.caffemodel" in message
    assert message.endswith("take a smaller base_lr, and start again: --set base_lr=0.001")


@pytest.mark.parametrize("momentum", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("rate", [30, 1e3, 1e6, 1e9])
def test_finite_weights_that_are_wrecked_are_never_named(solver_of, rate, momentum):
    """A snapshot a step, until the loss is NaN: that which is named gives a loss as a net that learns."""
    solver = solver_of(rate)
    solver.param.snapshot, solver.param.momentum = 1, momentum
    watch, _ = watched(solver)
    message = poisoned(solver, 2000)
    assert "train_iter_" in message  # finite ones were written
    if good := watch.snapshots.good:
        solver.net.copy_from(good.weights)
        losses = [solver.net.forward()["loss"].item() for _ in range(2)]
        assert max(losses) < 2 * math.log(3)


@pytest.mark.parametrize("display", [0, 5])
def test_after_a_run_that_went_well_the_newest_is_named(solver_of, mock_gpu, display):
    """On a GPU, too, which looks at displays only."""
    solver = solver_of(0.01, f"display: {display}")
    solver.param.snapshot = 20
    watch, _ = watched(solver)
    solver.step(61)
    assert watch.snapshots.good.weights == "snapshot/train_iter_60.caffemodel"
    assert watch.snapshots.doubtful == []


def test_the_names_are_those_of_the_format(solver_of):
    solver = solver_of(0.01, "snapshot_format: HDF5")
    watch, _ = watched(solver, last_good="start.caffemodel")
    assert watch.snapshots.good == ("start.caffemodel", "")
    solver.step(2)
    solver.snapshot()
    solver.step(1)
    assert all(Path(file).is_file() for file in watch.snapshots.good)
    assert Snapshot.of(watch.snapshots.good.state) == watch.snapshots.good


# ---- what it was started from


def overflowing(solver):
    """Finite weights from which no pass can be made."""
    for name in ("body", "score_fr"):
        solver.net.params[name][0].data[...] = 1e30


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_nan_in_the_first_pass_is_blamed_on_the_start(solver_of, request, device):
    if device == "gpu":
        request.getfixturevalue("mock_gpu")
    solver = solver_of(0.01, "display: 7")
    overflowing(solver)
    _, told = watched(solver, begun_from=["vgg.caffemodel"])
    message = poisoned(solver)
    assert "at iteration 0, in the first pass from vgg.caffemodel, before any step" in message
    way_out = told[-1].way_out
    assert "vgg.caffemodel has: start from other weights" in way_out and "base_lr" not in way_out


def test_nan_in_the_first_pass_after_a_resume_is_blamed_on_the_snapshot(solver_of):
    solver = solver_of(0.01)
    solver.step(3)
    overflowing(solver)
    solver.snapshot()
    state = "snapshot/train_iter_3.solverstate"
    again = solver_of(0.01)
    again.restore(state)
    _, told = watched(again, last_good=state)
    message = poisoned(again)
    assert "at iteration 3, in the first pass from snapshot/train_iter_3.caffemodel" in message
    assert "no good snapshot; not to be trusted: train_iter_3.caffemodel" in message
    assert "an older snapshot" in told[-1].way_out and "base_lr" not in told[-1].way_out


def test_what_went_well_at_first_is_gone_on_from(solver_of):
    solver = solver_of(0.01)
    solver.step(3)
    solver.snapshot()
    state = "snapshot/train_iter_3.solverstate"
    again = solver_of(1e30)
    again.restore(state)
    watched(again, last_good=state)
    message = poisoned(again)
    assert (
        f"go on from the last good snapshot: --resume {Path(state).resolve()} --set base" in message
    )
    assert "--set base_lr=1e+29, or afresh: --weights" in message


def test_a_start_whose_first_loss_has_exploded_is_blamed(solver_of):
    wrong = np.roll(np.eye(3), 1, 0) * 1e5
    solver = solver_of(0.01, score=wrong)
    watched(solver, begun_from=["other.caffemodel"])
    solver.step(1)
    solver.net.params["body"][0].data[0, 0] = np.nan
    assert "the first loss from other.caffemodel had exploded already" in poisoned(solver)


def test_a_policy_without_a_rate_is_blamed(solver_of):
    solver = solver_of(0.01, "display: 1 power: 0.9 max_iter: 5")
    solver.param.lr_policy = "poly"
    _, told = watched(solver)
    message = poisoned(solver)
    assert "lr_policy 'poly' gives no rate beyond max_iter 5: set max_iter" in message
    assert "smaller base_lr" not in message
    assert told[-1].kind == "nan"


# ---- the judgement alone


def judged(losses, guess=1.0, every=1):
    """Snapshots after these losses, one written before each."""
    found = Snapshots()
    for k, loss in enumerate(losses):
        found.written(Snapshot(f"{k}.caffemodel", f"{k}.solverstate"))
        found.passed(k * every, {"loss": loss}, {"loss": guess})
    return found


@pytest.mark.parametrize(
    "losses, good, doubtful",
    [
        ([1.0, 0.9, 0.8], 2, 0),
        ([1.0, 0.9, 50.0, math.nan], 1, 2),
        ([1.0, 1.5, math.nan], 0, 2),  # worse than a guess
        ([1.0, 0.9, 50.0, 0.5, math.nan], 1, 3),  # an easy picture between
        ([1.0, 50.0, *[0.5] * CALM], CALM + 1, 0),  # it has come to rest
        ([1.0, 50.0, *[0.5] * (CALM - 1)], 0, CALM),
        ([50.0, math.nan], None, 2),
        ([*[0.01] * FEW, 0.5, math.nan], FEW - 1, 2),  # far above what is usual in this run
        ([*[0.1] * 20, *[0.5] * 30, math.nan], 25, 25),  # it loses what it knew, finite as it is
        ([*[0.1, 0.4, 0.2] * 30], 89, 0),  # pictures differ
    ],
)
def test_judgement(losses, good, doubtful):
    found = judged(losses)
    assert found.good == (good if good is None else (f"{good}.caffemodel", f"{good}.solverstate"))
    assert len(found.doubtful) == doubtful


def test_a_good_start_stays_good_until_its_first_loss(solver_of):
    found = Snapshots("a/train_iter_4.solverstate")
    assert found.good == ("a/train_iter_4.caffemodel", "a/train_iter_4.solverstate")
    found.passed(4, {"loss": 50.0}, {"loss": 1.0})
    assert found.good is None and found.begun_badly
    for k in range(5, 5 + CALM):
        found.passed(k, {"loss": 0.5}, {"loss": 1.0})
    assert found.good.state == "a/train_iter_4.solverstate" and not found.begun_badly


def test_bvlc_s_pycaffe_names_no_snapshot_that_it_does_not_know(solver_of, monkeypatch):
    monkeypatch.setattr("fcn.watching.watch.LOOKER", None)
    monkeypatch.delattr(caffe, "diagnosis")
    solver = solver_of(0.01)
    solver.net.params["body"][0].data[0] = np.inf
    with pytest.raises(Poisoned, match="starting weights"):
        watched(solver)
