"""The table of layer types."""

import pytest
from gradient_check import build

import caffe
from caffe.layer import LAYER_TYPES, MEANINGS, Layer, layer_class, register

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
