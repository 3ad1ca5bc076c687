"""Deploy nets are derived from train and test nets; files that do not parse."""

import pytest
from google.protobuf import text_format
from published import MODELS, TOPS, layers_of, net_names, on_disk, parse

from caffe.proto import caffe_pb2
from fcn import prototxts


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_a_deploy_net(model):
    net = prototxts.deploy(on_disk(model, net_names(model)[1]))
    wanted = [
        found
        for found in parse(layers_of(model)).layer
        if found.type not in ("Dropout", "SoftmaxWithLoss")
    ]
    assert list(net.layer[1:]) == wanted
    channels = {"data": 3, "color": 3, "hha": 3, "depth": 1}
    tops = [top for top in TOPS.get(model, ("data label", None))[0].split() if top in channels]
    assert list(net.layer[0].top) == tops
    dims = [list(shape.dim) for shape in net.layer[0].input_param.shape]
    assert dims == [[1, channels[top], 500, 500] for top in tops]  # fmt: skip


def test_deploy_bypasses_a_dropout_that_is_not_in_place():
    net = prototxts.deploy(
        parse("""
        layer { name: "d" type: "Python" top: "data" top: "label" }
        layer { name: "drop" type: "Dropout" bottom: "data" top: "dropped" }
        layer { name: "again" type: "Dropout" bottom: "dropped" top: "twice" }
        layer { name: "score" type: "Power" bottom: "twice" top: "score" }
        layer { name: "acc" type: "Accuracy" bottom: "score" bottom: "label" top: "acc" }""")
    )
    found = [(layer.name, list(layer.bottom)) for layer in net.layer]
    assert found == [("input", []), ("score", ["data"])]


@pytest.mark.parametrize(
    "text, summed",
    [
        ("", False),
        ("normalize: true", False),
        ("normalize: false", True),
        ("normalization: VALID", False),
        ("normalization: FULL", False),
        ("normalization: BATCH_SIZE", True),
        ("normalization: NONE", True),
        ("normalization: VALID normalize: false", False),  # the newer field holds
        ("normalization: NONE normalize: true", True),
    ],
)
def test_what_a_loss_is_divided_by(text, summed):
    loss = text_format.Parse(text, caffe_pb2.LossParameter())
    assert prototxts.loss_is_summed(loss) == summed
