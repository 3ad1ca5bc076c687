"""docs/caffe.md is what the code says, and the code has all of pycaffe's names."""

import importlib
import importlib.util

import pytest
from places import ROOT

import caffe
from caffe.commands import COMMANDS
from caffe.layer import LAYER_TYPES


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_caffe_md", ROOT / "docs/make_caffe_md.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_up_to_date(make):
    text = (ROOT / "docs" / "caffe.md").read_text()
    assert text == make.page(), "run: python docs/make_caffe_md.py"


def test_every_name_of_pycaffe_is_there(make, net_of):
    assert make.missing() == []
    net = net_of('layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 } } }')
    assert [name for name in make.ATTRIBUTES["a net"].split() if not hasattr(net, name)] == []


def test_every_layer_and_tool_is_described(make):
    for name, cls in LAYER_TYPES.items():
        assert "__doc__" in vars(cls) and make.one_line(cls.__doc__), f"{name} has no docstring"
    assert set(make.TOOLS) == set(COMMANDS)


def test_module_pycaffe_holds_the_same_objects():
    module = importlib.import_module("caffe.pycaffe")
    assert {
        name for name in module.__all__ if getattr(module, name) is getattr(caffe, name)
    } == set(module.__all__)
