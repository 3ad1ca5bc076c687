"""The examples of where FCNs came from: what each of them promises, in small."""

import sys

import numpy as np
import pytest
from places import ROOT

import caffe
from fcn.datasets.dataset import VOID

sys.path.insert(0, str(ROOT / "examples/history"))
import block_corners
import digit_strings
import pyramid_and_jet
import stride_bound


def test_the_net_of_strings_is_the_classifier_at_each_place(tmp_path, monkeypatch):
    monkeypatch.setattr(digit_strings, "STEPS", 4)
    rng = np.random.RandomState(0)
    classifier = digit_strings.trained(tmp_path, rng)
    net = digit_strings.as_convolution(classifier, tmp_path)
    picture, _ = digit_strings.string(rng, 3)
    scores = digit_strings.scores_of(net, picture)
    for place in (0, 3, 5):
        left = place * digit_strings.STRIDE
        classifier.blobs["data"].data[0, 0] = picture[:, left : left + digit_strings.SIDE]
        classifier.forward()
        alone = classifier.blobs["ip2"].data[0].astype(float)
        wanted = alone - np.logaddexp.reduce(alone)
        np.testing.assert_allclose(scores[place], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("text", ["3", "33", "307", "112", ""])
def test_the_best_way_through_the_places(text):
    """A digit is held for some places, and a doubt in between changes nothing."""
    digits = [int(each) for each in text]
    way = [digit_strings.NONE]
    for digit in digits:
        way += [digit, digit, digit_strings.NONE]
    scores = np.full((len(way), digit_strings.NONE + 1), -6.0)
    scores[range(len(way)), way] = -0.1
    assert digit_strings.read(scores) == digits
    if digits:
        scores[1, 9], scores[1, digits[0]] = -1.0, -1.1  # for one place another digit is likelier
        assert digit_strings.read(scores) == digits


@pytest.mark.parametrize("size", [(40, 56), (33, 47)])
def test_the_pyramid_s_levels_add_up_to_the_picture(size):
    picture = np.random.RandomState(0).rand(*size).astype(np.float32)
    blobs = pyramid_and_jet.run(pyramid_and_jet.pyramid(*size), picture).blobs
    assert np.abs(blobs["again0"].data[0, 0] - picture).max() < 1e-5
    assert blobs["gauss1"].data.shape[2:] == tuple(-(-side // 2) for side in size)
    inside = np.s_[4:-4, 4:-4]
    even = pyramid_and_jet.run(pyramid_and_jet.pyramid(*size), np.ones(size)).blobs
    assert np.abs(even["laplace0"].data[0, 0][inside]).max() < 1e-6  # nothing is in between


def jet_of(picture):
    net = pyramid_and_jet.run(pyramid_and_jet.jet(*picture.shape), picture)
    return net.blobs["jet"].data[0].copy()


def test_the_jet_is_that_of_a_plane_and_a_parabola():
    y, x = np.mgrid[:60, :70] / 10
    jet, at = dict(zip(pyramid_and_jet.JET, jet_of(3 * x - 2 * y + x**2))), (30, 35)
    assert jet[1, 0][at] == pytest.approx((3 + 2 * x[at]) / 10, rel=1e-2)
    assert jet[0, 1][at] == pytest.approx(-2 / 10, rel=1e-2)
    assert jet[2, 0][at] == pytest.approx(2 / 100, rel=2e-2)
    assert jet[0, 2][at] == pytest.approx(0, abs=1e-4)


def test_the_jet_can_be_steered():
    """The derivative downwards is that to the right in the picture turned by a quarter."""
    picture = np.random.RandomState(0).rand(41, 41)
    found = np.rot90(pyramid_and_jet.along(jet_of(picture), np.pi / 2))
    turned = jet_of(np.rot90(picture))[pyramid_and_jet.JET.index((1, 0))]
    np.testing.assert_allclose(turned, found, atol=1e-5)


def test_coarse_labels():
    labels = np.zeros((6, 7), np.uint8)
    labels[:3, :3], labels[4:, 4:], labels[0, 0] = 2, VOID, VOID
    found = stride_bound.coarse(labels, 4)
    assert found.shape == labels.shape and (found[:4, :4] == 2).all()
    assert (found[4:, 4:] == VOID).all() and (found[4:, :4] == 0).all()
    assert stride_bound.bound([labels], 1) == 1 > stride_bound.bound([labels], 4)


def test_corners_lie_where_the_block_ends():
    rng = np.random.RandomState(2)
    for _ in range(20):
        page, corners = block_corners.picture(rng, "infer")
        (top, left), (_, right), (bottom, _) = corners[:3].astype(int)
        assert 0 <= top < bottom < page.shape[0] and 0 <= left < right < page.shape[1]
        assert page[top:bottom, left:right].mean() > page.mean()
        maps = block_corners.heat(corners)
        peak = np.unravel_index(maps[0].argmax(), maps[0].shape)
        assert np.abs(np.array(peak) * block_corners.CELL + 1.5 - corners[0]).max() <= 2


def test_places_are_refined_at_the_border_too(tmp_path):
    """Where all scores are equal the first place is the largest."""
    n = caffe.NetSpec()
    n.data = caffe.layers.Input(shape=dict(dim=[1, 1, block_corners.HEIGHT, block_corners.WIDTH]))
    block_corners.locator(n)
    (tmp_path / "net.prototxt").write_text(str(n.to_proto()))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    for blobs in net.params.values():
        blobs[0].data[...] = 0
    corners, _ = block_corners.found(net, np.zeros((block_corners.HEIGHT, block_corners.WIDTH)))
    assert corners.shape == (4, 2) and (corners == 0.5 * block_corners.CELL + 1.5).all()
