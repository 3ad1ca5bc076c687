"""BatchNorm and MVN."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

import caffe


def normalize(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def mvn(x, axes, eps=1e-9, variance=True):
    y = x - x.mean(axes, keepdims=True)
    return y / (x.std(axes, keepdims=True) + eps) if variance else y


def global_statistics(bottoms, params):
    mean, variance, factor = (p / params[2] for p in params)
    shape = (1, -1, 1)
    return (bottoms[0] - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5)


CASES = [
    Case('type: "BatchNorm"', [(3, 2, 3)], lambda bottoms, params: normalize(bottoms[0], (0, 2))),
    Case(
        'type: "BatchNorm" batch_norm_param { eps: 0.1 }',
        [(4, 3)],
        lambda bottoms, params: normalize(bottoms[0], 0, 0.1),
    ),
    Case('type: "MVN"', [(2, 2, 2, 3)], lambda bottoms, params: mvn(bottoms[0], (2, 3))),
    Case(
        'type: "MVN" mvn_param { across_channels: true }',
        [(2, 2, 2, 3)],
        lambda bottoms, params: mvn(bottoms[0], (1, 2, 3)),
    ),
    Case(
        'type: "MVN" mvn_param { normalize_variance: false }',
        [(2, 2, 2, 3)],
        lambda bottoms, params: mvn(bottoms[0], (2, 3), variance=False),
    ),
]


WIDE_EPS = Case(
    'type: "MVN" mvn_param { eps: 0.5 }',
    [(2, 2, 2, 3)],
    lambda bottoms, params: mvn(bottoms[0], (2, 3), 0.5),
)


@pytest.mark.parametrize("case", [*CASES, WIDE_EPS], ids=str)
def test_reference(case):
    check_reference(case)


@pytest.mark.parametrize("case", CASES[2:], ids=str)
def test_mvn_gradient(case):
    check_gradient(case)


@pytest.mark.parametrize("in_place", [False, True])
def test_batch_norm_gradient(in_place, monkeypatch):
    """Of the bottom alone: the three blobs never get a gradient."""
    monkeypatch.setattr(Layers, "params", [])
    check_gradient(Case('type: "BatchNorm"', [(3, 2, 3)], in_place=in_place))
    fixed = 'type: "BatchNorm" batch_norm_param { use_global_stats: true }'
    check_gradient(Case(fixed, [(3, 2, 3)], in_place=in_place))


def test_global_statistics():
    check_reference(
        Case('type: "BatchNorm"', [(2, 3, 2)], global_statistics, low=0.5, phase=caffe.TEST)
    )


def test_statistics_run_on_in_every_training_forward():
    run = Layers('type: "BatchNorm" batch_norm_param { moving_average_fraction: 0.9 }', [(4, 2, 3)])
    x = run.randomize(-1, 1, {}).normal(size=(4, 2, 3))
    for blob in run.params:
        blob.data[...] = 0
    run.bottom[0].data[...] = x
    for _ in range(2):
        run.forward()
    mean, variance, factor = (blob.data for blob in run.params)
    assert factor[0] == pytest.approx(1.9)
    np.testing.assert_allclose(mean / factor, x.mean((0, 2)), rtol=1e-4)
    np.testing.assert_allclose(variance / factor, x.var((0, 2), ddof=1), rtol=1e-4)


def test_no_statistics_yet():
    run = Layers('type: "BatchNorm"', [(2, 3)], phase=caffe.TEST)
    run.bottom[0].data[...] = 2
    np.testing.assert_allclose(run.forward()[0], 2 / np.sqrt(1e-5), rtol=1e-6)


def test_statistics_are_not_learned():
    run = Layers('type: "BatchNorm" param { lr_mult: 0 decay_mult: 0 }', [(2, 3)])
    assert [spec.lr_mult for spec in run.layer.layer_param.param] == [0, 0, 0]
    with pytest.raises(ValueError, match="param 0 has lr_mult 1.*statistics are not learned"):
        Layers('type: "BatchNorm" param { }', [(2, 3)])


def test_other_channels_after_a_reshape():
    run = Layers('type: "BatchNorm"', [(2, 3)])
    run.bottom[0].reshape(2, 4)
    with pytest.raises(ValueError, match="statistics are of 3 channels"):
        run.forward()


def test_mvn_makes_four_axes_of_three_and_refuses_five():
    assert list(Layers('type: "MVN"', [(2, 3, 4)]).top[0].shape) == [2, 3, 4, 1]
    with pytest.raises(ValueError, match="at most four axes"):
        Layers('type: "MVN"', [(1, 1, 1, 1, 2)])
