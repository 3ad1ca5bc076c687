"""A finer stage begins where the coarser one ended: its skips are zero."""

import numpy as np
import pytest
from places import ROOT

import caffe
from fcn import prototxts, surgery
from fcn.datasets.sample import scenes
from fcn.pictures import subtract_mean
from fcn.tasks import SAMPLE

STAGES = {"voc-fcn16s": ["upscore2"], "voc-fcn8s": ["upscore2", "upscore_pool4"]}


def net_of(model, tmp_path):
    """A model's small form, with the weights that come with the project, its skips being zero."""
    path = tmp_path / f"{model}.prototxt"
    stated = prototxts.read_net(ROOT / model / "sample" / "val.prototxt")
    path.write_text(prototxts.text_of(prototxts.deploy(stated)))
    net = caffe.Net(str(path), caffe.TEST)
    net.copy_from(str(ROOT / "voc-fcn8s" / "sample" / "voc-fcn8s.caffemodel.h5"))
    surgery.interp(net, [name for name in net.params if name.startswith("upscore")])
    for name in ("score_pool4", "score_pool3"):
        for blob in net.params.get(name, ()):
            blob.data[...] = 0
    return net


@pytest.mark.parametrize("model", STAGES)
def test_a_skip_of_zeros_changes_no_answer(model, tmp_path):
    picture, _ = scenes.scene(np.random.RandomState(5), "infer")
    data = subtract_mean(picture[:, :, ::-1], SAMPLE.mean)[None]
    classes = {}
    for name in ("voc-fcn32s", model):
        net = net_of(name, tmp_path)
        net.blobs["data"].reshape(*data.shape)
        classes[name] = net.forward(data=data)["score"][0, 1:].argmax(0)  # of the digits
    for up, fused in zip(STAGES[model], ("fuse_pool4", "fuse_pool3")):
        np.testing.assert_array_equal(net.blobs[fused].data, net.blobs[up].data)
    assert len(np.unique(classes[model])) > 5
    # two bilinear steps give nearly what one of their product gives
    assert (classes[model] == classes["voc-fcn32s"]).mean() > 0.9
