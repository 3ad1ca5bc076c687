"""The mask stage: its prototxts are what net.py writes, its features are the detector's."""

import runpy

from places import ROOT

import caffe
from fcn.prototxts import text_of

FOLDER = ROOT / "systems/mnc"


def test_prototxts_are_what_net_py_writes():
    net = runpy.run_path(str(FOLDER / "net.py"))["mask_net"]
    for stem in ("train", "test"):
        assert (FOLDER / f"sample/{stem}.prototxt").read_text() == text_of(net(stem))


def test_features_are_those_of_the_detector():
    masks = caffe.Net(str(FOLDER / "sample/test.prototxt"), caffe.TEST)
    boxes = caffe.Net(str(ROOT / "systems/faster-rcnn/sample/test.prototxt"), caffe.TEST)
    shared = [name for name in masks.params if name.startswith("conv")]
    assert shared[-1] == "conv3_3" and len(shared) == 7
    for name in shared:
        assert masks.params[name][0].data.shape == boxes.params[name][0].data.shape
