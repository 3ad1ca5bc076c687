"""Whole nets through both targets, at a fraction of their width: the fifteen models, well-known nets."""

import sys

import pytest
from narrow import build, narrowed
from places import ROOT
from published import MODELS, net_names, on_disk

import caffe
from fcn import prototxts

sys.path.insert(0, str(ROOT / "examples"))
import known_nets

KNOWN = {
    "lenet": None,
    "cifar10_quick": None,
    "cifar10_full": None,
    "alexnet": (67, 67),
    "caffenet": (67, 67),
    "vgg16": (32, 32),
    "googlenet": (96, 96),
    "resnet50": (64, 64),
    "squeezenet": (64, 64),
    "hed": (24, 32),
}


@pytest.fixture(params=[".onnx", ".py"])
def ending(request):
    if request.param == ".onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    return request.param


@pytest.mark.parametrize("name", MODELS)
def test_fcn(name, ending, tmp_path):
    """Sizes are free, scores are the only outputs; gradients agree, too."""
    param = prototxts.deploy(on_disk(name, net_names(name)[1]), 32, 40)
    report = caffe.export(build(narrowed(param, 64), tmp_path), tmp_path / f"net{ending}")
    scores = ["score_sem", "score_geo"] if name.startswith("siftflow") else ["score"]
    assert list(report.outputs) == scores
    assert all(
        shape.startswith("?x") and shape.endswith("x?x?") for shape in report.inputs.values()
    )
    assert max(trial.off for trial in report.trials) <= 1e-5
    assert ending == ".onnx" or report.gradients.startswith("off by")


def test_trained_weights(ending, tmp_path):
    """FCN-8s of the embedded task, with the weights that come with the project."""
    folder = ROOT / "voc-fcn8s" / "sample"
    net = caffe.Net(
        str(folder / "deploy.prototxt"), caffe.TEST, weights=str(folder / "voc-fcn8s.caffemodel.h5")
    )
    net.blobs["data"].reshape(1, 3, 60, 80)
    report = caffe.export(net, tmp_path / f"net{ending}")
    assert report.outputs == {"score": "?x11x?x?"}
    assert max(trial.off for trial in report.trials) <= 1e-5
    assert ending == ".onnx" or report.gradients.startswith("off by")


@pytest.mark.parametrize("name", KNOWN)
def test_known_net(name, ending, tmp_path):
    param = narrowed(known_nets.net(name, 1, KNOWN[name]), 32 if name == "hed" else 8)
    report = caffe.export(build(param, tmp_path), tmp_path / f"net{ending}")
    assert list(report.inputs) == ["data"] and report.inputs["data"].startswith("?x")
    assert ending == ".onnx" or report.gradients.startswith("off by")


def test_every_known_net_is_tried():
    assert set(KNOWN) == set(known_nets.NETS)
