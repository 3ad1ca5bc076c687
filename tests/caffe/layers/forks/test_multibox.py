"""MultiBoxLoss."""

import math

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference
from naive_boxes import centre_size_code, overlap

from caffe.layers.forks.multibox import match

PRIORS = np.array(
    [
        [0.1, 0.1, 0.4, 0.4],
        [0.2, 0.1, 0.5, 0.5],
        [0.5, 0.5, 0.9, 0.9],
        [0.6, 0.1, 0.9, 0.3],
        [0.0, 0.6, 0.2, 0.9],
    ]
)
VARIANCE = np.array([0.1, 0.1, 0.2, 0.2])
OBJECTS = np.array(
    [
        [0, 2, 0, 0.15, 0.1, 0.45, 0.45, 0],
        [0, 1, 1, 0.55, 0.5, 0.9, 0.9, 1],
        [1, 1, 0, 0.6, 0.15, 0.85, 0.3, 0],
        [-1, -1, -1, -1, -1, -1, -1, -1],
    ]
)
TEXT = """type: "MultiBoxLoss" multibox_loss_param {{ num_classes: 3 code_type: CENTER_SIZE
overlap_threshold: 0.5 neg_overlap: 0.5 {} }} {}"""


def naive_match(objects, threshold=0.5):
    """The object of each prior box, by loops."""
    table = {(p, g): overlap(PRIORS[p], o[3:7]) for p in range(5) for g, o in enumerate(objects)}
    found, taken = {}, set()
    for (p, g), _ in sorted(table.items(), key=lambda row: -row[1]):
        if p not in found and g not in taken and table[p, g] > 1e-6:
            found[p] = g
            taken.add(g)
    for p in range(5):
        best = max(range(len(objects)), key=lambda g: table[p, g], default=None)
        if p not in found and best is not None and table[p, best] >= threshold:
            found[p] = best
    nearest = [max((table[p, g] for g in range(len(objects))), default=0) for p in range(5)]
    return found, nearest


def loss(mines=True, logistic=False, l2=False, difficult=True, ratio=3, weight=1.0, divide=None):
    def of_scores(s, label):
        if logistic:
            return sum(math.log1p(math.exp(v)) - v * (c == label) for c, v in enumerate(s))
        return math.log(sum(map(math.exp, s))) - s[label]

    def reference(bottoms, params):
        loc = conf = matched = 0.0
        for item in range(2):
            d, scores = bottoms[0][item].reshape(5, 4), bottoms[1][item].reshape(5, 3)
            objects = [o for o in OBJECTS if o[0] == item and (difficult or not o[7])]
            found, nearest = naive_match(objects)
            for p, g in found.items():
                off = np.abs(d[p] - centre_size_code(objects[g][3:7], PRIORS[p], VARIANCE))
                loc += ((off**2) / 2 if l2 else np.where(off < 1, off**2 / 2, off - 0.5)).sum()
                conf += of_scores(scores[p], int(objects[g][1]))
            wrong = [
                of_scores(scores[p], 0)
                for p in range(5)
                if p not in found and (not mines or nearest[p] < 0.5)
            ]
            wrong.sort(reverse=True)
            conf += sum(wrong[: int(len(found) * ratio)] if mines else wrong)
            matched += len(found)
        return (conf + weight * loc) / (divide or matched)

    return reference


def case(settings="", reference=None, loss_param=""):
    return Case(
        TEXT.format(settings, loss_param),
        [(2, 20), (2, 15), (1, 2, 20), OBJECTS.reshape(1, 1, 4, 8).shape],
        reference or loss(),
        values={
            2: np.stack([PRIORS.ravel(), np.tile(VARIANCE, 5)])[None],
            3: OBJECTS[None, None],
        },
        gradients=[0, 1],
        low=-2,
        high=2,
    )


CASES = [
    case(),
    case("neg_pos_ratio: 0.5 loc_weight: 2", loss(ratio=0.5, weight=2)),
    case("mining_type: NONE", loss(mines=False)),
    case("do_neg_mining: false", loss(mines=False)),
    case("conf_loss_type: LOGISTIC", loss(logistic=True)),
    case("loc_loss_type: L2 use_difficult_gt: false", loss(l2=True, difficult=False)),
    case("", loss(divide=2), "loss_param { normalization: BATCH_SIZE }"),
    case("", loss(divide=10), "loss_param { normalization: FULL }"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_without_objects_there_is_no_loss():
    run, _ = CASES[0].run()
    run.bottom[3].data[...] = -1
    assert run.forward()[0] == 0
    run.top[0].diff[...] = 1
    run.backward([True, True, False, False])
    assert not run.bottom[0].diff.any() and not run.bottom[1].diff.any()


def test_every_object_gets_a_box():
    shared = np.array([[0.1, 0.6, 0.0], [0.3, 0.7, 0.0], [0.0, 0.0, 0.0]])
    assert match(shared, 0.5).tolist() == [0, 1, -1]
    assert match(shared, None).tolist() == [0, 1, -1]
    assert match(np.array([[0.9, 0.2], [0.8, 0.0]]), 0.5).tolist() == [0, 0]
    assert match(np.zeros((2, 0)), 0.5).tolist() == [-1, -1]


@pytest.mark.parametrize(
    "settings, shapes, kind, says",
    [
        (
            "",
            [(2, 20), (2, 14), (1, 2, 20), (1, 1, 4, 8)],
            ValueError,
            "need 20 codes and 15 scores",
        ),
        ("", [(2, 20), (2, 15), (1, 2, 20), (1, 1, 4, 7)], ValueError, "rows of 8"),
        ("bp_inside: true", None, NotImplementedError, "bp_inside: false only"),
        ("share_location: false", None, NotImplementedError, "share_location: true only"),
        ("mining_type: HARD_EXAMPLE", None, NotImplementedError, "HARD_EXAMPLE is not there"),
    ],
)
def test_bad_settings(settings, shapes, kind, says):
    with pytest.raises(kind, match=says):
        Layers(TEXT.format(settings, ""), shapes or CASES[0].shapes)


def test_an_object_of_no_class():
    run, _ = CASES[0].run()
    run.bottom[3].data[0, 0, 0, 1] = 3
    with pytest.raises(ValueError, match="an object is of class 3, num_classes is 3"):
        run.forward()
