"""Dropout as Fast R-CNN and Bayesian SegNet have it."""

import numpy as np
import pytest
from gradient_check import Case, Layers, build, check_gradient, check_reference

import caffe
from caffe.layers.forks.dropout import ForkDropout
from caffe.layers.neuron import Dropout

DROPOUT = 'type: "Dropout" dropout_param {{ dropout_ratio: 0.25 {} }}'
CASES = [
    Case(
        DROPOUT.format("scale_train: false"), [(3, 4)], lambda b, p: b[0] * 0.75, phase=caffe.TEST
    ),
]


@pytest.mark.parametrize("in_place", [False, True])
def test_test_multiplies_where_train_does_not_scale(in_place):
    case = Case(**{**vars(CASES[0]), "in_place": in_place})
    check_reference(case)
    check_gradient(case)


@pytest.mark.parametrize(
    "settings, phase, kept",
    [
        ("scale_train: false", caffe.TRAIN, 1),
        ("scale_train: true", caffe.TRAIN, 4 / 3),
        ("sample_weights_test: true", caffe.TEST, 4 / 3),
        ("sample_weights_test: true", caffe.TRAIN, 4 / 3),
    ],
)
def test_what_is_dropped_and_what_stays(settings, phase, kept):
    run = Layers(DROPOUT.format(settings), [(100, 100)], phase=phase)
    run.bottom[0].data[...] = 1
    y = run.forward()[0]
    np.testing.assert_allclose(np.unique(y), [0, kept], rtol=1e-6)
    assert abs((y == 0).mean() - 0.25) < 0.02
    run.top[0].diff[...] = 1
    run.backward([True])
    np.testing.assert_array_equal(run.bottom[0].diff, y)


@pytest.mark.parametrize(
    "settings, cls",
    [
        ("", Dropout),
        ("scale_train: false", ForkDropout),
        ("sample_weights_test: true", ForkDropout),
    ],
)
def test_what_is_stated_decides(settings, cls):
    assert type(build(DROPOUT.format(settings))) is cls


def test_a_bayesian_net_differs_from_pass_to_pass(net_of):
    net = net_of(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 50 } } } '
        f'layer {{ name: "d" bottom: "x" top: "d" {DROPOUT.format("sample_weights_test: true")} }}'
    )
    net.blobs["x"].data[...] = 1
    first = net.forward()["d"].copy()
    assert (net.forward()["d"] != first).any()
