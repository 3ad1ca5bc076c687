"""Losses of pixels with what forks added to them."""

import numpy as np
import pytest
from gradient_check import Case, Layers, build, check_gradient, check_reference

from caffe.layers.forks.pixel_losses import (
    BalancedSigmoidLoss,
    ForkSoftmaxWithLoss,
    WeightedSigmoidLoss,
)
from caffe.layers.loss import SigmoidCrossEntropyLoss, SoftmaxWithLoss

SHAPE, LABELS = (2, 3, 2, 2), np.array([[0, 1, 2, 5], [2, 2, 9, 0]]).reshape(2, 1, 2, 2)
WEIGHTS = [0.5, 2, 3]
SOFTMAX = 'type: "SoftmaxWithLoss" {} '
SEGNET = SOFTMAX.format(
    """loss_param { weight_by_label_freqs: true class_weighting: [0.5, 2, 3] ignore_label: 5
    normalization: %s }"""
)
TWO_IGNORED = "softmaxloss_param { ignore_label: 5 ignore_label: 9 }"
ONE = np.where(LABELS == 9, 5, LABELS)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def each(bottoms, weights, ignored):
    """Each position's weighted loss; 0 where it is ignored."""
    label = bottoms[1].astype(int)
    counts = ~np.isin(label, ignored)
    label = label * counts
    p = np.take_along_axis(softmax(bottoms[0]), label, 1)
    return -np.log(p) * counts * np.array(weights)[label]


def loss(divide, weights=(1, 1, 1), ignored=(5,), tops=1):
    def reference(bottoms, params):
        losses = each(bottoms, weights, ignored)
        counts = ~np.isin(bottoms[1], ignored)
        by = {"positions": counts.sum(), "items": 2, "all": 8, "one": 1}
        label = (bottoms[1] * counts).astype(int)
        by["weights"] = (np.array(weights)[label] * counts).sum()
        total = losses.sum() / by.get(divide, divide)
        return [total, softmax(bottoms[0]), losses][:tops]

    return reference


def softmax_case(text, reference, labels, **more):
    return Case(text, [SHAPE, (2, 1, 2, 2)], reference, values={1: labels}, gradients=[0], **more)


def weighted(bottoms, params):
    x, t, w = bottoms
    return ((np.logaddexp(x, 0) - x * t) * w).sum() / w.sum()


def balanced(bottoms, params):
    total = 0.0
    for x, t in zip(*bottoms):
        cross = np.logaddexp(x, 0) - x * t
        share = (t == 0).sum() / np.isin(t, (0, 1)).sum()
        total += share * cross[t == 1].sum() + (1 - share) * cross[t == 0].sum()
    return total / len(bottoms[0])


EDGES = np.array([[1, 0, 0, 0, 1, 0.5], [0, 0, 1, 0, 0, 0]])
SOFT = np.array([[[0.2, 0], [0.8, 1]], [[0.5, 0.1], [0.5, 0.9]]])
CASES = [
    softmax_case(SEGNET % "VALID", loss("positions", WEIGHTS), ONE),
    softmax_case(SEGNET % "BATCH_SIZE", loss("items", WEIGHTS), ONE),
    softmax_case(SOFTMAX.format(TWO_IGNORED), loss("positions", ignored=(5, 9)), LABELS),
    softmax_case(
        SOFTMAX.format(
            "loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 64 ignore_label: 5 }"
        ),
        loss(64),
        ONE,
    ),
    Case(
        'type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" bottom: "w"',
        [(2, 3)] * 3,
        weighted,
        values={2: [[1, 0, 2], [0.5, 0, 1]]},
        gradients=[0],
    ),
    Case(
        'type: "SigmoidCrossEntropyLoss" loss_param { class_balanced: true }',
        [(2, 6)] * 2,
        balanced,
        values={1: EDGES},
        gradients=[0],
    ),
    Case(
        'type: "SoftmaxCrossEntropyLoss"',
        [(2, 2, 2)] * 2,
        lambda b, p: (
            np.where(
                b[1] > 0, b[1] * (np.log(np.maximum(b[1], 1e-30)) - np.log(softmax(b[0]))), 0
            ).sum()
            / 2
        ),
        values={1: SOFT},
        gradients=[0],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_more_tops():
    text = SOFTMAX.format('top: "l" top: "p" top: "e" loss_param { ignore_label: 5 }')
    check_reference(softmax_case(text, loss("positions", tops=3), ONE, tops=3))


def test_weights_from_a_file_divide_as_well(tmp_path):
    path = tmp_path / "weights.txt"
    path.write_text("0.5\n2\n3\n")
    text = SOFTMAX.format(f'softmaxloss_param {{ weight_source: "{path}" ignore_label: 5 }}')
    case = softmax_case(text, loss("weights", WEIGHTS), ONE)
    check_reference(case)
    check_gradient(case)
    path.write_text("0.5 x")
    with pytest.raises(ValueError, match="weight_source .*weights.txt: could not convert"):
        Layers(text, [SHAPE, (2, 1, 2, 2)])
    path.write_text("1 2")
    with pytest.raises(ValueError, match="a weight for each of 3 classes, got 2"):
        Layers(text, [SHAPE, (2, 1, 2, 2)])


def test_weights_without_the_switch_do_not_count():
    text = SOFTMAX.format("loss_param { class_weighting: [0.5, 2, 3] ignore_label: 5 }")
    check_reference(softmax_case(text, loss("positions"), ONE))


def test_no_weight_at_all_is_no_loss():
    run = Layers(
        'type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" bottom: "w"', [(2, 3)] * 3
    )
    run.randomize(-1, 1, {2: 0})
    assert run.forward()[0] == 0
    run.top[0].diff[...] = 1
    run.backward([True, False, False])
    assert not run.bottom[0].diff.any()


@pytest.mark.parametrize(
    "text, cls",
    [
        (SOFTMAX.format(""), SoftmaxWithLoss),
        (SOFTMAX.format("loss_param { normalization: FULL }"), SoftmaxWithLoss),
        (SOFTMAX.format("loss_param { class_weighting: 1 }"), ForkSoftmaxWithLoss),
        (SOFTMAX.format('top: "a" top: "b"'), SoftmaxWithLoss),
        (SOFTMAX.format('top: "a" top: "b" top: "c"'), ForkSoftmaxWithLoss),
        ('type: "SigmoidCrossEntropyLoss"', SigmoidCrossEntropyLoss),
        ('type: "SigmoidCrossEntropyLoss" bottom: ["a", "b", "c"]', WeightedSigmoidLoss),
        (
            'type: "SigmoidCrossEntropyLoss" loss_param { class_balanced: true }',
            BalancedSigmoidLoss,
        ),
    ],
)
def test_what_is_stated_decides(text, cls):
    assert type(build(text)) is cls


def test_the_net_of_hed_balances_its_losses(net_of):
    text = """layer { name: "x" type: "Input" top: "x" top: "t"
      input_param { shape { dim: 1 dim: 4 } shape { dim: 1 dim: 4 } } }
    layer { name: "data" type: "ImageLabelmapData" top: "p" include { phase: TRAIN } }
    layer { name: "l" type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" top: "l" %s }"""
    assert type(net_of(text % "").layers[1]) is BalancedSigmoidLoss
    stated = net_of(text % "loss_param { class_balanced: false }")
    assert type(stated.layers[1]) is SigmoidCrossEntropyLoss


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        (
            'type: "SigmoidCrossEntropyLoss" bottom: "x" bottom: "t" bottom: "w"',
            [(2, 3), (2, 3), (2, 4)],
            "one target, and one weight",
        ),
        ('type: "SoftmaxCrossEntropyLoss"', [(2, 3), (2, 4)], "must have one shape"),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)
