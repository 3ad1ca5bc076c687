"""Faster R-CNN: the released nets' names and shapes, and a step of training end to end."""

import runpy

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from places import ROOT

import caffe
from caffe.proto import caffe_pb2
from fcn.prototxts import read_net, text_of

FOLDER = ROOT / "systems/faster-rcnn"
NETS = runpy.run_path(str(FOLDER / "net.py"))
VGG16 = {1: (2, 64), 2: (2, 128), 3: (3, 256), 4: (3, 512), 5: (3, 512)}
RPN = (("rpn_cls_score", 18), ("rpn_bbox_pred", 36))


def released(body):
    """Layer -> shape of its weights, of the released VOC nets."""
    shapes, channels = {}, 3
    if body == "zf":
        convolutions = [("1", 96, 7), ("2", 256, 5), ("3", 384, 3), ("4", 384, 3), ("5", 256, 3)]
    else:
        convolutions = [
            (f"{stage}_{i}", width, 3)
            for stage, (depth, width) in VGG16.items()
            for i in range(1, depth + 1)
        ]
    for at, width, kernel in convolutions:
        shapes[f"conv{at}"] = (width, channels, kernel, kernel)
        channels = width
    width, cells = (256, 36) if body == "zf" else (512, 49)
    shapes["rpn_conv/3x3"] = (width, channels, 3, 3)
    shapes |= {name: (count, width, 1, 1) for name, count in RPN}
    shapes |= {"fc6": (4096, channels * cells), "fc7": (4096, 4096)}
    return shapes | {"cls_score": (21, 4096), "bbox_pred": (84, 4096)}


@pytest.mark.parametrize("inner", ["", "sample"])
def test_prototxts_are_what_net_py_writes(inner):
    for stem, net in NETS["nets"](bool(inner)).items():
        assert (FOLDER / inner / f"{stem}.prototxt").read_text() == text_of(net)


@pytest.mark.parametrize("stem, body", [("test", "vgg16"), ("zf_test", "zf")])
def test_weights_of_the_released_names_load(stem, body, tmp_path):
    """A file with one cell of each weight is enough to see that names and shapes are those wanted."""
    net = caffe.Net(str(FOLDER / f"{stem}.prototxt"), caffe.TEST)
    assert {name: params[0].data.shape for name, params in net.params.items()} == released(body)
    weights = caffe_pb2.NetParameter(name="released")
    for name in ("conv3" if body == "zf" else "conv3_1", "rpn_bbox_pred", "cls_score"):
        layer = weights.layer.add(name=name, type="Any")
        for size in (released(body)[name], released(body)[name][:1]):
            blob = layer.blobs.add()
            blob.shape.dim.extend(size)
            blob.data.extend(np.full(int(np.prod(size)), 0.25))
    path = tmp_path / "released.caffemodel"
    path.write_bytes(weights.SerializeToString())
    net.copy_from(str(path))
    for layer in weights.layer:
        assert (net.params[layer.name][0].data == 0.25).all()


@pytest.mark.parametrize("stem", ["train", "zf_train"])
def test_layers_of_the_published_training_nets(stem):
    """Names, and what is in them that a solver sees."""
    layers = {layer.name: layer for layer in read_net(FOLDER / f"{stem}.prototxt").layer}
    for name, module in (
        ("input-data", "roi_data_layer.layer"),
        ("rpn-data", "rpn.anchor_target_layer"),
        ("proposal", "rpn.proposal_layer"),
        ("roi-data", "rpn.proposal_target_layer"),
    ):
        assert layers[name].python_param.module == module
    assert layers["input-data"].python_param.param_str == "'num_classes': 21"
    assert layers["proposal"].python_param.param_str == "'feat_stride': 16"
    assert layers["rpn_loss_bbox"].smooth_l1_loss_param.sigma == 3
    assert not layers["loss_bbox"].HasField("smooth_l1_loss_param")
    assert list(layers["rpn_loss_cls"].propagate_down) == [True, False]
    assert layers["rpn_loss_cls"].loss_param.ignore_label == -1
    assert list(layers["rpn_conv/3x3"].top) == ["rpn/output"]
    still = [name for name, layer in layers.items() if layer.param and not layer.param[0].lr_mult]
    wanted = [] if stem == "zf_train" else ["conv1_1", "conv1_2", "conv2_1", "conv2_2"]
    assert still == wanted


@pytest.mark.parametrize("kind", ["", "fast_"])
def test_learns_end_to_end(kind, tmp_path):
    """On one picture, whose box it then finds again: all losses fall."""
    pixels = np.random.RandomState(0).randint(0, 60, (180, 240, 3), np.uint8)
    pixels[50:130, 100:150] = 250
    Image.fromarray(pixels).save(tmp_path / "a.png")
    solver = caffe_pb2.SolverParameter()
    text_format.Merge((FOLDER / f"sample/{kind}solver.prototxt").read_text(), solver)
    solver.train_net = str(FOLDER / f"sample/{kind}train.prototxt")
    solver.random_seed, solver.display, solver.base_lr = 1, 0, 0.001
    (tmp_path / "solver.prototxt").write_text(text_format.MessageToString(solver))
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    for name in [each for each in solver.net.params if each.startswith(("conv", "fc"))]:
        weights = solver.net.params[name][0].data
        spread = np.sqrt(2 / weights[0].size) / (60 if name == "conv1_1" else 1)  # raw pixels
        weights[...] = np.random.RandomState(1).normal(0, spread, weights.shape)
    boxes = [[100, 50, 149, 129], [0, 0, 49, 79], [180, 90, 229, 169], [105, 55, 150, 125]]
    solver.net.layers[0].set_roidb(
        [dict(image=str(tmp_path / "a.png"), boxes=boxes, gt_classes=[3, 0, 0, 0])]
    )
    losses = [name for name in solver.net.blobs if "loss" in name and "split" not in name]
    solver.step(1)
    first = {name: float(solver.net.blobs[name].data) for name in losses}
    solver.step(30)
    assert len(losses) == (2 if kind else 4) and all(np.isfinite(v) for v in first.values())
    assert sum(float(solver.net.blobs[name].data) for name in losses) < 0.5 * sum(first.values())
