"""The permutohedral lattice against a naive one, and against what it stands for."""

import numpy as np
import pytest
import torch
from naive_lattice import lattice_filter

from caffe.layers.forks.permutohedral import Kernel, Lattice, kernel_of_colours, positions


@pytest.mark.parametrize("d", [2, 3, 5])
def test_it_is_the_naive_one(d):
    generator = np.random.default_rng(d)
    features, values = generator.normal(0, 1.5, (40, d)), generator.normal(size=(40, 3))
    lattice = Lattice(torch.tensor(features))
    np.testing.assert_allclose(
        lattice.filter(torch.tensor(values)), lattice_filter(features, values), atol=1e-12
    )


def test_the_transposed_filter_is_the_transpose():
    generator = torch.Generator().manual_seed(0)
    lattice = Lattice(torch.randn(30, 5, generator=generator, dtype=torch.float64))
    one = torch.eye(30, dtype=torch.float64)
    there, back = lattice.filter(one), lattice.filter(one, transposed=True)
    torch.testing.assert_close(there.T, back)
    assert not torch.allclose(there, back)  # the order of the directions matters


def test_it_is_near_the_gaussian():
    """Means by the lattice and by all pairs, of classes on a picture of two colours."""
    generator = np.random.default_rng(0)
    picture = np.zeros((3, 15, 20))
    picture[:, :, 9:] = 90
    picture += generator.normal(0, 4, picture.shape)
    q = generator.dirichlet(np.ones(4), 300).T
    kernel = kernel_of_colours(torch.tensor(picture), 6.0, 12.0)
    near = positions(15, 20, torch.zeros((), dtype=torch.float64)).numpy() / 6
    features = np.concatenate([near, picture / 12]).reshape(5, -1)
    apart = ((features[:, :, None] - features[:, None]) ** 2).sum(0)
    exact = np.exp(-apart / 2)
    exact = q @ (exact / exact.sum(1, keepdims=True)).T
    found = kernel.filter(torch.tensor(q)).numpy()
    assert np.abs(found - exact).max() < 0.05 and np.abs(found - exact).mean() < 0.01
    np.testing.assert_allclose(found.sum(0), 1, rtol=1e-9)


def test_positions_are_x_and_y():
    assert positions(2, 3, torch.zeros(())).tolist() == [
        [[0, 1, 2], [0, 1, 2]],
        [[0, 0, 0], [1, 1, 1]],
    ]


def test_features_without_bounds():
    with pytest.raises(ValueError, match="spread over too many deviations"):
        Kernel(torch.tensor([[[0.0, 1e9]]] * 3))
