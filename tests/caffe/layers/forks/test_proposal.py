"""Proposal, and the anchors of Faster R-CNN."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference
from naive_boxes import overlap

import caffe
from caffe.layers.forks.proposal import anchors

PUBLISHED = [
    (-83, -39, 100, 56), (-175, -87, 192, 104), (-359, -183, 376, 200), (-55, -55, 72, 72),
    (-119, -119, 136, 136), (-247, -247, 264, 264), (-35, -79, 52, 96), (-79, -167, 96, 184),
    (-167, -343, 184, 360),
]  # fmt: skip
INFO = np.array([[60, 80, 1.5]])
TEXT = """type: "Proposal" proposal_param { feat_stride: 16 base_size: 16 min_size: 8 ratio: 1 ratio: 2
scale: 1 scale: 2 pre_nms_topn: %d post_nms_topn: %d nms_thresh: 0.5 }"""


def test_the_anchors_are_the_published_ones():
    """Which are listed as MATLAB counts pixels, from 1."""
    wanted = np.array(PUBLISHED) - 1
    np.testing.assert_array_equal(anchors(16, [0.5, 1, 2], [8, 16, 32]), wanted)


def propose(first, last):
    def reference(bottoms, params):
        scores, codes = bottoms[0][0], bottoms[1][0]
        found = []
        for h, w in np.ndindex(scores.shape[1:]):
            for a, (x1, y1, x2, y2) in enumerate(anchors(16, [1, 2], [1, 2])):
                dx, dy, dw, dh = codes[4 * a : 4 * a + 4, h, w]
                width, height = x2 - x1 + 1, y2 - y1 + 1
                x, y = x1 + 16 * w + width / 2 + dx * width, y1 + 16 * h + height / 2 + dy * height
                half = np.exp(dw) * width / 2, np.exp(dh) * height / 2
                corners = [x - half[0], y - half[1], x + half[0], y + half[1]]
                box = [min(max(c, 0), side - 1) for c, side in zip(corners, (80, 60, 80, 60))]
                if min(box[2] - box[0], box[3] - box[1]) + 1 >= 8 * 1.5:
                    found.append((scores[4 + a, h, w], box))
        found.sort(key=lambda row: -row[0])
        kept = []
        for score, box in found[:first]:
            grown = np.add(box, [0, 0, 1, 1])
            if all(overlap(grown, np.add(other, [0, 0, 1, 1])) <= 0.5 for _, other in kept):
                kept.append((score, box))
        kept = kept[:last]
        return [np.array([[0, *box] for _, box in kept]), np.array([[score] for score, _ in kept])]

    return reference


def case(*numbers):
    shapes = [(1, 8, 3, 4), (1, 16, 3, 4), (1, 3)]
    return Case(TEXT % numbers, shapes, propose(*numbers), values={2: INFO}, tops=2, gradients=[])


CASES = [case(30, 300), case(40, 5)]


@pytest.mark.parametrize("case", CASES, ids=["few before", "few after"])
def test_reference(case):
    check_reference(case)
    check_gradient(case)


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        (
            TEXT % (1, 1),
            [(1, 6, 3, 4), (1, 16, 3, 4), (1, 3)],
            r"4 anchors need scores \(1, 8, H, W\)",
        ),
        (TEXT % (1, 1), [(1, 8, 3, 4), (1, 16, 3, 4), (1, 2)], "height, width and scale"),
        ('type: "Proposal" proposal_param { scale: 0 }', [(1, 2, 1, 1)] * 3, "must be above 0"),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)


RPN = """layer { name: "b" type: "Input" top: "s" top: "d" top: "im_info" input_param {
  shape { dim: 1 dim: 18 dim: 3 dim: 4 } shape { dim: 1 dim: 36 dim: 3 dim: 4 } shape { dim: 1 dim: 3 } } }
layer { name: "proposal" bottom: "s" bottom: "d" bottom: "im_info" top: "rois" %s }
"""
PYTHON = """type: "Python" python_param { module: "rpn.proposal_layer" layer: "ProposalLayer"
  param_str: "%s" }"""


def proposed(net_of, text, phase=caffe.TEST):
    net = net_of(RPN % text, phase)
    generator = np.random.default_rng(0)
    for name in "sd":
        net.blobs[name].data[...] = generator.uniform(-0.3, 0.3, net.blobs[name].shape)
    net.blobs["im_info"].data[...] = [[48, 64, 1]]
    net.forward()
    return net.blobs["rois"].data.copy(), net.layers[-1]


@pytest.mark.parametrize(
    "text", ["'feat_stride': 16", "{'feat_stride': 16, 'scales': [8, 16, 32]}"]
)
def test_the_python_layer_of_py_faster_rcnn_where_it_is_not_there(net_of, text):
    found, _ = proposed(net_of, PYTHON % text)
    wanted, _ = proposed(net_of, 'type: "Proposal"')
    assert len(found) > 1 and np.array_equal(found, wanted)


def test_more_are_kept_in_training(net_of):
    _, layer = proposed(net_of, PYTHON % "'feat_stride': 16", caffe.TRAIN)
    assert (layer.param.pre_nms_topn, layer.param.post_nms_topn) == (12000, 2000)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "param_str must state 'feat_stride'"),
        ("'feat_stride': x", "param_str must state 'feat_stride'"),
        ("'feat_stride': 16, 'ratio': 2", "param_str: unknown 'ratio'"),
    ],
)
def test_bad_param_str(net_of, text, says):
    with pytest.raises(ValueError, match=rf"'proposal' \(Python\): {says}"):
        net_of(RPN % (PYTHON % text))
