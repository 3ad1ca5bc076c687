"""The embedded task's body takes pictures of every size, at strides 32, 16 and 8."""

import pytest
from places import ROOT

import caffe
from fcn import explain, prototxts, tasks
from fcn.nets import decoder, vgg16

STAGES = {"voc-fcn32s": [19], "voc-fcn16s": [5 - 3, 27], "voc-fcn8s": [5 - 3, 9 - 6, 31]}


def deployed(model):
    """The net that is scored, as it is committed, for pictures alone."""
    return prototxts.deploy(prototxts.read_net(ROOT / model / "sample/val.prototxt"))


@pytest.mark.parametrize("model", STAGES)
def test_the_scores_lie_on_the_picture_for_every_length(model):
    """By the coordinate map, one axis at a time: all layers treat height and width alike."""
    net = deployed(model)
    layers = explain.layers_and_tops(net)
    tops = {layer.top[0]: top for layer, top in layers}
    assert explain.position_map(tops["score"], tops["data"]) == (1, 0)
    crops = [layer.crop_param.offset[0] for layer in net.layer if layer.type == "Crop"]
    assert crops == STAGES[model]
    assert explain.smallest_size(layers, 32) == (1, None)
    for size in range(1, 201):
        assert explain.blob_lengths(layers, size)["score"] == size
    for line in explain.explain(net):
        assert "PROBLEM" not in line


@pytest.mark.parametrize("model", STAGES)
def test_nets_that_are_built_take_them(model, net_of):
    net = net_of(prototxts.text_of(deployed(model)))
    for height, width in [(1, 1), (2, 97), *((k, 64 - k) for k in range(26, 37)), (180, 240)]:
        net.blobs["data"].reshape(1, 3, height, width)
        net.reshape()
        assert net.blobs["score"].data.shape == (1, tasks.SAMPLE.classes, height, width)


@pytest.mark.parametrize("fc6, fits", [(3, False), (4, True), (5, True), (7, True)])
def test_four_is_the_smallest_kernel_that_does(fc6, fits):
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape=dict(dim=[1, 3, 64, 64]))
    vgg16(n, n.data, fc6=fc6)
    decoder(n, 2, skips=["pool4", "pool3"])
    size, _ = explain.smallest_size(explain.layers_and_tops(n.to_proto()), 32)
    assert (size == 1) == fits
