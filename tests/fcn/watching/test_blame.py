"""The cause that holds is named, and not the one beside it."""

import numpy as np
import pytest
from watched import kinds, score, watched

from fcn import measures
from fcn.findings import NOTE, WARN
from fcn.watching import signatures

RELU = 'layer { name: "relu" type: "ReLU" bottom: "body" top: "body" }\nlayer {\n  name: "drop7"'


def rectified(text):
    """The train net with a ReLU."""
    return text.replace('layer {\n  name: "drop7"', RELU)


def one(told, kind):
    (finding,) = [finding for finding in told if finding.kind == kind]
    return finding


def stop_learning(solver):
    """Let the weights stay as they are from now on."""
    solver.param.base_lr = solver.param.weight_decay = 0
    for blob in solver.history:
        blob.data[...] = 0


# ---- dead rectifiers


def test_what_was_dead_before_the_first_step_is_no_matter_of_the_rate(solver_of):
    solver = solver_of(0.01, train=rectified)
    solver.net.params["body"][1].data[...] = -100
    watch, told = watched(solver, at_leisure=True)
    solver.step(60)
    dead = one(told, "dead")
    assert dead.what.startswith("all channels of relu were dead before the first step")
    assert "base_lr" not in dead.way_out and "start from other weights" in dead.way_out
    collapsed = watch.scored("score", *flat_scores(solver))[0]
    assert "'relu' (ReLU) gives zeros everywhere: it is dead, and was so" in collapsed.what
    assert "base_lr" not in collapsed.way_out


@pytest.mark.parametrize("momentum", [0.9, 0.99])
def test_what_a_huge_rate_has_killed_is_a_matter_of_the_rate(solver_of, momentum):
    """Within the first steps, and the net lives on by the bias of its scores."""
    solver = solver_of(0.01, train=rectified, score=np.eye(3))
    solver.param.momentum = momentum
    watch, told = watched(solver, at_leisure=True)
    solver.step(3)
    solver.net.params["body"][1].data[...] = -1e6  # what one step at such a rate does
    solver.step(120)
    dead = one(told, "dead")
    assert dead.what.startswith("all channels of relu are dead") and "base_lr" in dead.way_out
    assert "33% in the first ones" in dead.evidence


def test_a_frozen_body_is_left_alone(solver_of):
    """As long as the score layer learns."""
    frozen = "\n  param { lr_mult: 0 }\n  param { lr_mult: 0 }\n  convolution_param {"

    def freeze(text):
        head, body, rest = text.partition('name: "body"')
        return head + body + rest.replace("\n  convolution_param {", frozen, 1)

    solver = solver_of(0.01, train=freeze)
    assert solver.net.params_lr[:2] == [0, 0]
    watch, told = watched(solver, at_leisure=True)
    solver.step(150)
    score(watch)
    assert kinds(told) == []


def flat_scores(solver):
    """Of a net that gives every pixel class 0: hist, loss, result, images."""
    hist = np.array([[70, 0, 0], [20, 0, 0], [10, 0, 0]])
    return hist, 0.8, measures.scores(hist), 1


def test_zeros_in_the_data_are_the_cause_of_scores_of_zero(solver_of):
    solver = solver_of(0.01)
    layer = solver.net.layers[0]
    forward = layer.forward
    layer.forward = lambda bottom, top: (forward(bottom, top), top[0].data.fill(0))
    _, told = watched(solver, at_leisure=True)
    solver.net.params["score_fr"][1].data[...] = 0
    stop_learning(solver)
    solver.step(40)
    finding = one(told, "uniform")
    assert "layer 'data' (Python): what it reads from the data is zero everywhere" in finding.what


def test_a_layer_that_multiplies_by_zero_is_not_called_dead(solver_of):
    def scaled(text):
        return rectified(text).replace('"relu" type: "ReLU"', '"s" type: "Scale"')

    solver = solver_of(0.01, train=scaled, score=np.eye(3))
    solver.net.params["s"][0].data[...] = 0
    _, told = watched(solver, at_leisure=True)
    stop_learning(solver)
    solver.step(40)
    finding = one(told, "uniform")
    assert "dead" not in finding.what and "'s' (Scale)" in finding.what


# ---- labels and means


def relabelled(solver, change):
    """The solver, whose training labels are changed as they are read."""
    layer = solver.net.layers[0]
    forward = layer.forward

    def changed(bottom, top):
        forward(bottom, top)
        labels = top[1].data
        valid = labels < 3
        labels[valid] = change(labels[valid])

    layer.forward = changed
    return solver


@pytest.mark.parametrize("start", [None, np.eye(3) * 5])
def test_labels_that_are_shifted_by_one_are_the_cause(solver_of, start):
    solver = relabelled(solver_of(0.03, score=start), lambda labels: (labels + 1) % 3)
    best = {"score": {"mean_iu": 1.0, "images": 3}} if start is not None else None
    watch, told = watched(solver, at_leisure=True, start=best)
    solver.step(200)
    found = score(watch)
    differ = one(found, "labels.differ")
    assert differ.level == WARN and "numbered otherwise" in differ.what
    assert "class 0" in differ.evidence
    assert not any("base_lr" in finding.way_out for finding in [*found, *told])


def test_classes_that_are_exchanged_are_seen_in_the_scores():
    swapped = np.array([[90, 5, 5], [2, 10, 40], [3, 30, 8]])
    assert signatures.renumbered(swapped) == {1: 2, 2: 1}
    poor = np.array([[90, 5, 5], [30, 10, 8], [30, 3, 8]])  # much is given background
    assert signatures.renumbered(poor) == {}
    assert signatures.renumbered(np.eye(5)) == {}
    one_way = np.array([[90, 5, 5], [2, 40, 10], [3, 30, 8]])  # class 2 taken for 1
    assert signatures.renumbered(one_way) == {}


def test_another_mean_is_the_cause_of_scores_below_the_start(solver_of):
    solver = solver_of(0.01, score=np.eye(3))
    solver.net.layers[0].mean = np.zeros(3, np.float32)
    start = {"score": {"mean_iu": 1.0, "images": 1}}
    watch, _ = watched(solver, start=start)
    solver.step(30)
    hist = np.array([[70, 0, 0], [0, 20, 0], [10, 0, 0]])
    (finding,) = watch.scored("score", hist, 0.3, measures.scores(hist), 1)
    assert finding.kind == "below_start" and "subtract different means" in finding.what
    assert "train (0, 0, 0), test (90, 95, 100)" in finding.evidence


def test_right_in_training_and_wrong_in_the_scoring(solver_of):
    watch, _ = watched(solver_of(0.01, score=np.eye(3)))
    watch.solver.step(30)
    hist, _, result, _ = flat_scores(watch.solver)
    (finding,) = watch.scored("score", hist, 5.0, result, 1)
    assert "right on what it trains on, and wrong on what is scored" in finding.what
    assert "5 in the scoring" in finding.evidence and "base_lr" not in finding.way_out


# ---- a rate that is too large


def test_a_loss_far_above_a_guess_is_a_matter_of_the_rate(solver_of):
    solver = solver_of(0.01)
    watch, told = watched(solver, at_leisure=True)
    solver.step(3)
    solver.snapshot()
    solver.step(1)
    solver.net.params["score_fr"][1].data[...] = [-9, 0, 9]
    solver.net.params["score_fr"][0].data[...] = 0
    stop_learning(solver)
    solver.step(60)
    finding = one(told, "exploded")
    assert "the loss of score has exploded: the rate is too large" in finding.what
    assert "train_iter_3.solverstate, or afresh: --weights" in finding.way_out
    hist, _, result, _ = flat_scores(solver)
    assert "the rate is too large" in watch.scored("score", hist, 9.0, result, 1)[0].what


def test_weights_that_ran_away_explain_scores_below_the_start(solver_of):
    watch, _ = watched(
        solver_of(0.01, score=np.eye(3)), start={"score": {"mean_iu": 1.0, "images": 1}}
    )
    watch.solver.step(1)
    watch.solver.net.params["body"][0].data[...] *= 3
    watch.solver.step(1)
    hist = np.array([[70, 0, 0], [0, 20, 0], [10, 0, 0]])
    (finding,) = watch.scored("score", hist, 0.5, measures.scores(hist), 1)
    assert finding.kind == "below_start" and "the rate is too large" in finding.what
    assert "of their size in 2 steps" in finding.evidence


def test_scores_below_the_start_of_weights_that_have_not_moved(solver_of):
    start = {"score": {"mean_iu": 1.0, "images": 1}}
    watch, _ = watched(solver_of(1e-12, score=np.eye(3)), start=start)
    watch.solver.step(2)
    hist = np.array([[70, 0, 0], [0, 20, 0], [10, 0, 0]])
    (finding,) = watch.scored("score", hist, 0.5, measures.scores(hist), 1)
    assert "base_lr" not in finding.way_out and "all copied" in finding.way_out


def test_one_class_in_scoring_after_scoring_is_a_warning(solver_of):
    watch, _ = watched(solver_of())
    watch.solver.step(1)
    levels = []
    for _ in range(4):
        levels += [each.level for each in watch.scored("score", *flat_scores(watch.solver))]
    assert levels == [NOTE, WARN]
