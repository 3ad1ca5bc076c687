"""Well-known nets have the published numbers of parameters, run and backpropagate."""

import sys

import numpy as np
import pytest
import torch
from places import ROOT

import caffe

sys.path.insert(0, str(ROOT / "examples"))
import known_nets

# parameters at full size, statistics of BatchNorm included; height and width to run at
NETS = {
    "lenet": (431080, None),
    "cifar10_quick": (145578, None),
    "cifar10_full": (89578, None),
    "alexnet": (60965224, (67, 67)),
    "caffenet": (60965224, (67, 67)),
    "vgg16": (138357544, (32, 32)),
    "googlenet": (13378280, (96, 96)),
    "resnet50": (25557032 + 53120 + 53, (32, 32)),
    "squeezenet": (1248424, (64, 64)),
    "hed": (14717531, (24, 32)),
}


@pytest.fixture(autouse=True)
def one_thread():
    """Small work, on a machine that may be busy: threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def build(tmp_path):
    def build(name, batch=1, size=None):
        path = tmp_path / "net.prototxt"
        path.write_text(str(known_nets.net(name, batch, size)))
        return caffe.Net(str(path), caffe.TRAIN)

    return build


def test_every_net_is_tested():
    assert set(NETS) == set(known_nets.NETS)


@pytest.mark.parametrize("name", NETS)
def test_number_of_parameters(name, build):
    """As published: the tables are written down rightly."""
    net = build(name)
    assert sum(blob.count for blobs in net.params.values() for blob in blobs) == NETS[name][0]


@pytest.mark.parametrize("name", NETS)
def test_net_runs_and_backpropagates(name, build):
    net = build(name, batch=2, size=NETS[name][1])
    rng = np.random.default_rng(0)
    net.blobs["data"].data[...] = rng.standard_normal(net.blobs["data"].data.shape)
    net.blobs["label"].data[...] = rng.integers(0, 2, net.blobs["label"].data.shape)
    found = net.forward()
    losses = [blob for blob, weight in net.blob_loss_weights.items() if weight]
    assert losses
    for loss in losses:
        # scores of small random weights are near each other: the loss is near ln(classes)
        classes = 2 if name == "hed" else known_nets.NETS[name].classes
        positions = net.blobs["label"].data[0].size if name == "hed" else 1
        assert 0.5 < float(found[loss]) / (positions * np.log(classes)) < 4
    net.backward()
    without = [
        f"{layer}[{i}]"
        for layer, blobs in net.params.items()
        for i, blob in enumerate(blobs)
        if net.layer_dict[layer].param_propagate_down[i] != bool(np.abs(blob.diff).sum())
        and net.layer_dict[layer].type != "BatchNorm"
    ]
    assert without == []
