"""Permute, PriorBox, DetectionOutput, and the arithmetic of boxes."""

import math

import numpy as np
import pytest
import torch
from gradient_check import Case, Layers, check_gradient, check_reference
from naive_boxes import overlap

from caffe import boxes
from caffe.proto.caffe_pb2 import PriorBoxParameter as CODE

PRIORS = 'type: "PriorBox" prior_box_param {{ min_size: 6.7 {} }}'


def prior_boxes(
    picture, step=None, offset=0.5, most=None, ratios=(), clip=False, variances=(0.1,) * 4
):
    """The naive loop: of each cell (xmin, ymin, xmax, ymax), in shares of the picture."""

    def reference(bottoms, params):
        height, width = bottoms[0].shape[2:]
        down, across = step or (picture[0] / height, picture[1] / width)
        found = []
        for h in range(height):
            for w in range(width):
                x, y = (w + offset) * across, (h + offset) * down
                sizes = [(6, 6)] + [(math.sqrt(6 * (most or 0)),) * 2] * bool(most)
                sizes += [(6 * math.sqrt(r), 6 / math.sqrt(r)) for r in ratios]
                for a, b in sizes:
                    corners = (x - a / 2, y - b / 2, x + a / 2, y + b / 2)
                    found += [c / picture[(i + 1) % 2] for i, c in enumerate(corners)]
        found = np.clip(found, 0, 1) if clip else np.array(found)
        return np.stack([found, np.tile(variances, len(found) // 4)])[None]

    return reference


def priors(settings, reference, others=((1, 3, 30, 40),)):
    return Case(PRIORS.format(settings), [(1, 2, 2, 3), *others], reference, gradients=[])


LOC = [0.1, -0.2, 0.3, 0.4]
TWO = np.array([[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 0.9, 0.8]])
VARIANCES = np.array([0.1, 0.1, 0.2, 0.2])


def centre_size(d, prior, variance):
    x, y = (prior[0] + prior[2]) / 2, (prior[1] + prior[3]) / 2
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    x, y = x + variance[0] * d[0] * w, y + variance[1] * d[1] * h
    w, h = w * math.exp(variance[2] * d[2]), h * math.exp(variance[3] * d[3])
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def detections(bottoms, params):
    """Two prior boxes, three classes, nothing overlaps: all above .2 of classes 1 and 2."""
    d, scores, prior = (
        bottoms[0].reshape(2, 4),
        bottoms[1].reshape(2, 3),
        bottoms[2].reshape(2, 2, 4),
    )
    found = [centre_size(d[i], prior[0, i], prior[1, i]) for i in range(2)]
    rows = []
    for label in (1, 2):
        for i in np.argsort(-scores[:, label]):
            if scores[i, label] > 0.2:
                rows.append([0, label, scores[i, label], *found[i]])
    return np.array(rows)[None, None]


CASES = [
    Case(
        'type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 }',
        [(2, 3, 4, 5)],
        lambda b, p: b[0].transpose(0, 2, 3, 1),
    ),
    Case(
        'type: "Permute" permute_param { order: 2 }',
        [(2, 3, 4)],
        lambda b, p: b[0].transpose(2, 0, 1),
    ),
    priors("", prior_boxes((30, 40))),
    priors(
        "max_size: 12.9 aspect_ratio: [2, 1, 2]", prior_boxes((30, 40), most=12, ratios=(2, 0.5))
    ),
    priors(
        "aspect_ratio: 3 flip: false step: 8 offset: 0",
        prior_boxes((30, 40), (8, 8), 0, ratios=[3]),
    ),
    priors(
        "img_h: 20 img_w: 50 clip: true variance: 0.3",
        prior_boxes((20, 50), clip=True, variances=[0.3] * 4),
        others=(),
    ),
    priors(
        "img_size: 64 step_h: 9 step_w: 7 variance: [0.1, 0.1, 0.2, 0.3]",
        prior_boxes((64, 64), (9, 7), variances=[0.1, 0.1, 0.2, 0.3]),
        others=(),
    ),
    Case(
        """type: "DetectionOutput" detection_output_param { num_classes: 3 code_type: CENTER_SIZE
        confidence_threshold: 0.2 nms_param { nms_threshold: 0.45 top_k: 400 } keep_top_k: 200 }""",
        [(1, 8), (1, 6), (1, 2, 8)],
        detections,
        values={
            0: [LOC + LOC[::-1]],
            1: [[0.1, 0.6, 0.3, 0.2, 0.7, 0.1]],
            2: np.stack([TWO.ravel(), np.tile(VARIANCES, 2)])[None],
        },
        gradients=[],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


@pytest.fixture
def some_boxes():
    generator = np.random.default_rng(0)
    corner = generator.uniform(0, 0.6, (20, 2))
    return np.concatenate([corner, corner + generator.uniform(0.1, 0.4, (20, 2))], 1)


def test_overlaps(some_boxes):
    found = boxes.overlaps(*(torch.tensor(part) for part in (some_boxes[:8], some_boxes[8:])))
    wanted = [[overlap(a, b) for b in some_boxes[8:]] for a in some_boxes[:8]]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("code", [CODE.CORNER, CODE.CENTER_SIZE, CODE.CORNER_SIZE])
def test_codes_come_back(code, some_boxes):
    some, priors = torch.tensor(some_boxes), torch.tensor(some_boxes[::-1].copy())
    variance = torch.tensor(VARIANCES)
    d = boxes.encode(code, some, priors, variance)
    np.testing.assert_allclose(boxes.decode(code, d, priors, variance), some, atol=1e-12)


def test_suppression(some_boxes):
    kept = []
    for i, box in enumerate(some_boxes):
        if all(overlap(box, some_boxes[j]) <= 0.2 for j in kept):
            kept.append(i)
    assert 1 < len(kept) < 20
    assert boxes.suppress(some_boxes, 0.2) == kept
    assert boxes.suppress(some_boxes, 0.2, most=2) == kept[:2]
    pixels = np.array([[0, 0, 9, 9], [0, 5, 9, 9], [20, 0, 29, 9]])  # 10 x 10 and 10 x 5 pixels
    assert boxes.suppress(pixels, 0.5, one=1) == [0, 1, 2]
    assert boxes.suppress(pixels, 0.49, one=1) == [0, 2]


def detect(settings, scores, d=None, items=1):
    text = f'type: "DetectionOutput" detection_output_param {{ num_classes: 2 {settings} }}'
    same = np.tile([0.1, 0.1, 0.5, 0.5], (3, 1))
    same[2] = [0.6, 0.6, 0.9, 0.9]
    d = np.zeros((items, 12)) if d is None else d
    run = Layers(text, [d.shape, (items, 6), (1, 2, 12)])
    run.bottom[0].data[...] = d
    run.bottom[1].data[:, 1::2] = scores
    run.bottom[2].data[...] = np.stack([same.ravel(), np.ones(12)])
    return run.forward()[0][0, 0]


def test_of_boxes_that_overlap_the_best_stays():
    rows = detect("", [[0.5, 0.9, 0.8]])
    np.testing.assert_allclose(rows[:, 2], [0.9, 0.8])
    np.testing.assert_allclose(rows[:, :2], [[0, 1]] * 2)
    np.testing.assert_allclose(detect("keep_top_k: 1", [[0.5, 0.9, 0.8]])[:, 2], [0.9])
    assert len(detect("nms_param { nms_threshold: 1 }", [[0.5, 0.9, 0.8]])) == 3
    assert len(detect("nms_param { nms_threshold: 1 top_k: 2 }", [[0.5, 0.9, 0.8]])) == 2


def test_nothing_found_is_a_row_a_picture():
    rows = detect("confidence_threshold: 0.5", [[0.1] * 3, [0.2] * 3], items=2)
    assert rows.tolist() == [[0] + [-1] * 6, [1] + [-1] * 6]


def test_locations_of_each_class():
    d = np.zeros((1, 24))
    d[0].reshape(3, 2, 4)[:, 1] = [0.01, 0, 0, 0]
    rows = detect("share_location: false variance_encoded_in_target: true", [[0.5, 0.9, 0.8]], d)
    np.testing.assert_allclose(rows[:, 3], [0.11, 0.61], rtol=1e-6)


def test_pictures_of_one_batch_are_apart():
    rows = detect("", [[0.5, 0.9, 0.8], [0.7, 0.3, 0.1]], items=2)
    assert rows[:, 0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        ('type: "Permute" permute_param { order: 1 order: 1 }', [(1, 2)], "each axis at most once"),
        ('type: "Permute" permute_param { order: 2 }', [(1, 2)], r"of 0\.\.1, got \[2\]"),
        ('type: "PriorBox"', [(1, 1, 2, 2)] * 2, "min_size must be given"),
        (PRIORS.format("max_size: 5"), [(1, 1, 2, 2)] * 2, "and above it"),
        (PRIORS.format("variance: [1, 2]"), [(1, 1, 2, 2)] * 2, "or one for each of 4"),
        (PRIORS.format(""), [(1, 1, 2, 2)], "as a second bottom, or its size"),
        ('type: "DetectionOutput"', [(1, 4), (1, 2), (1, 2, 4)], "num_classes must be given"),
        (
            'type: "DetectionOutput" detection_output_param { num_classes: 2 nms_param { eta: 2 } }',
            [(1, 4), (1, 2), (1, 2, 4)],
            "eta lies in",
        ),
        (
            'type: "DetectionOutput" detection_output_param { num_classes: 2 }',
            [(1, 8), (1, 3), (1, 2, 8)],
            "2 prior boxes and 2 classes need 8 codes and 4 scores",
        ),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)
