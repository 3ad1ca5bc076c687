"""ReflectionPadding: pictures mirrored at their borders."""

import numpy as np
import pytest
from trees import Top

from caffe.proto import caffe_pb2
from fcn.reflection import ReflectionPadding


def padded(array, **params):
    """The layer, its bottom and its top after a forward."""
    layer = ReflectionPadding(caffe_pb2.LayerParameter(name="mirrored", type="Python"))
    layer.param_str = repr(params)
    bottom, top = Top(), Top()
    bottom.data, bottom.diff = array, np.zeros_like(array)
    layer.setup([bottom], [top])
    layer.reshape([bottom], [top])
    layer.forward([bottom], [top])
    return layer, bottom, top


def naive(at, size):
    """The place that is shown at a place outside, going back and forth without repeating the border."""
    while not 0 <= at < size:
        at = -at if at < 0 else 2 * (size - 1) - at
        if size == 1:
            return 0
    return at


@pytest.mark.parametrize("height, width", [(9, 17), (10, 16), (2, 1), (5, 3)])
@pytest.mark.parametrize("margin, cell, least", [(0, 1, 0), (3, 8, 0), (20, 8, 6), (2, 4, 1)])
def test_shows_the_mirrored_picture(height, width, margin, cell, least):
    x = np.arange(2.0 * height * width).reshape(1, 2, height, width)
    y = padded(x, margin=margin, cell=cell, least=least)[2].data
    for axis, size in ((2, height), (3, width)):
        cells, rest = divmod(y.shape[axis] - 2 * margin, cell)
        assert rest == 0 and cells >= least and cell * (cells - 1) >= size - 1
        assert cells == least or cell * (cells - 2) < size - 1
    rows = [naive(i - margin, height) for i in range(y.shape[2])]
    columns = [naive(j - margin, width) for j in range(y.shape[3])]
    assert np.array_equal(y, x[:, :, rows][:, :, :, columns])


def test_as_the_published_test_pads_voc():
    """186 pixels and what completes 900x900; the border itself is not repeated."""
    y = padded(np.zeros((1, 3, 375, 500)), margin=186, cell=8, least=66)[2].data
    assert y.shape == (1, 3, 900, 900)


def test_gradient_is_the_adjoint():
    rng = np.random.RandomState(0)
    layer, bottom, top = padded(rng.normal(size=(2, 1, 4, 3)), margin=5, cell=2)
    top.diff = rng.normal(size=top.data.shape)
    layer.backward([top], [True], [bottom])
    assert (bottom.diff * bottom.data).sum() == pytest.approx((top.diff * top.data).sum())
    before = bottom.diff.copy()
    layer.backward([top], [False], [bottom])
    assert np.array_equal(bottom.diff, before)


@pytest.mark.parametrize(
    "params, error, words",
    [
        (dict(margins=3), KeyError, "did you mean margin"),
        (dict(margin=-1), ValueError, "margin and least are 0 or more"),
        (dict(cell=0), ValueError, "cell 1 or more"),
    ],
)
def test_refuses(params, error, words):
    with pytest.raises(error, match=words):
        padded(np.zeros((1, 1, 3, 3)), **params)
