"""Coordinate maps and crops: recorded from pycaffe, plus what must hold of any net."""

import json

import numpy as np
import pytest
from places import GOLDEN

from caffe import coord_map as cm
from caffe.net_spec import NetSpec
from caffe.net_spec import layers as L
from caffe.net_spec import params as P

RULES = json.loads((GOLDEN / "rules.json").read_text())
ROWS = RULES["coord_map"]["rows"]
ERRORS = {
    "RuntimeError": RuntimeError,
    "KeyError": KeyError,
    "AssertionError": AssertionError,
    "AxisMismatchException": cm.AxisMismatchException,
}


def _chain(top, layers, to=None):
    for kind, settings in layers:
        top = cm.crop(top, to) if kind == "Crop" else getattr(L, kind)(top, **settings)
    return top


def _tops(row):
    data = L.Input(shape=dict(dim=[1, 2, 40, 40]))
    if row["from"] == "two inputs":
        return L.ReLU(data), L.Input(shape=dict(dim=[1, 2, 40, 40]))
    to = _chain(data, row["to"])
    return _chain(data, row["from"], to), to


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_recorded(row):
    top, to = _tops(row)
    if "map" in row:
        axis, scale, shift = cm.coord_map_from_to(top, to)
        assert axis == row["map"]["axis"]
        assert np.array_equal(np.atleast_1d(scale), row["map"]["scale"])
        assert np.array_equal(np.atleast_1d(shift), row["map"]["shift"])
    else:
        with pytest.raises(ERRORS[row["map_exception"]]):
            cm.coord_map_from_to(top, to)
    if "crop" in row:
        made = cm.crop(top, to).to_proto().layer[-1].crop_param
        assert (made.axis, list(made.offset)) == (row["crop"]["axis"], row["crop"]["offset"])
    else:
        with pytest.raises(ERRORS[row["crop_exception"]]) as caught:
            cm.crop(top, to)
        assert row["message"].strip("'") in str(caught.value)


def _net(ks=3, stride=1, pad=0, pool=2, dstride=2, dpad=0):
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 1, 100, 100]))
    n.aux = L.Input(shape=dict(dim=[2, 1, 20, 20]))
    n.conv = L.Convolution(n.data, num_output=10, kernel_size=ks, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=pool, stride=pool)
    shape = dict(kernel_size=dstride * 2, stride=dstride, pad=dpad)
    n.deconv = L.Deconvolution(n.pool, convolution_param=dict(num_output=10, **shape))
    return n


@pytest.mark.parametrize("pad", range(4))
def test_padding_below_and_above_cancel(pad):
    axis, scale, shift = cm.coord_map_from_to(*_ends(_net()))
    assert cm.coord_map_from_to(*_ends(_net(pad=pad)))[2] == shift - pad
    assert cm.coord_map_from_to(*_ends(_net(dpad=pad)))[2] == shift + pad
    assert cm.coord_map_from_to(*_ends(_net(pad=pad, dpad=pad))) == (axis, scale, shift)


def _ends(n):
    return n.deconv, n.data


def test_pointwise_and_1x1_change_nothing():
    n = _net()
    want = cm.coord_map_from_to(n.deconv, n.data)
    n.relu = L.ReLU(n.deconv)
    n.one = L.Convolution(n.relu, num_output=10, kernel_size=1)
    assert cm.coord_map_from_to(n.relu, n.data) == want
    assert cm.coord_map_from_to(n.one, n.data) == want


def test_each_bottom_maps_to_each_top_alike():
    n = _net()
    n.a, n.b = L.Convolution(n.data, n.aux, ntop=2, num_output=1, kernel_size=5, stride=2)
    assert cm.coord_map_from_to(n.a, n.data) == cm.coord_map_from_to(n.b, n.aux)


def test_axes_of_a_rectangle_are_independent():
    axis, scale, shift = cm.coord_map_from_to(*_ends(_net([3, 5], [1, 2], [0, 10])))
    for i, one in enumerate((_net(3, 1, 0), _net(5, 2, 10))):
        want = cm.coord_map_from_to(*_ends(one))
        assert (axis, scale[i], shift[i]) == want


def test_three_spatial_axes():
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 3, 20, 20, 20]))
    n.conv = L.Convolution(n.data, num_output=1, kernel_size=[3, 3, 3], pad=[0, 1, 2])
    axis, scale, shift = cm.coord_map_from_to(n.conv, n.data)
    assert axis == 1 and (scale == 1).all() and shift.tolist() == [1, 0, -1]


@pytest.mark.parametrize("offset", [0, 3, 7])
def test_crop_of_a_crop(offset):
    n = _net()
    axis, scale, shift = cm.coord_map_from_to(n.deconv, n.data)
    n.crop = L.Crop(n.deconv, n.data, axis=2, offset=offset)
    assert cm.coord_map_from_to(n.crop, n.data) == (axis, scale, shift + offset)


def test_crop_through_pointwise_layers_only():
    n = _net()
    made = cm.crop(L.ReLU(n.data), n.data).to_proto().layer[-1]
    assert (made.crop_param.axis, list(made.crop_param.offset)) == (2, [0])


def test_inverse_undoes():
    there = (1, np.array([0.5, 2.0]), np.array([3.0, -1.0]))
    axis, scale, shift = cm.compose(there, cm.inverse(there))
    assert axis == 1 and scale.tolist() == [1, 1] and shift.tolist() == [0, 0]


def test_layer_without_map_is_refused():
    n = _net()
    with pytest.raises(cm.UndefinedMapException, match="InnerProduct"):
        cm.coord_map(L.InnerProduct(n.data, num_output=2).fn)


def test_height_and_width_settings_are_refused():
    n = _net()
    with pytest.raises(AssertionError, match="pad_h"):
        cm.crop(L.Convolution(n.data, num_output=2, kernel_size=3, pad_h=1, pad_w=1), n.data)


def test_a_deep_net_of_branches_is_walked_once():
    top = data = L.Input(shape=dict(dim=[1, 1, 9, 9]))
    for _ in range(60):  # 2 ** 60 ways through
        top = L.Eltwise(L.ReLU(top), L.Convolution(top, num_output=1, kernel_size=3, pad=1))
    assert cm.coord_map_from_to(top, data)[1:] == (1, 0)
