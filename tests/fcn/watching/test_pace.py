"""A rate so small that nothing is learned is named, with the rate and how far the weights have moved."""

import contextlib

import numpy as np
import pytest
from places import ROOT
from published import MODELS
from watched import kinds, score, watched

from caffe.proto import caffe_pb2
from fcn import prototxts
from fcn.doctor import recipe
from fcn.watching import Poisoned
from fcn.watching.pace import LEAST_STEP, Pace


def still(told):
    (finding,) = [finding for finding in told if finding.kind == "still"]
    return finding


def test_a_rate_that_rounds_to_nothing_is_not_taken_for_a_layer_of_zeros(solver_of):
    watch, told = watched(solver_of(1e-46))
    watch.solver.step(60)
    (finding,) = told
    assert "rate is too small" in finding.what and "the weights did not move" in finding.evidence


@pytest.mark.parametrize("solver_type", ["", 'type: "Adam" momentum2: 0.999 delta: 1e-8'])
def test_a_loss_that_stands_still_far_from_a_guess(solver_of, solver_type):
    """As in a stage that starts from a good net: nothing is wrong with its scores."""
    watch, told = watched(solver_of(1e-12, solver_type, score=np.eye(3)), at_leisure=True)
    watch.solver.step(150)
    if solver_type:  # whose step does not tell how fast a net learns
        assert told == []
        return
    finding = still(told)
    assert finding.what.endswith("the weights have hardly moved, because the rate is too small")
    assert "rate 1e-12, base_lr 1e-12" in finding.evidence and "larger base_lr" in finding.way_out
    assert kinds(score(watch)) == []


POLICIES = {
    "step": "gamma: 0.1 stepsize: 3",
    "exp": "gamma: 0.5",
    "inv": "gamma: 1e6 power: 1",
    "sigmoid": "gamma: -1 stepsize: 10",
    "multistep": "gamma: 1e-9 stepvalue: 20",
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_that_has_let_the_rate_fall(solver_of, policy):
    solver = solver_of(0.001, POLICIES[policy], score=np.eye(3))
    solver.param.lr_policy = policy
    watch, told = watched(solver, at_leisure=True)
    solver.step(250)
    finding = still(told)
    assert f"lr_policy '{policy}' has let the rate fall to almost nothing" in finding.what
    assert "base_lr 0.001" in finding.evidence and "--set lr_policy=fixed" in finding.way_out
    assert kinds(told) == ["still"]


@pytest.mark.parametrize(
    "policy, settings",
    [
        ("poly", "power: 0.9 max_iter: 301"),
        ("multistep", "gamma: 0.1 stepvalue: 100 stepvalue: 200"),
        ("exp", "gamma: 0.97"),  # a ten-thousandth at the end
    ],
)
def test_policies_that_come_to_rest_are_left_alone(solver_of, policy, settings):
    solver = solver_of(0.01, settings)
    solver.param.lr_policy = policy
    _, told = watched(solver, at_leisure=True)
    solver.step(300)
    assert kinds(told) == []


@pytest.mark.parametrize("power, rate", [(0.9, "nan"), (1, "-0.0")])
def test_a_policy_that_gives_no_rate(solver_of, power, rate):
    solver = solver_of(0.01, f"display: 1 power: {power} max_iter: 5", score=np.eye(3))
    solver.param.lr_policy = "poly"
    _, told = watched(solver, at_leisure=True)
    with pytest.raises(Poisoned) if rate == "nan" else contextlib.nullcontext():
        solver.step(30)
    (finding,) = [finding for finding in told if finding.kind == "no_rate"]
    assert finding.what == "lr_policy 'poly' gives no rate beyond max_iter 5"
    assert f"rate {rate}" in finding.evidence and "set max_iter" in finding.way_out


class Stand:
    """Stands for a solver at its start."""

    def __init__(self, param):
        self.param, self.lr, self.iter = param, param.base_lr, 0


RECIPES = [f"{model}{form}" for form in ("", "/sample") for model in MODELS]


@pytest.mark.parametrize("name", [name for name in RECIPES if (ROOT / name).is_dir()])
def test_no_published_rate_is_tiny(name):
    folder = ROOT / name
    param = prototxts.read_text(folder / "solver.prototxt", caffe_pb2.SolverParameter())
    net = prototxts.read_net(folder / param.train_net)
    losses = [layer for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    summed = any(prototxts.loss_is_summed(layer.loss_param) for layer in losses)
    pace = Pace.__new__(Pace)
    pace.solver, pace.pixels = Stand(param), lambda: 256 * 256 if summed else 1
    assert not pace.is_tiny(param.base_lr)
    assert pace.is_tiny(param.base_lr * 1e-7)


def test_the_checks_before_training_draw_the_same_line():
    assert recipe.FINE_TUNING == LEAST_STEP
