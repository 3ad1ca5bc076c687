"""Solver: updates against their formulas, tests, snapshots (ideas of test_gradient_based_solver.cpp)."""

import pathlib

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2

NET = """name: "least squares"
layer { name: "data" type: "Input" top: "data" top: "target"
  input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" %s
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "target" top: "loss" }
"""
COMMON = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" snapshot_prefix: "s" max_iter: 10 '


@pytest.fixture
def solver_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def build(text, specs=""):
        (tmp_path / "net.prototxt").write_text(NET % specs)
        (tmp_path / "solver.prototxt").write_text(COMMON + text)
        solver = caffe.get_solver("solver.prototxt")
        rng = np.random.default_rng(3)
        for name in ("data", "target"):
            solver.net.blobs[name].data[...] = rng.standard_normal(
                solver.net.blobs[name].data.shape
            )
        return solver

    return build


def gradient(solver, weight, bias):
    """Of the Euclidean loss, by its formula."""
    x, t = (solver.net.blobs[n].data.astype(np.float64) for n in ("data", "target"))
    error = (x @ weight.T + bias - t) / len(x)
    return error.T @ x, error.sum(0)


def sgd(g, rate, s, w):
    s["h"] = 0.9 * s.get("h", 0) + rate * g
    return s["h"]


def nesterov(g, rate, s, w):
    before = s.get("h", 0)
    s["h"] = 0.9 * before + rate * g
    return 1.9 * s["h"] - 0.9 * before


def adagrad(g, rate, s, w):
    s["h"] = s.get("h", 0) + g**2
    return rate * g / (np.sqrt(s["h"]) + 1e-8)


def rmsprop(g, rate, s, w):
    s["h"] = 0.5 * s.get("h", 0) + 0.5 * g**2
    return rate * g / (np.sqrt(s["h"]) + 1e-8)


def adadelta(g, rate, s, w):
    s["h"] = 0.95 * s.get("h", 0) + 0.05 * g**2
    u = g * np.sqrt((s.get("k", 0) + 1e-3) / (s["h"] + 1e-3))
    s["k"] = 0.95 * s.get("k", 0) + 0.05 * u**2
    return rate * u


def adam(g, rate, s, w):
    s["t"] = s.get("t", 0) + 1
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    correction = np.sqrt(1 - 0.999 ** s["t"]) / (1 - 0.9 ** s["t"])
    return rate * correction * s["m"] / (np.sqrt(s["v"]) + 1e-8)


RULES = {
    "SGD": ("momentum: 0.9", sgd),
    "Nesterov": ("momentum: 0.9", nesterov),
    "AdaGrad": ("", adagrad),
    "RMSProp": ("rms_decay: 0.5", rmsprop),
    "AdaDelta": ("momentum: 0.95 delta: 1e-3", adadelta),
    "Adam": ("momentum: 0.9", adam),
}
EXTRAS = {
    "plain": ("", 1, 0, 0),
    "decay": ("weight_decay: 0.3", 1, 0.3, 0),
    "l1": ('weight_decay: 0.3 regularization_type: "L1"', 1, 0, 0.3),
    "iter_size": ("iter_size: 3 weight_decay: 0.3", 1, 0.3, 0),
    "clipped": ("clip_gradients: 0.2 weight_decay: 0.3", 0.2, 0.3, 0),
}


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("rule", RULES)
def test_update_equals_its_formula(rule, extra, solver_of):
    settings, update = RULES[rule]
    more, clip, l2, l1 = EXTRAS[extra]
    solver = solver_of(f'type: "{rule}" {settings} {more}')
    weight, bias = (b.data.astype(np.float64).copy() for b in solver.net.params["ip"])
    states = {}, {}
    for _ in range(4):
        solver.step(1)
        grads = gradient(solver, weight, bias)
        if extra == "clipped":
            norm = np.sqrt(sum((g**2).sum() for g in grads))
            assert norm > clip
            grads = [g * clip / norm for g in grads]
        for w, g, state in zip((weight, bias), grads, states):
            w -= update(g + l2 * w + l1 * np.sign(w), 0.1, state, w)
        for blob, want in zip(solver.net.params["ip"], (weight, bias)):
            np.testing.assert_allclose(blob.data, want, rtol=2e-4, atol=2e-6)


def test_multipliers_of_rate_and_decay(solver_of):
    specs = "param { lr_mult: 2 decay_mult: 3 } param { lr_mult: 0 }"
    solver = solver_of("weight_decay: 0.1", specs)
    weight, bias = (b.data.copy() for b in solver.net.params["ip"])
    solver.step(1)
    want = weight - 0.2 * (gradient(solver, weight, bias)[0] + 0.3 * weight)
    np.testing.assert_allclose(solver.net.params["ip"][0].data, want, rtol=1e-5)
    assert (solver.net.params["ip"][1].data == bias).all()


def test_large_parameters_update_as_small_ones(solver_of, monkeypatch):
    """The slices that fit the cache change nothing."""
    whole = solver_of("momentum: 0.9 random_seed: 5")
    whole.step(3)
    monkeypatch.setattr("caffe.gradients.SLICE", 2)
    sliced = solver_of("momentum: 0.9 random_seed: 5")
    sliced.step(3)
    for a, b in zip(whole.net.params["ip"], sliced.net.params["ip"]):
        assert (a.data == b.data).all()


def test_one_seed_one_run(solver_of):
    runs = []
    for _ in range(2):
        solver = solver_of("random_seed: 9 momentum: 0.9")
        solver.step(5)
        runs.append(solver.net.params["ip"][0].data.copy())
    assert (runs[0] == runs[1]).all()


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_a_restored_run_equals_the_uninterrupted_one(rule, form, solver_of):
    text = f'type: "{rule}" momentum: 0.9 snapshot_format: {form} random_seed: 2'
    solver = solver_of(text)
    solver.step(3)
    solver.snapshot()
    solver.step(3)
    again = solver_of(text)
    again.restore("s_iter_3.solverstate" + (".h5" if form == "HDF5" else ""))
    assert again.iter == 3
    again.step(3)
    for a, b in zip(solver.net.params["ip"], again.net.params["ip"]):
        assert (a.data == b.data).all()


def test_a_failed_restore_changes_nothing(solver_of):
    solver_of("").snapshot()
    adam = solver_of('type: "Adam"')
    before = adam.net.params["ip"][0].data.copy()
    with pytest.raises(ValueError, match="another solver type"):
        adam.restore("s_iter_0.solverstate")
    assert adam.iter == 0 and (adam.net.params["ip"][0].data == before).all()


def test_weights_given_as_a_state_say_so(solver_of):
    solver = solver_of("momentum: 0.9")
    solver.step(1)
    solver.snapshot()
    with pytest.raises(ValueError, match="s_iter_1.caffemodel"):
        solver.restore("s_iter_1.caffemodel")
    with pytest.raises(ValueError, match="s_iter_1.solverstate"):
        solver.net.copy_from("s_iter_1.solverstate")


def test_test_nets_see_the_trained_weights(solver_of, monkeypatch):
    solver = solver_of("test_iter: 2 test_interval: 2 test_initialization: false")
    test = solver.test_nets[0]
    for name in ("data", "target"):
        test.blobs[name].data[...] = solver.net.blobs[name].data
    shown = []
    monkeypatch.setattr("caffe.solver_nets.info", lambda where, text: shown.append(text))
    solver.step(3)
    weight, bias = (b.data for b in solver.net.params["ip"])
    scores = [t for t in shown if "Test net output" in t]
    assert len(scores) == 1
    solver.net.forward()
    assert test.params["ip"][0].data.ctypes.data == weight.ctypes.data


def test_callbacks_run_around_the_passes(solver_of):
    solver, seen = solver_of(""), []
    solver.add_callback(
        lambda: seen.append(("start", solver.iter)), lambda: seen.append(("ready", solver.iter))
    )
    solver.step(2)
    assert seen == [("start", 0), ("ready", 0), ("start", 1), ("ready", 1)]


@pytest.mark.parametrize(
    "policy, rate",
    [
        ('lr_policy: "exp" gamma: 1e30', np.inf),
        ('lr_policy: "step" stepsize: 1 gamma: 1e30', np.inf),
        ('lr_policy: "inv" gamma: 0 power: -3', 0.1),
        ('lr_policy: "poly" power: 0.5', np.nan),
    ],
)
def test_rates_out_of_range_are_those_of_c(policy, rate, solver_of):
    solver = solver_of("")
    text_format.Merge(policy, solver.param)
    solver.iter = 20  # beyond max_iter
    np.testing.assert_allclose(solver.lr, rate, rtol=1e-6)


def test_stop_ends_the_step(solver_of):
    solver = solver_of("")
    solver.add_callback(lambda: None, lambda: solver.stop() if solver.iter == 1 else None)
    solver.step(10)
    assert solver.iter == 2


def test_snapshot_is_a_net_and_a_state_for_caffe(solver_of):
    solver = solver_of("momentum: 0.9")
    solver.step(2)
    solver.snapshot()
    state = caffe_pb2.SolverState.FromString(pathlib.Path("s_iter_2.solverstate").read_bytes())
    assert (state.iter, state.learned_net, len(state.history)) == (2, "s_iter_2.caffemodel", 2)
    assert list(state.history[0].shape.dim) == [2, 3]
    np.testing.assert_array_equal(state.history[0].data, solver.history[0].data.ravel())


SIAMESE = """
layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: [2, 3] }
  data_filler { type: "constant" value: 1 } } }
layer { name: "first" type: "InnerProduct" bottom: "x" top: "first" param { name: "w" } %s
  inner_product_param { num_output: 3 bias_term: false weight_filler { type: "constant" value: 1 } } }
layer { name: "second" type: "InnerProduct" bottom: "x" top: "second" param { name: "w" } %s
  inner_product_param { num_output: 3 bias_term: false weight_filler { type: "constant" value: 1 } } }
layer { name: "loss" type: "Reduction" bottom: "%s" top: "loss" loss_weight: 1 }
"""


@pytest.mark.parametrize("trained", ["first", "second"])
def test_a_test_net_s_weights_shared_by_name_follow_those_that_are_trained(trained, tmp_path):
    """BVLC Caffe leaves them at their first values (its issue 4585)."""
    rules = ["include { phase: TEST }" if name != trained else "" for name in ("first", "second")]
    (tmp_path / "net.prototxt").write_text(SIAMESE % (*rules, trained))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.1 lr_policy: "fixed" test_iter: 1 '
        "test_interval: 1"
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    assert list(solver.net.params) == [trained]
    solver.step(2)
    wanted = solver.net.params[trained][0].data.copy()
    (net,) = solver.test_nets
    net.share_with(solver.net)
    assert (wanted < 1).all()
    for name in ("first", "second"):
        assert (net.params[name][0].data == wanted).all(), name
    solver.step(1)  # in the same memory from now on
    assert (net.params["second"][0].data == solver.net.params[trained][0].data).all()
    assert (net.params["first"][0].data < wanted).all()
