"""Every layer against BVLC Caffe 1.0: what it computed, forward and backward, for 316 small
nets."""

import os

import numpy as np
import pytest
from places import GOLDEN

import caffe

FORWARD, BACKWARD = 1e-5, 1e-4  # norm of difference over norm
CASES = sorted(path.stem for path in (GOLDEN / "layers").glob("*.npz"))


def distance(wanted, got):
    """Norm of the difference over the norm; values that are not finite must be equal."""
    assert got.shape == wanted.shape
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(np.where(finite, 0, wanted), np.where(finite, 0, got))
    wanted, got = wanted[finite].astype(np.float64), got[finite].astype(np.float64)
    return np.linalg.norm(wanted - got) / max(np.linalg.norm(wanted), 1e-6)


def blob(net, key):
    """The array that a key of the case names: "param_diff/conv1/0" is a parameter's diff."""
    kind, name = key.split("/", 1)
    side = "diff" if kind.endswith("_diff") else "data"
    if kind.startswith("param"):
        layer, index = name.rsplit("/", 1)
        return getattr(net.params[layer][int(index)], side)
    return getattr(net.blobs[name], side)


def write(net, case, kind):
    for key in case.files:
        if key.startswith(kind + "/"):
            blob(net, key)[...] = case[key]


def compare(net, case, kinds, tolerance):
    for key in case.files:
        if key.split("/")[0] in kinds:
            off = distance(case[key], np.array(blob(net, key)))
            assert off <= tolerance, f"{key} differs by {off:.1e}"


@pytest.mark.parametrize("name", CASES)
def test_layer(name, device, monkeypatch):
    monkeypatch.chdir(GOLDEN / "layers")  # a few prototxts name files there
    case = np.load(name + ".npz")
    net = caffe.Net(name + ".prototxt", getattr(caffe, str(case["phase"])))
    if "memory/data" in case:
        net.set_input_arrays(case["memory/data"], case["memory/labels"])
    write(net, case, "bottom")
    write(net, case, "param")
    passes = int(case["forwards"]) if "forwards" in case else 1
    for k in range(1, passes + 1):
        loss = net._forward(0, len(net.layers) - 1)
        if k < passes:
            compare(net, case, {f"top@{k}"}, FORWARD)
    if "loss" in case:
        np.testing.assert_allclose(loss, case["loss"], rtol=FORWARD, atol=1e-6)
    compare(net, case, {"top", "blob", "param_after"}, FORWARD)
    if "no_backward" in case:
        return
    net.clear_param_diffs()
    write(net, case, "top_diff")
    net._backward(len(net.layers) - 1, 0)
    compare(net, case, {"bottom_diff", "param_diff", "blob_diff"}, BACKWARD)


def test_all_cases_are_here():
    assert len(CASES) == 316
    assert os.path.isfile(GOLDEN / "layers" / "HDF5Data_wraps.txt")
