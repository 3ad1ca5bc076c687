"""The loss of points, tags and objectness."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

SHAPE = (1, 4, 2, 3)
POINTS = [[255, 2, 255], [0, 255, 255]]
OBJECTNESS = [[0, 10, 100], [200, 255, 30]]
TAGS = [[2, 0, 3], [1, 1, 1]]  # class 2; what stands behind the 0 is none
RANKS = [[9, 51, 9], [255, 9, 9]]
LABELS = np.array([[POINTS, OBJECTNESS, TAGS, RANKS]], float)
OFF = {name: f"ignore_{name}: true" for name in ("classes", "constraint", "location", "objectness")}


def terms(bottoms):
    x = bottoms[0][0].reshape(4, -1)
    s = np.exp(x) / np.exp(x).sum(0)
    points, objectness, _, ranks = LABELS[0].reshape(4, -1)
    best = s.max(1)
    clicked = points != 255
    log = np.log(s[points[clicked].astype(int), clicked])
    prior = 1 - (objectness + 1) / 257
    background = -(prior * np.log(s[0]) + (1 - prior) * np.log(1 - s[0]))[~clicked]
    return {
        "classes": -np.log(best[[0, 2]]),
        "constraint": -np.log(1 - best[[1, 3]]),
        "location": -log,
        "ranked": -log * ranks[clicked] / 255,
        "objectness": background,
    }


def case(*kept, settings="", reference=None):
    off = " ".join(text for name, text in OFF.items() if name not in kept)
    return Case(
        f'type: "SoftmaxWithLossExpectation" loss_param {{ {off} {settings} }}',
        [SHAPE, LABELS.shape],
        reference or (lambda b, p: sum(terms(b)[name].mean() for name in kept)),
        values={1: LABELS},
        gradients=[0],
    )


CASES = [
    case(*OFF),
    *(case(name) for name in OFF),
    case(
        "location",
        settings="ignore_rank: false",
        reference=lambda b, p: terms(b)["ranked"].sum() / (51 / 255 + 1),
    ),
    case(
        *OFF,
        settings="""normalize_classes: false normalize_constraint: false normalize_supervised: false
        normalize_objectness: false""",
        reference=lambda b, p: sum(terms(b)[name].sum() for name in OFF),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_bad_settings():
    text = 'type: "SoftmaxWithLossExpectation" loss_param { %s }'
    with pytest.raises(ValueError, match=r"labels \(1, 3, H, W\)"):
        Layers(text % "", [SHAPE, (1, 2, 2, 3)])
    with pytest.raises(ValueError, match=r"labels \(1, 4, H, W\)"):
        Layers(text % "ignore_rank: false", [SHAPE, (1, 3, 2, 3)])
    with pytest.raises(NotImplementedError, match="is_siftflow"):
        Layers(text % "is_siftflow: true", [SHAPE, (1, 3, 2, 3)])


def test_a_label_that_is_no_class(device):
    run = Layers('type: "SoftmaxWithLossExpectation"', [SHAPE, (1, 3, 2, 3)])
    run.bottom[1].data[0, 0] = 4
    with pytest.raises(ValueError, match=r"labels (0|4)\.\.4 are not all of 4"):
        run.forward()
