"""The filled net: layers of zeros, of NaN, dead ones, and those that start from zero as they should."""

import numpy as np
import pytest

import caffe
from caffe import layers as L
from caffe import params as P
from fcn import prototxts
from fcn.doctor.weights import is_of_body


def changed(task, change, *names):
    """What is found after `change` of the arrays of these layers."""
    case = task.case(seconds=60)  # however busy the machine is
    for name in names:
        change(*[blob.data for blob in case.net.params[name]])
    return task.look(case)


def all_zero(weights, bias):
    weights[...], bias[...] = 0, 0


def bias_left(weights, bias):
    weights[...], bias[...] = 0, np.linspace(-1, 1, len(bias))


def as_good_as_zero(weights, bias):
    weights *= 1e-20
    bias[...] = 0.1


def test_dropped_weights(task):
    found = changed(task, all_zero, "fc6", "fc7")
    assert [(each.kind, each.level) for each in found] == [("weights.zero", "refuse")]
    assert "fc6, fc7" in found[0].what and "convert.py --sample" in found[0].way_out


@pytest.mark.parametrize("change", [all_zero, bias_left, as_good_as_zero])
@pytest.mark.parametrize("name", ["conv1_1", "conv3_1", "fc6"])
def test_a_layer_of_a_later_stage_is_lost(stage, change, name):
    stage.start_from_32s()
    found = changed(stage, change, name)
    assert [(each.kind, each.level) for each in found] == [("weights.zero", "refuse")]
    assert name in found[0].what and "fcn32s.caffemodel" in str(found[0])


def test_nan_in_the_start(task):
    def one_channel(weights, bias):
        weights[0, 0] = np.nan

    found = changed(task, one_channel, "conv3_1")
    assert [each.kind for each in found] == ["weights.nan"]
    assert "1 layer starts" in found[0].what and "conv3_1 (9 values)" in found[0].evidence
    assert "classifier.caffemodel" in found[0].evidence


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_infinite_weights_are_one_finding(stage, value):
    def broken(weights, bias):
        weights[...] = value

    stage.start_from_32s()
    found = changed(stage, broken, "conv1_1", "fc7")
    assert [each.kind for each in found] == ["weights.nan"] and "2 layers start" in found[0].what


def test_weights_that_are_too_large(task):
    def large(weights, bias):
        weights *= 1e37

    found = changed(task, large, "conv2_1", "conv2_2")
    assert [(each.kind, each.level) for each in found] == [("start.not_finite", "refuse")]
    assert "layer 'conv2_" in found[0].evidence and "classifier.caffemodel" in found[0].way_out


@pytest.mark.parametrize("name", ["conv1_1", "conv3_2", "fc7"])
def test_a_dead_layer(task, name):
    def die(weights, bias):
        bias[...] = -1e6

    found = changed(task, die, name)
    assert [(each.kind, each.level) for each in found] == [("start.dead", "refuse")]
    rectifier = name.replace("conv", "relu").replace("fc", "relu")
    assert f"layer '{rectifier}' (ReLU) is dead" in found[0].what
    assert f"layer '{name}' below it" in found[0].evidence and "-1e+06" in found[0].evidence
    assert "6 pictures" in found[0].evidence


def test_a_layer_with_a_few_live_channels_is_not_dead(task):
    def die(weights, bias):
        bias[1:] = -1e6

    assert changed(task, die, "conv3_2") == []


def test_statistics_that_are_not_there_yet(task):
    """A BatchNorm that has seen no batch divides by nothing; it will, once trained."""
    for name in ("train", "val"):
        path = task.folder / f"{name}.prototxt"
        net = prototxts.read_net(path)
        layers = list(net.layer)
        del net.layer[:]
        for layer in layers:
            net.layer.append(layer)
            if layer.type == "Convolution" and not layer.name.startswith("score"):
                net.layer.add(
                    name=f"{layer.name}_bn", type="BatchNorm", bottom=layer.top, top=layer.top
                )
        path.write_text(prototxts.text_of(net))
    assert task.find() == []


def net_of(build):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    n.label = L.Input(shape=dict(dim=[1, 1, 8, 8]))
    conv = dict(num_output=3, kernel_size=1)
    n.a = L.Convolution(n.data, **conv)
    build(n, conv)
    n.score = L.Convolution(n.last, **conv)
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    return n.to_proto()


def residual(n, conv):
    n.zero = L.Convolution(n.a, **conv)
    n.scaled = L.Scale(n.zero)
    n.last = L.ReLU(L.Eltwise(n.a, n.scaled, operation=P.Eltwise.SUM))


def body(n, conv):
    n.zero = L.Convolution(n.a, **conv)
    n.scaled = L.Scale(n.zero)
    n.last = L.ReLU(n.scaled)


def pooled(n, conv):
    n.zero = L.Convolution(n.a, **conv)
    n.last = L.Pooling(n.zero, kernel_size=2, stride=2)


def linear(n, conv):
    n.zero = n.last = L.Convolution(n.a, **conv)


@pytest.mark.parametrize(
    "build, expected", [(residual, False), (body, True), (pooled, True), (linear, False)]
)
def test_zeros_that_are_a_fresh_start(build, expected):
    net = net_of(build)
    layers = {layer.name: layer for layer in net.layer}
    assert is_of_body(net, layers["last" if build is linear else "zero"]) == expected
    assert not is_of_body(net, layers["score"])
