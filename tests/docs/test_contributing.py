"""CONTRIBUTING.md's worked example does what the page says, and the files it names are there."""

import re
import textwrap

import numpy as np
import pytest
import torch
from gradient_check import Case, check_gradient, check_reference
from places import ROOT

import caffe
from caffe.layer import Layer
from caffe.layers.neuron import inside

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
CLASS, ROW, DECLARATIONS, OWN_TYPE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TEXT = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 20 dim: 20 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "s" type: "Softsign" bottom: "c" top: "s" }
layer { name: "end" type: "Power" bottom: "s" top: "end" }
"""


@pytest.fixture(params=["as it begins", "with its declarations"], autouse=True)
def softsign(request, monkeypatch):
    """The page's layer, registered for one test."""
    code = CLASS
    if request.param == "with its declarations":
        docstring, rest = code.split("\n\n", 1)
        declarations = textwrap.indent(DECLARATIONS, " " * 4)
        code = f"{docstring}\n\n{declarations}\n{rest}"
    names = {"Layer": Layer, "torch": torch, "inside": inside, "register": lambda cls: cls}
    exec(code, names)
    monkeypatch.setitem(caffe.layer.LAYER_TYPES, "Softsign", names["Softsign"])
    return names["Softsign"]


def test_its_row_of_tests():
    case = eval(textwrap.dedent(ROW), {"Case": Case, "np": np})
    check_reference(case)
    check_gradient(case)
    in_place = Case(case.text, case.shapes, case.reference, in_place=True)
    check_reference(in_place)
    check_gradient(in_place)


@pytest.mark.parametrize("way", ["incremental", "reuse_memory"])
def test_a_test_net_agrees_with_layer_by_layer(way, net_of):
    plain, net = net_of(TEXT), net_of(TEXT)
    plain._running.runs_groups = lambda: False
    for mine, other in zip(net.learnable_params, plain.learnable_params):
        mine.data[...] = other.data
    if way == "reuse_memory":
        net.reuse_memory()
    picture = np.random.default_rng(0).standard_normal((1, 3, 20, 20))
    for _ in range(3):
        picture[:, :, 4:6, 7:9] += 1
        for each in (net, plain):
            each.blobs["x"].data[...] = picture
        np.testing.assert_allclose(
            net.forward()["end"], plain.forward()["end"], rtol=1e-5, atol=1e-6
        )


def test_recompute_agrees_bit_for_bit(net_of):
    gradients = []
    for recompute in (False, True):
        caffe.set_random_seed(3)
        net = net_of(TEXT, caffe.TRAIN)
        net.blobs["x"].data[...] = np.random.default_rng(0).standard_normal((1, 3, 20, 20))
        if recompute:
            net.recompute()
        net.forward()
        net.blobs["end"].diff[...] = 1
        net.backward()
        gradients.append([net.blobs["x"].diff.copy(), net.params["c"][0].diff.copy()])
    for found, wanted in zip(*gradients):
        np.testing.assert_array_equal(found, wanted)


def test_its_declarations_are_layer_s_and_all_are_named(softsign):
    table = PAGE.partition("| what is true of the layer |")[2].partition("\n\n")[0]
    for trait in re.findall(r"`(\w+)`", table):
        assert hasattr(Layer, trait), trait
    declared = set(vars(softsign)) - {"__module__", "__doc__", "num_bottom", "num_top"}
    assert all(hasattr(Layer, name) for name in declared if not name.startswith("__"))


def test_a_type_of_one_s_own(net_of, monkeypatch):
    monkeypatch.setitem(caffe.layer.OWN_TYPES, "CenterLoss", None)  # for this test
    exec(OWN_TYPE, {})
    text = """force_backward: true layer { name: "x" type: "Input" top: "features" top: "label"
      input_param { shape { dim: 3 dim: 2 } shape { dim: 3 } } }"""
    net = net_of(text + re.search(r"```\n(layer .*?)```", PAGE, re.DOTALL)[1], caffe.TRAIN)
    draw = np.random.default_rng(0)
    (centres,) = net.params["centers"]
    assert list(centres.shape) == [10, 2]
    features, centres.data[...] = draw.standard_normal((3, 2)), draw.standard_normal((10, 2))
    label = np.array([4, 7, 4])
    distance = features - centres.data[label]
    loss = net.forward(features=features, label=label)["centers"]
    np.testing.assert_allclose(loss, (distance**2).sum() / 6, rtol=1e-5)
    net.backward()
    gradient = 0.01 * distance / 3
    np.testing.assert_allclose(net.blobs["features"].diff, gradient, rtol=1e-5)
    wanted = np.zeros((10, 2))
    for row, one in zip(label, gradient):
        wanted[row] -= one
    np.testing.assert_allclose(centres.diff, wanted, rtol=1e-5)


def test_the_page_names_files_that_exist():
    named = re.findall(r"`((?:caffe|fcn|tests|docs)/[\w/.]*)`", PAGE)
    assert named and [path for path in named if not (ROOT / path).exists()] == []
