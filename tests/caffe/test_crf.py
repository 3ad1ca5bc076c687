"""Mean field in a dense CRF, by the lattice and by all pairs of pixels."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

import caffe
from caffe.crf import Kernel, kernel_of_colours, positions

NEAR, ALIKE = [(3, 2.0)], [(4, 8.0, 12.0)]


def two_colours(height=15, width=20, noise=4.0):
    """A picture that is dark on the left and bright on the right."""
    picture = np.zeros((3, height, width))
    picture[:, :, 9:] = 90
    return picture + np.random.default_rng(0).normal(0, noise, picture.shape)


def all_pairs(scores, picture, rounds):
    """Mean field with matrices of all pairs."""
    _, height, width = picture.shape
    xy = np.stack(np.meshgrid(np.arange(width), np.arange(height))).astype(float)
    features = [(w, xy / s) for w, s in NEAR]
    features += [(w, np.concatenate([xy / s, picture / c])) for w, s, c in ALIKE]
    matrices = []
    for weight, feature in features:
        flat = feature.reshape(len(feature), -1)
        k = np.exp(-((flat[:, :, None] - flat[:, None]) ** 2).sum(0) / 2)
        matrices.append(weight * k / k.sum(1, keepdims=True))
    unary = scores.reshape(len(scores), -1)
    q = softmax(unary, 0)
    for _ in range(rounds):
        q = softmax(unary + q @ sum(matrices).T, 0)
    return q.reshape(scores.shape)


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_the_exact_one_is_that_of_all_pairs(rounds, device):
    picture, scores = two_colours(6, 11), np.random.default_rng(1).normal(size=(3, 6, 11))
    found = caffe.crf.mean_field_of(scores, picture, NEAR, ALIKE, rounds, exact=True)
    np.testing.assert_allclose(found, all_pairs(scores, picture, rounds), atol=1e-5)


def test_the_lattice_is_near_the_exact_one(device):
    """On scores that are noise around a square of another class than what is around it."""
    picture = two_colours(45, 60)
    truth = np.zeros((45, 60), int)
    truth[:, 9:] = 1
    scores = np.random.default_rng(2).normal(0, 2, (4, 45, 60)) + 1.5 * np.eye(4)[truth].transpose(
        2, 0, 1
    )
    fast, exact = (
        caffe.crf.mean_field_of(scores, picture, NEAR, ALIKE, exact=exact)
        for exact in (False, True)
    )
    assert (fast.argmax(0) == exact.argmax(0)).mean() > 0.99
    assert np.abs(fast - exact).mean() < 0.01
    assert (scores.argmax(0) == truth).mean() < 0.7 < 0.99 < (fast.argmax(0) == truth).mean()


def test_blocks_of_pairs_are_one_sum(monkeypatch):
    features = torch.rand(2, 5, 7)
    values = torch.rand(3, 35)
    whole = Kernel(features, exact=True).filter(values)
    monkeypatch.setattr(caffe.crf, "BLOCK", 100)
    torch.testing.assert_close(Kernel(features, exact=True).filter(values), whole)


def test_it_is_near_the_gaussian():
    """Means by the lattice and by all pairs, of classes on a picture of two colours."""
    picture = torch.tensor(two_colours())
    q = torch.tensor(np.random.default_rng(0).dirichlet(np.ones(4), 300).T)
    exact, found = (
        kernel_of_colours(picture, 6.0, 12.0, exact).filter(q) for exact in (True, False)
    )
    apart = (found - exact).abs()
    assert apart.max() < 0.05 and apart.mean() < 0.01
    torch.testing.assert_close(found.sum(0), torch.ones(300, dtype=torch.float64))


def test_without_kernels_it_is_the_softmax():
    scores = np.random.default_rng(3).normal(size=(3, 4, 5))
    found = caffe.crf.mean_field_of(scores, np.zeros((3, 4, 5)))
    np.testing.assert_allclose(found, softmax(scores, 0), rtol=1e-6)


def test_sizes_that_differ():
    with pytest.raises(ValueError, match=r"one size, got \[3, 4, 5\] and \[3, 4, 6\]"):
        caffe.crf.mean_field_of(np.zeros((3, 4, 5)), np.zeros((3, 4, 6)))


def test_positions_are_x_and_y():
    assert positions(2, 3, torch.zeros(())).tolist() == [
        [[0, 1, 2], [0, 1, 2]],
        [[0, 0, 0], [1, 1, 1]],
    ]
