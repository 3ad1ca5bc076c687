"""Where values stop to be numbers, and which channels are dead, on every device."""

import math

import numpy as np
import pytest

import caffe
from caffe import diagnosis

NET = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "Convolution" bottom: "a" top: "b"
  convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Reduction" bottom: "b" top: "sum" loss_weight: 1 }
"""


@pytest.fixture
def net(net_of, device):
    net = net_of(NET, caffe.TRAIN)
    net.blobs["data"].data[...] = np.random.RandomState(0).randn(2, 3, 4, 4)
    return net


def test_a_healthy_net_has_no_origin(net):
    assert diagnosis.origin(net) is None  # before it has run
    net.forward()
    assert diagnosis.origin(net) is None and diagnosis.not_finite(net) == []
    assert diagnosis.losses(diagnosis.loss_blobs(net))["sum"] == pytest.approx(
        net.blobs["sum"].data.item()
    )
    largest = diagnosis.weight_magnitudes(net)
    assert largest["a"] == pytest.approx(abs(net.params["a"][0].data).max())
    assert diagnosis.map_magnitudes(net)["data"] == pytest.approx(abs(net.blobs["data"].data).max())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_layer_that_is_not_finite(net, bad):
    net.params["b"][1].data[0] = bad
    net.forward()
    origin = diagnosis.origin(net)
    assert (origin.layer, origin.kind, origin.broken) == ("b", "weights", ["b"])
    net.params["a"][0].data[0, 0] = bad
    net.forward()
    assert str(diagnosis.origin(net)).endswith("not finite, and those of 1 layer behind it")
    assert diagnosis.not_finite(net) == ["a", "b"]


def test_overflow_is_told_from_bad_weights_and_bad_data(net):
    net.params["a"][0].data[...] = 3e38
    net.blobs["data"].data[...] = 100
    net.forward()
    origin = diagnosis.origin(net)
    assert (origin.layer, origin.kind) == ("a", "top")
    assert "its largest weight is 3e+38" in str(origin)
    net.blobs["data"].data[0] = np.nan
    net.forward()
    assert (diagnosis.origin(net).layer, diagnosis.origin(net).kind) == ("data", "data")


def test_maps_that_were_let_go_are_left_out(net):
    net.recompute()
    net.params["b"][0].data[0] = np.nan
    net.forward()
    net.backward()
    assert diagnosis.origin(net).layer == "b"


def test_dead_channels_over_several_passes(net):
    activity = diagnosis.Activity(net)
    weights = net.params["a"][0].data
    weights[...] = 0
    net.params["a"][1].data[...] = [1, -1, -1, -1]
    weights[1, 0] = 1
    for value in (0.5, 5):  # channel 1 lives on the second picture only
        net.blobs["data"].data[...] = value
        net.forward()
        activity.add()
    assert activity.passes == 2 and activity.dead() == {"relu": 0.5}


def test_how_far_weights_are_from_their_start(net):
    movement = diagnosis.Movement(net)
    assert movement.share() == 0
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] *= 1.001
    assert movement.share() == pytest.approx(1e-3, rel=1e-2)
    assert not math.isnan(movement.share())


def test_the_spread_of_scores(net):
    net.forward()
    scores = net.blobs["b"].data
    assert diagnosis.spread(net, "b") == pytest.approx((scores.max(1) - scores.min(1)).max())


# the root of a pooled map is 0 where the map is: its gradient there is infinite, the loss is not
ROOT = """layer { name: "data" type: "DummyData" top: "data"
  dummy_data_param { shape { dim: 2 dim: 3 } data_filler { type: "constant" value: 1 } } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "root" type: "Power" bottom: "b" top: "root" power_param { power: 0.5 scale: %g shift: %g } }
layer { name: "sum" type: "Reduction" bottom: "root" top: "sum" loss_weight: 1 }
"""


@pytest.fixture
def root(tmp_path, device):
    def solver_of(scale, shift):
        (tmp_path / "net.prototxt").write_text(ROOT % (scale, shift))
        (tmp_path / "solver.prototxt").write_text(
            f'train_net: "{tmp_path}/net.prototxt" base_lr: 0.1 lr_policy: "fixed" random_seed: 1'
        )
        return caffe.get_solver(str(tmp_path / "solver.prototxt"))

    return solver_of


def test_a_gradient_that_is_not_finite_changes_no_weight(root):
    solver = root(1e-30, 0)  # of about 1e-30, and 0 where b is negative or 0
    solver.net.params["b"][0].data[...] = 0
    diagnosis.require_finite_gradients(solver)
    before = {name: row[0].data.copy() for name, row in solver.net.params.items()}
    said = r"^iteration 0: the gradient of layer 'b' \(InnerProduct\), parameter 0, .* of [34] of 4; no"
    with pytest.raises(FloatingPointError, match=said):
        solver.step(1)
    assert np.isfinite(solver.net.blobs["sum"].data).all()
    for name, row in solver.net.params.items():
        assert np.array_equal(row[0].data, before[name])


def test_finite_gradients_are_left_alone(root):
    solver = root(0.1, 4)
    diagnosis.require_finite_gradients(solver)
    solver.step(3)
    assert solver.iter == 3 and diagnosis.gradient_not_finite(solver.net) == ""
