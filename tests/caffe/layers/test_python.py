"""The Python layer type."""

import sys

import numpy as np
import pytest

import caffe
from caffe.layers.python import PythonLayerError

MODULE = """
import caffe

class Double(caffe.Layer):
    def setup(self, bottom, top):
        self.seen = (self.param_str, self.phase, type(bottom).__name__, self.type)
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        self.seen += (type(propagate_down).__name__,)
        bottom[0].diff[...] = 2 * top[0].diff

class WithBlob(Double):
    def setup(self, bottom, top):
        self.blobs.add_blob(2, 3)
        self.blobs[0].data[...] = 1.5

class Fails(Double):
    def forward(self, bottom, top):
        raise KeyError("bad forward")

class NoReshape(caffe.Layer):
    def forward(self, bottom, top):
        pass

class Forgets(Double):
    def __init__(self, param):
        pass

class NotALayer:
    def __init__(self, param):
        pass
"""
DATA = 'layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes modules beside the net of `net_of`, which is allowed; they are forgotten afterwards."""
    monkeypatch.setattr("caffe.python_modules._allowed", {})
    before = set(sys.modules)

    def write(name, text=MODULE):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    caffe.allow_python_layers(tmp_path)
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def net_text(module, layer, param_str='param_str: "k"'):
    return (
        "force_backward: true\n" + DATA + 'layer { name: "p" type: "Python" bottom: "x" top: "y" '
        f'python_param {{ module: "{module}" layer: "{layer}" {param_str} }} }}'
    )


def test_a_layer_beside_its_prototxt(net_of, module, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    path = list(sys.path)
    net = net_of(net_text(module("pl_beside"), "Double"), caffe.TRAIN)
    assert sys.path == path
    net.blobs["x"].data[...] = 3
    assert (net.forward()["y"] == 6).all()
    net.blobs["y"].diff[...] = 1
    np.testing.assert_array_equal(net.backward()["x"], np.full((2, 3), 2))
    assert net.layers[-1].param_str == net.layers[-1].param_str_ == "k"
    assert net.layers[-1].seen == ("k", caffe.TRAIN, "RawBlobVec", "Python", "BoolVec")


def test_a_module_may_import_its_neighbours(net_of, module):
    module("pl_neighbour", "FACTOR = 5")
    text = "from pl_neighbour import FACTOR\n" + MODULE.replace("2 * bottom", "FACTOR * bottom")
    net = net_of(net_text(module("pl_importing", text), "Double"))
    net.blobs["x"].data[...] = 1
    assert (net.forward()["y"] == 5).all()


def test_parameters_of_its_own(net_of, module):
    net = net_of(net_text(module("pl_blob"), "WithBlob"))
    assert (net.params["p"][0].data == np.full((2, 3), 1.5)).all()


@pytest.mark.parametrize(
    "name, layer, message",
    [
        (
            "pl_no_such_module",
            "Double",
            "pl_no_such_module' cannot be imported: ModuleNotFound.*looked in",
        ),
        ("pl_errors", "Nope", "has no class 'Nope'; its layers: Double, WithBlob"),
        ("pl_errors", "NotALayer", "NotALayer is no subclass of caffe.Layer"),
        ("pl_errors", "Forgets", "must call super\\(\\).__init__"),
        ("pl_broken", "Double", "cannot be imported: SyntaxError"),
        (
            "pl_needy",
            "Double",
            "cannot be imported: ModuleNotFoundError: No module named 'pl_gone'",
        ),
        ("", "Double", "must name both module and layer"),
    ],
)
def test_errors(net_of, module, tmp_path, name, layer, message):
    module("pl_errors")
    module("pl_broken", "class Double(:")
    module("pl_needy", "import pl_gone")
    with pytest.raises(PythonLayerError, match=f"layer 'p' \\(Python\\).*{message}") as caught:
        net_of(net_text(name, layer))
    assert isinstance(caught.value, SystemError)
    assert "looked in" not in message or str(tmp_path) in str(caught.value)


def test_a_layer_without_reshape(net_of, module):
    with pytest.raises(RecursionError, match="NoReshape has no method reshape"):  # pycaffe's type
        net_of(net_text(module("pl_reshape"), "NoReshape"))


def test_a_layers_own_exceptions_come_through(net_of, module):
    net = net_of(net_text(module("pl_fails"), "Fails"))
    with pytest.raises(KeyError, match="bad forward"):
        net.forward()


def test_a_module_of_a_published_net_is_named_with_its_home(net_of):
    """One that is there is taken, whatever else is missing."""
    param = 'python_param { module: "%s" layer: "RPNDebugLayer" } }'
    text = 'layer { name: "l" type: "Python" top: "y" ' + param
    with pytest.raises(
        PythonLayerError, match="belongs to py-faster-rcnn, whose lib folder must be"
    ):
        net_of(text % "rpn.debug_layer")
    with pytest.raises(PythonLayerError) as error:
        net_of(text % "nowhere.layer")
    assert "belongs to" not in str(error.value)


def test_a_module_that_lacks_another_has_no_stand_in(net_of, module, tmp_path):
    (tmp_path / "rpn").mkdir()
    (tmp_path / "rpn" / "proposal_layer.py").write_text("import fast_rcnn.config")
    text = 'layer { name: "l" type: "Python" bottom: "x" top: "y" python_param {'
    text += ' module: "rpn.proposal_layer" layer: "ProposalLayer" } }'
    with pytest.raises(PythonLayerError, match="No module named 'fast_rcnn'"):
        net_of(DATA + text)
