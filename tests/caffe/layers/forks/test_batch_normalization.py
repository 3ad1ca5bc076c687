"""BN of three forks."""

import numpy as np
import pytest
from gradient_check import Case, Layers, build, check_gradient, check_reference

import caffe
from caffe.layers.forks.batch_normalization import PSPNetBN, SegNetBN, WindowsBN

SHAPE = (3, 2, 2, 3)
SEGNET = 'type: "BN" bn_param { bn_mode: %s }'
PSPNET = 'type: "BN" bn_param { momentum: 0.8 eps: 0.1 %s }'
WINDOWS = 'type: "BN" bn_param { var_eps: 0.1 decay: 0.25 moving_average: %s }'


def batch(eps):
    def reference(bottoms, params):
        x = bottoms[0]
        mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
        return (x - mean) / np.sqrt(variance + eps) * params[0] + params[1]

    return reference


def running(bottoms, params):
    return (bottoms[0] - params[2]) / np.sqrt(params[3] + 0.1) * params[0] + params[1]


def with_statistics(bottoms, params):
    x = bottoms[0]
    statistics = [f((0, 2, 3), keepdims=True) for f in (x.mean, x.var)]
    return [batch(1e-9)(bottoms, params), *statistics]


CASES = [
    Case(SEGNET % "LEARN", [SHAPE], batch(1e-9)),
    Case(SEGNET % "LEARN", [SHAPE], batch(1e-9), phase=caffe.TEST),
    Case(SEGNET % "INFERENCE", [SHAPE], lambda b, p: b[0] * p[0] + p[1], phase=caffe.TEST),
    Case(PSPNET % "", [SHAPE], batch(0.1), low=0.5),
    Case(PSPNET % "", [SHAPE], running, low=0.5, phase=caffe.TEST),
    Case(PSPNET % "frozen: true", [SHAPE], running, low=0.5),
    Case(WINDOWS % "true", [SHAPE], batch(0.1), low=0.5),
    Case(WINDOWS % "true", [SHAPE], running, low=0.5, phase=caffe.TEST),
    Case(WINDOWS % "false", [SHAPE], batch(0.1), low=0.5, phase=caffe.TEST),
]


@pytest.mark.parametrize("in_place", [False, True], ids=["", "in place"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case, in_place):
    case = Case(**{**vars(case), "in_place": in_place})
    check_reference(case)
    if not (in_place and case.phase == caffe.TEST):
        check_gradient(case)


def test_segnet_s_statistics_are_tops():
    check_reference(Case(SEGNET % "LEARN", [SHAPE], with_statistics, tops=3))


@pytest.mark.parametrize("text, kept", [(PSPNET % "", 0.8), (WINDOWS % "true", 0.75)])
def test_running_statistics(text, kept):
    run = Layers(text, [SHAPE])
    x = run.randomize(-1, 1, {}).normal(size=SHAPE)
    run.bottom[0].data[...] = x
    for blob, start in zip(run.params[2:], (3, 5)):
        blob.data[...] = start
    run.forward()
    for blob, start, new in zip(run.params[2:], (3, 5), (x.mean((0, 2, 3)), x.var((0, 2, 3)))):
        wanted = kept * start + (1 - kept) * new
        np.testing.assert_allclose(blob.data.ravel(), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "text, learned",
    [
        (PSPNET % "", [1, 1, 0, 0]),
        (PSPNET % "frozen: true", [0] * 4),
        (WINDOWS % "true", [1, 1, 0, 0]),
    ],
)
def test_statistics_are_not_learned(text, learned):
    run = Layers(text + " param { lr_mult: 1 }", [SHAPE])
    assert [spec.lr_mult for spec in run.layer.layer_param.param] == learned


@pytest.mark.parametrize(
    "text, cls",
    [
        ("bn_param { bn_mode: INFERENCE }", SegNetBN),
        ("bn_param { scale_filler { } shift_filler { } } param { } param { }", SegNetBN),
        ("bn_param { slope_filler { } }", PSPNetBN),
        ("bn_param { frozen: true }", PSPNetBN),
        ("param { } param { } param { } param { }", PSPNetBN),
        ("bn_param { scale_filler { } var_eps: 1e-5 }", WindowsBN),
        ("bn_param { scale_filler { } } param { } param { } param { } param { }", WindowsBN),
    ],
)
def test_what_is_stated_decides(text, cls):
    assert type(build(f'type: "BN" {text}')) is cls


def test_what_does_not_decide_names_both():
    with pytest.raises(
        ValueError,
        match=r"layer 'l' \(BN\): 2 forks mean different things.*SegNet's, to be told by bn_mode.*"
        "PSPNet's, to be told by frozen",
    ):
        build('type: "BN"')
    with pytest.raises(ValueError, match="no fork has a layer with all.*SegNet.*PSPNet.*caffe-win"):
        build('type: "BN" bn_param { frozen: true bn_mode: LEARN }')


def test_in_place_in_phase_test_a_gradient_needs_force_backward():
    run = Layers(PSPNET % "", [SHAPE], phase=caffe.TEST, in_place=True)
    run.forward()
    with pytest.raises(NotImplementedError, match="force_backward: true"):
        run.backward([True])
    run.layer.for_gradients = True
    run.forward()
    run.backward([True])


def test_other_channels_after_a_reshape():
    run = Layers(SEGNET % "LEARN", [SHAPE])
    run.bottom[0].reshape(3, 4, 2, 3)
    with pytest.raises(ValueError, match="scale and shift are of 2 channels"):
        run.forward()
