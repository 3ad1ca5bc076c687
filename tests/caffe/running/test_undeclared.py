"""A layer that declares nothing of itself is right under every way of running a net."""

import numpy as np
import pytest

import caffe
from caffe.layer import Layer, declares, is_built_in


class Remembers(Layer):
    """Doubles its bottom and counts its calls; keeps its bottom for backward, and says so nowhere."""

    num_bottom = num_top = 1
    calls = 0

    def reshape(self, bottom, top):
        top[0].set_shape(bottom[0].shape)

    def forward(self, bottom, top):
        self.calls += 1
        self.kept = bottom[0].x.clone()
        top[0].x.copy_(self.kept * self.calls)

    def backward(self, top, propagate_down, bottom):
        bottom[0].dx.copy_(top[0].dx * self.kept)


TEXT = """force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 7 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 32 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "r" type: "Remembers" bottom: "c" top: "r" }
layer { name: "p" type: "Power" bottom: "r" top: "p" }
"""


@pytest.fixture(params=["registered", "Python", "Python, from a built-in layer"])
def text(request, monkeypatch):
    """A net with a layer that declares nothing, registered as a type or a user's Python layer."""
    if request.param == "registered":
        monkeypatch.setitem(caffe.layer.LAYER_TYPES, "Remembers", Remembers)
        return TEXT
    cls = "Remembers" if request.param == "Python" else "Derived"
    python = f'type: "Python" python_param {{ module: "{__name__}" layer: "{cls}" }}'
    return TEXT.replace('type: "Remembers"', python)


class Derived(caffe.layer.LAYER_TYPES["ReLU"]):
    """A user's layer on top of a built-in one that declares much."""

    calls = 0
    forward, backward = Remembers.forward, Remembers.backward


def run(text, net_of, way, phase):
    caffe.set_random_seed(3)
    net = net_of(text, phase)
    net.blobs["x"].data[...] = 1
    way(net)
    seen = []
    for _ in range(4):
        seen.append(net.forward()["p"].copy())
        if phase == caffe.TRAIN:
            net.blobs["p"].diff[...] = 1
            net.backward()
            seen += [net.blobs["x"].diff.copy(), net.params["c"][0].diff.copy()]
    return seen


def layer_by_layer(net):
    net._running.runs_groups = lambda: False


def incremental(net):
    assert net._running.runs_groups()


@pytest.mark.parametrize(
    "way, phase",
    [
        (incremental, caffe.TEST),
        (caffe.Net.reuse_memory, caffe.TEST),
        (caffe.Net.recompute, caffe.TRAIN),
    ],
)
def test_a_layer_that_declares_nothing_is_right(text, net_of, way, phase):
    wanted = run(text, net_of, layer_by_layer, phase)
    for a, b in zip(run(text, net_of, way, phase), wanted):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_layer_that_declares_nothing_is_not_captured(text, net_of, mock_gpu):
    caffe.set_cuda_graphs(True)
    net = net_of(text, caffe.TEST)
    assert net._running.cuda_graphs.first == 3  # behind it


def test_declarations_of_a_built_in_class_do_not_count_for_a_user_s(net_of):
    python = f'type: "Python" python_param {{ module: "{__name__}" layer: "Derived" }}'
    layer = net_of(TEXT.replace('type: "Remembers"', python), caffe.TEST).layers[2]
    assert Derived.deterministic and not is_built_in(layer)
    assert not declares(layer, "deterministic") and not declares(layer, "repeatable")
