"""The losses of tags: by hand, and their gradients by numeric differences."""

import numpy as np
import pytest

import caffe
from fcn.weak.constraints import softmax

TEXT = """
layer {{ name: "s" type: "Input" top: "s" input_param {{ shape {{ dim: 1 dim: 4 dim: 3 dim: 2 }} }} }}
layer {{ name: "l" type: "Input" top: "l" input_param {{ shape {{ dim: 1 dim: 3 dim: 8 dim: 9 }} }} }}
layer {{ name: "loss" type: "Python" bottom: "s" bottom: "l" top: "loss" loss_weight: 1
  propagate_down: true propagate_down: false
  python_param {{ module: "fcn.weak.losses" layer: "{layer}" param_str: "{params}" }} }}
force_backward: true
"""
SCORES = np.random.RandomState(0).randn(1, 4, 3, 2).astype(np.float32)


@pytest.fixture
def net_of(tmp_path):
    def net_of(layer, tags, large=(), params=""):
        path = tmp_path / "net.prototxt"
        path.write_text(TEXT.format(layer=layer, params=params))
        net = caffe.Net(str(path), caffe.TRAIN)
        net.blobs["s"].data[...] = SCORES
        net.blobs["l"].data[0, 2, 0, : len(tags)] = tags
        net.blobs["l"].data[0, 2, 1, : len(large)] = large
        return net

    return net_of


def numeric(net, step=1e-2):
    blob, found = net.blobs["s"].data, np.zeros(SCORES.shape)
    for place in np.ndindex(blob.shape):
        values = []
        for sign in (1, -1):
            blob[place] = SCORES[place] + sign * step
            values.append(float(net.forward()["loss"].ravel()[0]))
        blob[place] = SCORES[place]
        found[place] = (values[0] - values[1]) / (2 * step)
    net.forward()
    return found


def gradient(net):
    net.forward()
    net.backward()
    return net.blobs["s"].diff.copy()


def test_the_maximum_is_that_of_the_classes_there_and_background(net_of):
    net = net_of("MaximumLoss", [3, 1])
    p = softmax(SCORES[0].reshape(4, -1).T)
    wanted = -np.log(p[:, [0, 1, 3]].max(0)).mean()
    assert net.forward()["loss"].ravel()[0] == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(gradient(net), numeric(net), atol=2e-3)
    net = net_of("MaximumLoss", [])
    assert net.forward()["loss"].ravel()[0] == pytest.approx(-np.log(p[:, 0].max()), rel=1e-5)


PARAMS = "{'present': 0.2, 'background': (0.3, 0.5)}"
SIZES = "{'sizes': True, 'large': 0.4, 'present': 0.1, 'small': 0.2, 'background': (0.1, 0.5)}"


@pytest.mark.parametrize("params, large", [(PARAMS, []), (SIZES, [2])])
def test_the_constrained_loss_is_the_distance_to_the_constraints(net_of, params, large):
    net = net_of("ConstrainedLoss", [1, 2], large, params)
    slope = gradient(net)
    q = softmax(SCORES[0].reshape(4, -1).T)
    p = q - len(q) * slope[0].reshape(4, -1).T  # the gradient is Q - P, a cell
    share = p.mean(0)
    assert np.allclose(p.sum(1), 1, atol=1e-5) and share[3] == pytest.approx(0, abs=1e-5)
    assert (0.3 if not large else 0.1) - 1e-3 <= share[0] <= 0.5 + 1e-3
    assert share[2] >= (0.4 if large else 0.2) - 2e-2
    found = net.forward()["loss"].ravel()[0]
    kl = (p * np.log(np.maximum(p, 1e-9) / q)).sum() / len(q)
    assert found == pytest.approx(kl, rel=1e-3) and found > 0
    np.testing.assert_allclose(
        slope, numeric(net), atol=3e-3
    )  # the envelope: P need not be derived


def test_what_cannot_be_is_named(net_of):
    with pytest.raises(Exception, match=r"tags \[5\], but scores of 4 classes"):
        net_of("MaximumLoss", [5]).forward()
    with pytest.raises(Exception, match=r"tags \[1\]: cannot be met together: share of class 0 at"):
        net_of("ConstrainedLoss", [1], [], "{'background': (0.8, 0.2)}").forward()
    with pytest.raises(Exception, match="which this layer does not know"):
        net_of("ConstrainedLoss", [1], [], "{'foreground': 1}")
