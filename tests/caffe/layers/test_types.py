"""The table of layer types."""

import subprocess
import sys

import pytest
from gradient_check import build
from places import ROOT

import caffe
from caffe.layer import LAYER_TYPES, MEANINGS, Layer, layer_class, register
from caffe.layers.forks import FAMILIES

# What a build of BVLC Caffe 1.0 without OpenCV names; with it, ImageData and WindowData as well
CAFFE = """
AbsVal Accuracy ArgMax BNLL BatchNorm BatchReindex Bias Clip Concat ContrastiveLoss Convolution Crop
Data Deconvolution Dropout DummyData ELU Eltwise Embed EuclideanLoss Exp Filter Flatten HDF5Data
HDF5Output HingeLoss Im2col InfogainLoss InnerProduct Input LRN LSTM LSTMUnit Log MVN MemoryData
MultinomialLogisticLoss PReLU Parameter Pooling Power Python RNN ReLU Reduction Reshape SPP Scale
Sigmoid SigmoidCrossEntropyLoss Silence Slice Softmax SoftmaxWithLoss Split Swish TanH Threshold
Tile
"""


def test_every_type_of_caffe_is_there_and_the_others_name_their_fork():
    types = CAFFE.split()
    assert len(types) == 59
    own = {name for name in caffe.layer_type_list() if not LAYER_TYPES[name].fork}
    assert own == {*types, "ImageData", "WindowData"}
    for name, cls in LAYER_TYPES.items():
        assert cls.__module__.startswith("caffe.layers.forks.") == bool(cls.fork), name
    for classes in MEANINGS.values():
        assert all(cls.fork and cls.__module__.startswith("caffe.layers.forks.") for cls in classes)


def test_the_table_of_families_is_what_the_files_have():
    found = {}
    for name, cls in LAYER_TYPES.items():
        for each in {cls, *MEANINGS.get(name, ())}:
            *package, family = each.__module__.split(".")
            if package == ["caffe", "layers", "forks"]:
                found.setdefault(family, set()).add(name)
    assert found == {family: set(types) for family, types in FAMILIES.items()}


def test_a_net_imports_the_families_that_it_has_and_no_others():
    code = """import sys, caffe
from caffe.layer import LAYER_TYPES, class_of
assert {"Interp", "BN"} <= set(caffe.layer_type_list())
def loaded():
    names = (name for name in sys.modules if name.startswith("caffe.layers.forks."))
    return {name.rpartition(".")[2] for name in names} - {"fillers"}
assert loaded() == set(), loaded()
class_of(caffe.net_spec.caffe_pb2.LayerParameter(type="Interp"))
assert loaded() == {"interp"}, loaded()"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "engine",
    [
        "convolution_param { engine: CUDNN }",
        "convolution_param { engine: CAFFE force_nd_im2col: true }",
    ],
)
def test_engines_are_accepted(engine):
    assert build(f'type: "Convolution" {engine}').type == "Convolution"


@pytest.mark.parametrize(
    "name, nearest", [("relu", "ReLU"), ("Convoluton", "Convolution"), ("softmaxloss", "Softmax")]
)
def test_an_unknown_type_names_its_nearest(name, nearest):
    with pytest.raises(
        ValueError, match=f"layer 'l' \\({name}\\): unknown layer type; did you mean {nearest}"
    ):
        build(f'type: "{name}"')


def test_a_type_cannot_be_registered_twice():
    with pytest.raises(KeyError, match="ReLU is registered twice"):
        register(type("ReLU", (Layer,), {}))
    assert layer_class(build('type: "ReLU"').layer_param).__module__ == "caffe.layers.neuron"
