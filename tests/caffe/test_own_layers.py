"""Classes registered for layer types: what they read of the prototxt, and that they run as all layers do."""

import sys

import numpy as np
import pytest

import caffe
from caffe.__main__ import main
from caffe.files.plain_text import read_plain
from caffe.files.prototxt import ParseError
from caffe.layer import OWN_TYPES

INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2, 4, 4] } } }\n'
OWN = """layer { name: "own" type: "ScaledCopy" bottom: "x" top: "y" param { lr_mult: 2 }
  scaled_copy_param { factor: 2.5 names: "a" names: 'b' 'c' mode: FAST inner { n: -3 deep < on: true > }
    steps: [1, 0x10, 010, -1e-3] empty: [] } other_param { a: 1 } convolution_param { pad: 3 zoom: 2 } }
"""
MODULE = '''
import caffe

@caffe.register_layer("ScaledCopy")
class ScaledCopy(caffe.Layer):
    """y = factor * x + the parameter."""

    def setup(self, bottom, top):
        self.factor = self.settings.get("factor", 1)
        self.blobs.add_blob(1)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum()
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff
'''


@pytest.fixture(autouse=True)
def own_types():
    """What a test registers is forgotten with it."""
    before = dict(OWN_TYPES)
    yield
    OWN_TYPES.clear()
    OWN_TYPES.update(before)


@pytest.fixture
def scaled_copy():
    names = {"__name__": "scaled_copy"}
    exec(MODULE, names)
    return names["ScaledCopy"]


def test_its_block_is_a_dict_and_other_blocks_are_there(scaled_copy, net_of):
    layer = net_of(INPUT + OWN).layers[1]
    assert type(layer) is scaled_copy and layer.type == "ScaledCopy"
    assert layer.settings == {
        "factor": 2.5,
        "names": ["a", "bc"],
        "mode": "FAST",
        "inner": {"n": -3, "deep": {"on": True}},
        "steps": [1, 16, 8, -0.001],
        "empty": [],
    }
    assert layer.blocks == {"other_param": {"a": 1}, "convolution_param": {"pad": [3], "zoom": 2}}
    assert isinstance(layer.settings["steps"][0], int)


def test_it_computes_learns_and_keeps_its_weights(scaled_copy, net_of, tmp_path):
    net = net_of(f"force_backward: true {INPUT + OWN}", caffe.TRAIN)
    net.params["own"][0].data[...] = 1
    assert (net.forward(x=np.ones((1, 2, 4, 4)))["y"] == 3.5).all()
    net.blobs["y"].diff[...] = 1
    assert (net.backward()["x"] == 2.5).all()
    assert net.params["own"][0].diff == 32 and net.params_lr == [2]
    for file in ("w.caffemodel", "w.h5"):
        (net.save if file[2] == "c" else net.save_hdf5)(str(tmp_path / file))
        other = net_of(INPUT + OWN)
        other.copy_from(str(tmp_path / file))
        assert other.params["own"][0].data == 1
    text = str(
        caffe.proto.caffe_pb2.NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
    )
    assert "unread" not in text and 'type: "ScaledCopy"' in text


@pytest.mark.parametrize("policy", ["reuse_memory", "recompute", "", "pickle"])
def test_it_runs_in_every_way(policy, scaled_copy, net_of):
    import pickle

    phase = caffe.TRAIN if policy == "recompute" else caffe.TEST
    behind = 'layer { name: "r" type: "ReLU" bottom: "y" top: "y" }'
    net = net_of(INPUT + OWN + behind, phase)
    if policy == "pickle":
        net = pickle.loads(pickle.dumps(net))
    elif policy:
        getattr(net, policy)()
    for value in (1, -1, 2):
        wanted = max(2.5 * value, 0)
        assert (net.forward(x=np.full((1, 2, 4, 4), value))["y"] == wanted).all()


def test_a_built_in_type_may_be_replaced(net_of):
    text = INPUT + (
        'layer { name: "r" type: "ROIPooling" bottom: "x" top: "y" '
        "roi_pooling_param { pooled_w: 3 spatial_scale: 0.0625 pad_ratio: 0.1 } }"
    )

    @caffe.register_layer("ROIPooling")
    class Mine(caffe.Layer):
        """Its settings are the schema's and the fork's."""

        def reshape(self, bottom, top):
            top[0].reshape(self.settings["pooled_w"])

        def forward(self, bottom, top):
            top[0].data[...] = self.settings["pad_ratio"]

    net = net_of(text)
    assert net.layers[1].settings == {"pooled_w": 3, "spatial_scale": 0.0625, "pad_ratio": 0.1}
    assert net.layers[1].param.pooled_w == 3
    np.testing.assert_allclose(net.forward()["y"], [0.1] * 3, rtol=1e-6)
    assert "ROIPooling" in caffe.layer_type_list()


def test_the_old_format(scaled_copy, net_of):
    text = 'input: "x" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1 '
    text += 'layers { name: "o" type: SCALED_COPY bottom: "x" top: "y" scaled_copy_param { factor: 7 } }'
    assert net_of(text).layers[1].factor == 7


def test_other_fields_are_still_mistakes(scaled_copy, net_of):
    with pytest.raises(
        ValueError, match="LayerParameter has no field 'botom'; did you mean 'bottom'"
    ):
        net_of(INPUT + OWN.replace("bottom:", "botom:"))
    with pytest.raises(ValueError, match="ParamSpec has no field 'lr_mul'"):
        net_of(INPUT + OWN.replace("lr_mult:", "lr_mul:"))


def test_what_cannot_be_registered():
    with pytest.raises(TypeError, match="layer type A: .*int.* is no subclass of caffe.Layer"):
        caffe.register_layer("A")(int)
    with pytest.raises(TypeError, match="layer type A: .* has no method reshape"):
        caffe.register_layer("A")(type("Empty", (caffe.Layer,), {}))
    with pytest.raises(TypeError, match=r'takes the type: @caffe.register_layer\("ROIAlign"\)'):
        caffe.register_layer(caffe.Layer)
    assert "A" not in OWN_TYPES


def test_commands_import_what_the_environment_names(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "scaled_copy.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    (tmp_path / "n.prototxt").write_text(INPUT + OWN)
    said = "layer 'own' (ScaledCopy): unknown layer type; no fork known here has it"
    for modules, code, text in (
        ("", 1, said),
        ("scaled_copy", 0, ""),
        (
            "broken",
            1,
            "CAFFE_LAYERS: module 'broken' cannot be imported: ModuleNotFoundError: No module",
        ),
    ):
        monkeypatch.setenv("CAFFE_LAYERS", modules)
        assert main(["time", "-model", "n.prototxt", "-iterations", "1"]) == code
        assert text in capsys.readouterr().err


def test_text_without_a_schema():
    assert read_plain("a: 1, b: 2.5f; c: -inf d { } e: [{ f: 1 }, { f: 2 }]") == {
        "a": 1,
        "b": 2.5,
        "c": float("-inf"),
        "d": {},
        "e": [{"f": 1}, {"f": 2}],
    }
    for text in ("a:", "a { b: 1", "a: }", "{ }", "a: [1"):
        with pytest.raises(ParseError, match="<text>:1:"):
            read_plain(text)
