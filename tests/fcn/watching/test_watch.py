"""Training that goes wrong in known ways is named while it runs; training that does not is left alone."""

import re

import numpy as np
import pytest
from waits import Waits
from watched import kinds, score, watched

import caffe
from fcn import measures
from fcn.findings import NOTE, WARN
from fcn.watching import Poisoned, require_finite

# ---- healthy runs


@pytest.mark.parametrize("rate", [0.001, 0.003, 0.01])
@pytest.mark.parametrize("start", [None, np.eye(3), -np.eye(3)])
@pytest.mark.parametrize("more", ["", "display: 1", 'type: "Adam" momentum2: 0.999 delta: 1e-8'])
def test_a_healthy_run_is_left_alone(solver_of, rate, start, more):
    """From a zero score layer, a good one, a wrong one."""
    watch, told = watched(solver_of(rate, more, score=start))
    for _ in range(3):
        watch.solver.step(50)
        score(watch)
    assert [finding for finding in told if finding.level != NOTE] == []


def test_watching_changes_no_number(solver_of):
    weights = []
    for watch in (True, False):
        caffe.set_random_seed(1)
        solver = solver_of(0.01)
        if watch:
            watched(solver)
        solver.step(50)
        weights.append([b.data.copy() for blobs in solver.net.params.values() for b in blobs])
    assert all(map(np.array_equal, *weights))


def test_between_displays_a_gpu_is_not_waited_for(solver_of, mock_gpu):
    solver = solver_of(0.01, "display: 20")
    watch, _ = watched(solver)
    solver.step(1)
    watch.spent = 0
    with Waits():
        watch.after_pass()
        watch.dying.activity.add()


def test_looks_take_their_share_of_the_time_at_most(solver_of):
    watch, _ = watched(solver_of())
    looks = []
    watch.spent = 1e9
    watch.in_time(lambda: looks.append(1))
    assert looks == []
    watch.spent = 0
    watch.in_time(lambda: looks.append(1))
    assert looks == [1]


# ---- NaN


def test_a_loss_that_is_nan_stops_the_run_and_names_the_layer(solver_of):
    solver = solver_of(1e30)
    _, told = watched(solver)
    with pytest.raises(Poisoned) as error:
        solver.step(100)
    assert solver.iter < 10
    (finding,) = told
    assert finding.kind == "nan" and finding.level == "refuse"
    assert "loss is nan at iteration" in str(error.value)
    assert "rate 1e+30; momentum 0.9" in str(error.value)
    assert "no good snapshot" in str(error.value)
    assert "first in layer '" in str(error.value)
    with pytest.raises(Poisoned):
        solver.snapshot()
    assert told == [finding]


def test_nan_that_the_data_bring_is_no_matter_of_the_rate(solver_of):
    solver = solver_of()
    watched(solver)
    solver.step(1)
    layer = solver.net.layers[0]
    forward = layer.forward
    layer.forward = lambda bottom, top: (forward(bottom, top), top[0].data.fill(np.nan))
    with pytest.raises(
        Poisoned, match="layer 'data' .Python.: the data that it reads are not"
    ) as e:
        solver.step(1)
    assert "look at the picture" in str(e.value)


def test_starting_weights_of_nan_are_refused(solver_of):
    solver = solver_of()
    solver.net.params["body"][1].data[1] = np.inf
    with pytest.raises(Poisoned, match="starting weights are not finite .* 1 of 3 layers: body"):
        watched(solver)
    solver.net.params["body"][1].data[1] = 0
    require_finite(solver.net)


def test_a_scoring_of_nan_stops_the_run(solver_of):
    watch, _ = watched(solver_of())
    with pytest.raises(Poisoned, match="loss of score is nan on the scored pictures"):
        watch.scored("score", np.eye(3), float("nan"), {"pixel_accuracy": 0.9})


def test_on_a_gpu_nan_is_seen_at_the_next_display(solver_of, mock_gpu):
    solver = solver_of(1e30, "display: 7")
    watched(solver)
    with pytest.raises(Poisoned, match="loss is nan at iteration 7: first in layer"):
        solver.step(100)


def test_on_bvlc_s_pycaffe_nan_is_seen_all_the_same(solver_of, monkeypatch):
    monkeypatch.setattr("fcn.watching.watch.LOOKER", None)
    monkeypatch.delattr(caffe, "diagnosis")
    watch, told = watched(solver_of(0.01))
    watch.solver.step(50)
    score(watch)
    watch.solver.net.params["body"][0].data[0] = np.nan
    with pytest.raises(Poisoned, match="not finite at iteration 60"):
        watch.solver.step(50)
    with pytest.raises(Poisoned):
        watch.solver.snapshot()
    assert len(told) == 1


# ---- scores that say nothing


def test_an_upsampling_of_zeros_is_the_cause_not_the_zero_score_layer(solver_of):
    solver = solver_of(filled=False)
    solver.net.params["body"][0].data[...] = 0.01
    watch, told = watched(solver)
    solver.step(60)
    stuck, finding = told
    assert stuck.kind == "stuck" and finding.kind == "uniform" and finding.level == WARN
    assert "weights of 'upscore' (Deconvolution) are zero" in finding.what
    assert "body, score_fr" in finding.what and "ln(3) = 1.09861" in finding.evidence


def test_a_summed_loss_of_uniform_scores(solver_of):
    """As in the published recipes: pixels labelled 255 do not count."""
    solver = solver_of(
        filled=False, train=lambda t: t.replace("normalize: true", "normalize: false")
    )
    _, told = watched(solver)
    solver.step(60)
    (finding,) = [f for f in told if f.kind == "uniform"]
    assert solver.net.blobs["loss"].data > 500 and "ln(3) = 1.09861" in finding.evidence


def test_zero_weights_below_are_the_cause(solver_of):
    watch, told = watched(solver_of(body=np.zeros((3, 3))))
    watch.solver.step(60)
    (finding,) = told
    assert finding.kind == "stuck"
    assert "the weights of 'body' (Convolution) are zero and stay so" in finding.what
    assert "only the bias of score_fr can learn" in finding.what
    found = score(watch)
    assert found[0].kind == "collapsed" and found[0].level == WARN
    assert "'body' (Convolution) are zero" in found[0].what and "score_fr'" not in found[0].what


def test_a_rate_that_is_too_small_is_the_cause(solver_of):
    watch, told = watched(solver_of(1e-10), at_leisure=True)
    watch.solver.step(150)
    (finding,) = told
    assert finding.kind == "uniform"
    assert "the weights have hardly moved, because the rate is too small" in finding.what
    assert "rate 1e-10" in finding.evidence and "zero" not in finding.what
    assert re.search(
        r"the weights moved by \d\.\de-\d\d of their size in \d+ steps", finding.evidence
    )
    hist = np.array([[70, 0, 0], [20, 0, 0], [10, 0, 0]])
    (scored,) = watch.scored("score", hist, 1.0986, measures.scores(hist), 1)
    assert scored.kind == "collapsed" and "rate is too small" in scored.what


RELU = 'layer { name: "relu" type: "ReLU" bottom: "body" top: "body" }\nlayer {\n  name: "drop7"'


def test_dead_rectifiers_are_named(solver_of):
    solver = solver_of(
        1e-4, score=np.eye(3), train=lambda t: t.replace('layer {\n  name: "drop7"', RELU)
    )
    watch, told = watched(solver)
    solver.step(200)
    assert kinds(told) == []
    solver.net.params["body"][1].data[...] = -100
    solver.step(300)
    assert "dead" in kinds(told)
    (finding,) = [f for f in told if f.kind == "dead"]
    assert finding.what.startswith("all channels of relu are dead")


def test_a_saturated_softmax_is_named(solver_of):
    wrong = np.roll(np.eye(3), 1, 0) * 1e6
    watch, told = watched(solver_of(1e-12, score=wrong))
    watch.solver.step(1)
    score(watch)
    (finding,) = [f for f in told if f.kind == "saturated"]
    assert "start from other weights" in finding.way_out  # it was so before the first step


def test_a_truth_of_one_class_is_named_in_training_and_scoring(solver_of):
    watch, told = watched(solver_of(body=np.zeros((3, 3))))
    labels = [layer for layer in (watch.solver.net, watch.solver.test_nets[0])]
    for net in labels:
        layer = net.layers[0]
        forward = layer.forward
        layer.forward = lambda bottom, top, f=forward: (f(bottom, top), top[1].data.fill(0))
    watch.solver.step(200)
    score(watch)
    assert any("scored pictures hold class 0 only" in f.what for f in told)
    assert any("labels it trains on hold class 0 only" in f.what for f in told)


def test_a_stage_below_its_start(solver_of):
    start = {"score": {"mean_iu": 1.0, "images": 3}}
    watch, told = watched(solver_of(1e-9, score=-np.eye(3)), start=start)
    watch.solver.step(1)
    found = [f for f in score(watch) if f.kind == "below_start"]
    assert found[0].level == WARN and "1.0000 at the start" in found[0].evidence
    good, told = watched(solver_of(0.01, score=np.eye(3)), start={"score": {"mean_iu": 0.3}})
    good.solver.step(20)
    score(good)
    assert told == []


def test_all_background_early_is_a_note_with_its_identities(solver_of):
    watch, told = watched(solver_of())
    hist = np.array([[7, 0, 0], [2, 0, 0], [1, 0, 0]])
    (finding,) = watch.scored("score", hist, 0.8, measures.scores(hist), 1)
    assert finding.kind == "collapsed" and finding.level == NOTE
    assert "0.7000, mean accuracy 0.3333, mean iu 0.2333, fw iu 0.4900" in finding.evidence
    assert watch.scored("score", hist, 0.8, measures.scores(hist), 1) == []


def test_a_gradient_that_is_not_finite_is_told_before_it_reaches_the_weights(solver_of):
    """On request; the loss of that step is finite."""

    def spoil():
        if solver.iter == 7:
            solver.net.params["score_fr"][0].diff[0] = np.inf

    solver = solver_of(0.01)
    solver.add_callback(lambda: None, spoil)
    watch, told = watched(solver, gradients=True)
    with pytest.raises(
        Poisoned, match="the gradient of layer 'score_fr' .* is not finite.* iteration 7"
    ):
        solver.step(20)
    require_finite(solver.net)
    assert solver.iter == 7 and kinds(told) == ["nan"]
