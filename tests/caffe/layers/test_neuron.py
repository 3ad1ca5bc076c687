"""Layers that work cell by cell."""

import math

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference
from reference import sigmoid

import caffe

FORMULAS = {
    'type: "ReLU"': lambda x: np.maximum(x, 0),
    'type: "ReLU" relu_param { negative_slope: 0.3 }': lambda x: np.where(x > 0, x, 0.3 * x),
    'type: "ELU" elu_param { alpha: 0.7 }': lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)),
    'type: "Sigmoid"': sigmoid,
    'type: "TanH"': np.tanh,
    'type: "Swish" swish_param { beta: 1.3 }': lambda x: x * sigmoid(1.3 * x),
    'type: "Power" power_param { power: 2 scale: 1.5 shift: 0.4 }': lambda x: (0.4 + 1.5 * x) ** 2,
    'type: "Power" power_param { power: 3 scale: 0.5 }': lambda x: (0.5 * x) ** 3,
    'type: "Power" power_param { scale: -2 shift: 1 }': lambda x: 1 - 2 * x,
    'type: "Power" power_param { power: 0 }': np.ones_like,
    'type: "Power" power_param { power: 2 scale: 0 shift: 3 }': lambda x: np.full_like(x, 9),
    'type: "AbsVal"': np.abs,
    'type: "BNLL"': lambda x: np.log(1 + np.exp(x)),
    'type: "Exp"': np.exp,
    'type: "Exp" exp_param { base: 2 scale: 0.5 shift: 1 }': lambda x: 2 ** (0.5 * x + 1),
    'type: "Clip" clip_param { min: -0.45 max: 0.55 }': lambda x: np.clip(x, -0.45, 0.55),
}
POSITIVE = {
    'type: "Log"': np.log,
    'type: "Log" log_param { base: 10 scale: 2 shift: 1 }': lambda x: np.log10(2 * x + 1),
    'type: "Power" power_param { power: -1.5 scale: 2 shift: 0.1 }': lambda x: (
        (2 * x + 0.1) ** -1.5
    ),
}
IN_PLACE = ("ReLU", "ELU", "Sigmoid", "TanH", "BNLL", "Clip", "scale: -2")


def slopes(bottoms, params):
    (x,), (slope,) = bottoms, params
    return np.where(x > 0, x, x * slope.reshape(-1, *[1] * (x.ndim - 2)))


def one(formula):
    return lambda bottoms, params: formula(bottoms[0])


CASES = [
    *(Case(text, [(2, 3, 4)], one(formula)) for text, formula in FORMULAS.items()),
    *(Case(text, [(2, 9)], one(f), low=0.2, high=3.0) for text, f in POSITIVE.items()),
    Case('type: "PReLU"', [(2, 3, 2, 2)], slopes),
    Case('type: "PReLU"', [(4, 3)], slopes),
    Case('type: "PReLU" prelu_param { channel_shared: true }', [(2, 3, 2, 2)], slopes),
    Case('type: "Dropout"', [(3, 5)], one(np.copy), phase=caffe.TEST),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference(case):
    check_reference(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient(case):
    check_gradient(case)


@pytest.mark.parametrize(
    "case",
    [
        Case(text, [(2, 3, 4)], one(formula), in_place=True)
        for text, formula in FORMULAS.items()
        if any(name in text for name in IN_PLACE)
    ]
    + [Case('type: "PReLU"', [(2, 3, 2)], slopes, in_place=True)],
    ids=str,
)
def test_in_place_computes_the_same(case):
    check_reference(case)
    if "BNLL" not in case.text and "Clip" not in case.text:
        check_gradient(case)  # Caffe's gradients of these two want the bottom's values back


def test_dropout_gradient():
    check_gradient(Case('type: "Dropout" dropout_param { dropout_ratio: 0.4 }', [(4, 6)]))


def test_dropout_drops_a_share_and_scales_the_rest():
    run = Layers('type: "Dropout" dropout_param { dropout_ratio: 0.3 }', [(100, 1000)])
    run.bottom[0].data[...] = 1
    (y,) = run.forward()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert abs((y == 0).mean() - 0.3) < 0.01


def test_dropout_of_everything_is_nan_as_in_caffe():
    run = Layers('type: "Dropout" dropout_param { dropout_ratio: 1 }', [(4,)])
    run.bottom[0].data[...] = 1
    assert np.isnan(run.forward()[0]).all()


@pytest.mark.parametrize(
    "text, x, wanted",
    [
        ('type: "ReLU"', [-math.inf, math.inf, math.nan], [math.nan, math.inf, math.nan]),
        (
            'type: "Clip" clip_param { min: -1 max: 2 }',
            [-math.inf, math.inf, math.nan],
            [-1, 2, -1],
        ),
        ('type: "Sigmoid"', [-math.inf, math.inf, math.nan], [0, 1, math.nan]),
        ('type: "Sigmoid"', [-200, 200, 0], [0, 1, 0.5]),
        ('type: "BNLL"', [-1000, 1000, 0], [0, 1000, math.log(2)]),
        ('type: "Threshold" threshold_param { threshold: 0.5 }', [0.5, 0.6, -3], [0, 1, 0]),
        # constants that C's pow knows and Python's refuses
        ('type: "Exp" exp_param { shift: 1000 }', [0, 1, 2], [math.inf] * 3),
        ('type: "Power" power_param { power: -1 scale: 0 }', [0, 1, 2], [math.inf] * 3),
        ('type: "Power" power_param { power: 0.5 scale: 0 shift: -2 }', [0, 1, 2], [math.nan] * 3),
    ],
)
def test_extremes(text, x, wanted, device):
    run = Layers(text, [(3,)])
    run.bottom[0].data[...] = x
    np.testing.assert_allclose(run.forward()[0], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "text, slope",
    [
        ('type: "ReLU"', 0),
        ('type: "ReLU" relu_param { negative_slope: 0.2 }', 0.2),
        ('type: "AbsVal"', 0),
    ],
)
def test_gradient_at_zero(text, slope):
    run = Layers(text, [(2,)])
    run.forward()
    run.top[0].diff[...] = 1
    run.backward([True])
    np.testing.assert_allclose(run.bottom[0].diff, slope)


@pytest.mark.parametrize(
    "text, message",
    [
        ('type: "Exp" exp_param { base: -2 }', "base must be above 0"),
        ('type: "Log" log_param { base: 1 }', "base 1 has no logarithm"),
        ('type: "Dropout" dropout_param { dropout_ratio: 1.5 }', "dropout_ratio must lie"),
    ],
)
def test_bad_settings(text, message):
    with pytest.raises(ValueError, match=f"layer 'l' .*{message}"):
        Layers(text, [(2, 3)])


def test_absval_refuses_to_work_in_place():
    with pytest.raises(ValueError, match="in place"):
        Layers('type: "AbsVal"', [(2, 3)], in_place=True)


@pytest.mark.parametrize("kind", ["AbsVal", "Exp", "Log"])
def test_layers_that_need_something_to_compute_on(kind):
    with pytest.raises(ValueError, match="shape is \\[0, 3\\]"):
        Layers(f'type: "{kind}"', [(0, 3)])


def test_prelu_takes_two_to_four_axes():
    for shape in [(3,), (1, 2, 1, 2, 2)]:
        with pytest.raises(ValueError, match="axes"):
            Layers('type: "PReLU"', [shape])


def test_threshold_has_no_gradient():
    run = Layers('type: "Threshold"', [(2,)])
    run.forward()
    with pytest.raises(NotImplementedError, match="no gradient"):
        run.backward([True])
