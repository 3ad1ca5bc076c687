"""One, two and sixteen threads give the same results, to what the order of a sum can change."""

import sys

import numpy as np
import pytest
import torch
from narrow import filled, narrowed
from places import ROOT

import caffe
from caffe import context

sys.path.insert(0, str(ROOT / "examples"))
import known_nets

SIZES = {
    "lenet": None,
    "cifar10_full": None,
    "caffenet": (99, 99),
    "hed": (40, 48),
}
# So deep that a rounding grows to 1e-5 on its way: these compute in float64.
DEEP = {"googlenet": (64, 64), "resnet50": (64, 64)}


def result(path, threads):
    """Every blob and every gradient of a pass with so many threads."""
    torch.set_num_threads(threads)
    caffe.set_random_seed(1)
    net = filled(caffe.Net(str(path), caffe.TRAIN))
    rng = np.random.default_rng(0)
    net.blobs["data"].data[...] = rng.standard_normal(net.blobs["data"].shape)
    net.blobs["label"].data[...] = rng.integers(0, 2, net.blobs["label"].shape)
    net.forward()
    net.backward()
    found = {name: blob.data.copy() for name, blob in net.blobs.items()}
    for name, row in net.params.items():
        found |= {f"gradient {i} of {name}": blob.diff.copy() for i, blob in enumerate(row)}
    return found


@pytest.fixture(autouse=True)
def as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def compare(path, within):
    one = result(path, 1)
    assert any(np.abs(value).max() > 0 for key, value in one.items() if key.startswith("gradient"))
    for threads in (2, 16):
        for key, value in result(path, threads).items():
            apart = np.linalg.norm(value - one[key]) / max(np.linalg.norm(one[key]), 1e-30)
            assert apart < within, (key, threads)


@pytest.mark.parametrize("name", SIZES)
def test_any_number_of_threads_gives_the_same(name, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(str(narrowed(known_nets.net(name, 2, SIZES[name]))))
    compare(path, 1e-6)


@pytest.mark.parametrize("name", DEEP)
def test_deep_nets(name, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(str(narrowed(known_nets.net(name, 2, DEEP[name]))))
    with context.double_precision():
        compare(path, 1e-12)
