"""SmoothL1Loss in its forms, and BoxAnnotatorOHEM."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

SHAPE = (2, 3, 2, 2)
LOSS = 'type: "SmoothL1Loss" smooth_l1_loss_param {{ {} }} {}'


def losses(bottoms, sigma):
    weighted = (bottoms[0] - bottoms[1]) * (bottoms[2] if len(bottoms) > 2 else 1)
    size = np.abs(weighted)
    loss = np.where(size < 1 / sigma**2, (sigma * size) ** 2 / 2, size - 0.5 / sigma**2)
    return loss * (bottoms[3] if len(bottoms) > 3 else 1)


def case(bottoms, sigma=1.0, divisor=2.0, settings="", loss="", tops=1):
    def reference(values, params):
        loss = losses(values, sigma)
        return [loss.sum() / divisor, loss.sum(1, keepdims=True)][:tops]

    return Case(
        LOSS.format(settings, loss), [SHAPE] * bottoms, reference, tops=tops, low=-2, high=2
    )


CASES = [
    case(2),
    case(3),
    case(4, sigma=3, settings="sigma: 3"),
    case(3, divisor=8, loss="loss_param { normalization: VALID }"),
    case(3, divisor=8, loss="loss_param { normalization: FULL }"),
    case(3, divisor=1, loss="loss_param { normalization: NONE }"),
    case(3, divisor=2, loss="loss_param { normalize: false }"),
    case(3, divisor=256, loss="loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 256 }"),
    Case(
        'type: "BoxAnnotatorOHEM" box_annotator_ohem_param { roi_per_img: 1 ignore_label: 9 }',
        [(3, 5), (3, 1), (3, 1), (3, 2)],
        lambda b, p: [
            np.array([9, 7, 8.0]).reshape(3, 1, 1, 1),
            (b[3] * [[0], [1], [1]]).reshape(3, 2, 1, 1),
        ],
        values={0: [[0.0] * 5, [0.0] * 5, [1.0] * 5], 1: [[1], [2], [0]], 2: [[6], [7], [8]]},
        gradients=[],
        tops=2,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_a_second_top_has_each_position_s_loss():
    check_reference(case(3, divisor=8, tops=2))


def test_hard_examples(device):
    run = Layers(
        'type: "BoxAnnotatorOHEM" box_annotator_ohem_param { roi_per_img: 2 }',
        [(6, 5), (6,), (6,), (6, 4)],
        tops=2,
    )
    regions, loss, labels, weights = run.bottom
    regions.data[:, 0] = [0, 1, 0, 0, 1, 0]
    loss.data[...] = [3, 1, 5, 4, 2, 4]
    labels.data[...] = [1, 2, 3, 4, 5, 6]
    weights.data[...] = 1
    kept, box_weights = run.forward()
    assert kept.ravel().tolist() == [-1, 2, 3, 4, 5, -1]  # of equal losses the first
    assert box_weights[:, 0].ravel().tolist() == [0, 1, 1, 1, 1, 0]
    for blob in run.bottom:
        blob.diff[...] = 7
    run.backward([False, True, False, True])
    assert [float(blob.diff.max()) for blob in run.bottom] == [7, 0, 7, 0]


@pytest.mark.parametrize(
    "text, shapes, tops, says",
    [
        (LOSS.format("", ""), [(2, 3), (2, 3), (2, 4)], 1, "as many values"),
        (LOSS.format("", ""), [(2, 3)] * 5, 1, "2 to 4 bottom"),
        ('type: "BoxAnnotatorOHEM"', [(2, 5), (2,), (2,), (2, 4)], 2, "roi_per_img must be given"),
        (
            'type: "BoxAnnotatorOHEM" box_annotator_ohem_param { roi_per_img: 2 }',
            [(2, 5), (3,), (2,), (2, 4)],
            2,
            r"needs regions \(R, 5\)",
        ),
    ],
)
def test_bad_settings(text, shapes, tops, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes, tops)


def test_weights_get_a_gradient_of_0():
    """They come from layers whose bottoms learn, so that nets do ask for it."""
    run = Layers(LOSS.format("", ""), [SHAPE] * 3)
    run.forward()
    run.bottom[2].diff[...] = 7
    run.backward([True, True, True])
    assert not run.bottom[2].diff.any()
