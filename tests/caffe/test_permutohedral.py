"""The permutohedral lattice, in PyTorch and in C, against a naive one."""

import numpy as np
import pytest
import torch
from naive_lattice import lattice_filter

from caffe.kernels import library
from caffe.kernels.lattice import NativeLattice
from caffe.permutohedral import Lattice, lattice_of

IN_C = pytest.mark.skipif(not library.available(), reason="no C compiler here")


def points(d, count=40):
    generator = np.random.default_rng(d)
    return generator.normal(0, 1.5, (count, d)), generator.normal(size=(count, 3))


@pytest.mark.parametrize("d", [2, 3, 5])
def test_it_is_the_naive_one(d):
    features, values = points(d)
    lattice = Lattice(torch.tensor(features))
    np.testing.assert_allclose(
        lattice.filter(torch.tensor(values)), lattice_filter(features, values), atol=1e-12
    )


@IN_C
@pytest.mark.parametrize("d", [1, 2, 5, 8])
def test_the_one_in_c_is_the_naive_one(d):
    features, values = points(d)
    lattice = lattice_of(torch.tensor(features, dtype=torch.float32))
    assert isinstance(lattice, NativeLattice)
    found = lattice.filter(torch.tensor(values, dtype=torch.float32))
    np.testing.assert_allclose(found, lattice_filter(features, values), atol=1e-5)


@IN_C
@pytest.mark.parametrize("channels", [1, 8, 21, 40, 67])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_one_in_c_is_that_of_pytorch(channels, transposed):
    """Of more points than one thread takes at once, and of more vertices than its table first has."""
    draw = torch.Generator().manual_seed(channels)
    features = 9 * torch.randn(9000, 4, generator=draw)
    values, onto, scale = (torch.randn(9000, n, generator=draw) for n in (channels, channels, 1))
    ours, theirs = lattice_of(features), Lattice(features)
    assert ours.size == theirs.size > 2**15
    torch.testing.assert_close(
        ours.filter(values, transposed), theirs.filter(values, transposed), atol=1e-5, rtol=1e-5
    )
    wanted = theirs.filter(values, transposed, scale, onto)
    found = ours.filter(values, transposed, scale, onto, out=onto)
    assert found is onto
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@IN_C
def test_the_one_in_c_does_not_depend_on_threads():
    draw = torch.Generator().manual_seed(0)
    features, values = torch.randn(3000, 5, generator=draw), torch.randn(3000, 8, generator=draw)
    lattice, threads = lattice_of(features), torch.get_num_threads()
    several = lattice.filter(values)
    try:
        torch.set_num_threads(1)
        assert torch.equal(lattice_of(features).filter(values), several)
    finally:
        torch.set_num_threads(threads)


def test_the_transposed_filter_is_the_transpose():
    generator = torch.Generator().manual_seed(0)
    lattice = Lattice(torch.randn(30, 5, generator=generator, dtype=torch.float64))
    one = torch.eye(30, dtype=torch.float64)
    there, back = lattice.filter(one), lattice.filter(one, transposed=True)
    torch.testing.assert_close(there.T, back)
    assert not torch.allclose(there, back)  # the order of the directions matters


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "features", [[[0.0], [1e9]], [[0.0], [float("nan")]], [[-9e4] * 5, [9e3] * 5]]
)
def test_features_without_bounds(features, dtype):
    with pytest.raises(ValueError, match="spread over too many deviations"):
        lattice_of(torch.tensor(features, dtype=dtype))


def test_other_numbers_than_the_code_in_c_takes():
    for features in (torch.zeros(2, 9), torch.zeros(2, 2, dtype=torch.float64)):
        assert isinstance(lattice_of(features), Lattice)
