"""Nets at full width against what BVLC Caffe 1.0 computed: blobs, losses and gradients."""

import math
import runpy

import numpy as np
import pytest
from google.protobuf import text_format
from places import GOLDEN
from published import MODELS, net_names, on_disk


def test_golden_files_are_there():
    found = {path.stem for path in (GOLDEN / "fcn").glob("*.npz")}
    assert {"voc-fcn32s", "voc-fcn16s", "voc-fcn8s"} <= found <= set(MODELS)


def sample_of(gradient):
    """What the golden files keep of one: its norm and 16 of its values (their sum cancels)."""
    flat = np.asarray(gradient, np.float64).ravel()
    return np.concatenate([[math.sqrt(flat @ flat)], flat[:: max(1, flat.size // 16)][:16]])


def error(found, wanted):
    wanted = np.asarray(wanted, np.float64)
    return np.linalg.norm(np.asarray(found, np.float64) - wanted) / max(
        np.linalg.norm(wanted), 1e-6
    )


def with_inputs(param, height, width):
    """A val or test net with an Input layer for each top of its data layer; all diffs computed."""
    tops, layers = list(param.layer[0].top), list(param.layer)[1:]
    del param.layer[:]
    for top in tops:
        source = param.layer.add(name=f"in_{top}", type="Input", top=[top])
        channels = {"data": 3, "color": 3, "hha": 3}.get(top, 1)
        source.input_param.shape.add(dim=[1, channels, height, width])
    param.layer.extend(layers)
    param.force_backward = True
    return text_format.MessageToString(param)


@pytest.fixture(scope="module")
def filled():
    """Parameters by the golden files' formula, made once: most are the same in all the nets."""
    return {}


@pytest.mark.parametrize("path", sorted((GOLDEN / "fcn").glob("*.npz")), ids=lambda path: path.stem)
def test_golden(path, filled, net_of):
    stored = np.load(path)
    formula = runpy.run_path(str(path.parent / "formula.py"))
    tag, (height, width) = str(stored["tag"]), map(int, stored["size"])
    net = net_of(with_inputs(on_disk(path.stem, net_names(path.stem)[1]), height, width))
    for name, blobs in net.params.items():
        key = (name, *(tuple(blob.shape) for blob in blobs))
        if key not in filled:
            formula["fill"]({name: [blob.data for blob in blobs]}, tag)
            filled[key] = blobs
        for blob, known in zip(blobs, filled[key]):
            blob.data[...] = known.data
    classes = {"label": "score", "sem": "score_sem", "geo": "score_geo"}
    for top in net.inputs:
        blob = net.blobs[top]
        if top in classes:
            count = net.blobs[classes[top]].data.shape[1]
            blob.data[...] = formula["label"](blob.data.shape, count, tag, top)
        else:
            blob.data[...] = formula["data"](blob.data.shape, tag, top)
    net.forward()
    net.clear_param_diffs()
    net.backward()
    for key in stored.files:
        kind, *where = key.split("/")
        if kind in ("blob", "loss"):
            assert error(net.blobs[where[0]].data, stored[key]) < 1e-5, key
        elif kind == "grad":
            found = sample_of(net.params[where[0]][int(where[1])].diff)
            assert error(found, np.delete(stored[key], 1)) < 1e-3, key
        elif kind == "grad_in":
            assert error(sample_of(net.blobs[where[0]].diff), np.delete(stored[key], 1)) < 1e-3, key
