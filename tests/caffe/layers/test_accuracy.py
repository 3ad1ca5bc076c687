"""Accuracy and ArgMax."""

import numpy as np
import pytest
import reference
from gradient_check import Case, Layers, check_reference

MAP = np.array([[[0, 1, 2], [255, 2, 0]], [[1, 1, 255], [0, 2, 1]]])


def per_class(x, label, ignore=None):
    classes = range(x.shape[1])
    return np.array(
        [reference.accuracy(x, np.where(label == c, c, -9), ignore=-9) for c in classes]
    )


CASES = [
    Case(
        'type: "Accuracy"',
        [(6, 4), (6,)],
        lambda bottoms, params: reference.accuracy(*bottoms),
        values={1: np.array([0, 1, 2, 3, 0, 1])},
    ),
    Case(
        'type: "Accuracy" accuracy_param { top_k: 2 ignore_label: 255 }',
        [(2, 3, 2, 3), (2, 2, 3)],
        lambda bottoms, params: reference.accuracy(*bottoms, top_k=2, ignore=255),
        values={1: MAP},
    ),
    Case(
        'type: "Accuracy" accuracy_param { ignore_label: 255 }',
        [(2, 3, 2, 3), (2, 2, 3)],
        lambda bottoms, params: [
            reference.accuracy(*bottoms, ignore=255),
            per_class(*bottoms),
        ],
        values={1: MAP},
        tops=2,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_accuracy(case):
    check_reference(case)


def accuracy(text, scores, labels):
    scores = np.array(scores, np.float32)
    run = Layers(f'type: "Accuracy" {text}', [scores.shape, (len(labels),)])
    run.bottom[0].data[...], run.bottom[1].data[...] = scores, labels
    return run.forward()[0]


def test_ties_count_against():
    assert accuracy("", [[1, 1], [2, 1], [0, 0]], [0, 0, 1]) == pytest.approx(1 / 3)


def test_nothing_to_count():
    assert accuracy("accuracy_param { ignore_label: 7 }", [[1, 2]], [7]) == 0


def test_label_out_of_range(device):
    with pytest.raises(ValueError, match="label 2 is out of range"):
        accuracy("", [[1, 2]], [2])


def test_top_k_beyond_the_classes():
    with pytest.raises(ValueError, match="top_k 4 exceeds the 3 classes"):
        accuracy("accuracy_param { top_k: 4 }", [[1, 2, 3]], [0])


def test_accuracy_has_no_gradient():
    run = Layers('type: "Accuracy"', [(1, 2), (1,)])
    run.forward()
    run.backward([False, False])
    with pytest.raises(NotImplementedError, match="TEST phase only"):
        run.backward([True, False])


@pytest.mark.parametrize(
    "text, shape, wanted",
    [
        ("", (2, 4), [[[3]], [[1]]]),
        ("argmax_param { top_k: 2 }", (2, 4), [[[3, 1]], [[1, 0]]]),
        (
            "argmax_param { out_max_val: true top_k: 2 }",
            (2, 4),
            [[[3, 1], [5, 4]], [[1, 0], [9, 2]]],
        ),
        ("argmax_param { axis: 1 }", (2, 4), [[3], [1]]),
        ("argmax_param { axis: 0 }", (2, 4), [[1, 1, 0, 0]]),
        ("argmax_param { axis: -1 top_k: 2 out_max_val: true }", (2, 4), [[5, 4], [9, 2]]),
        ("", (2, 2, 2, 1), [[[[3]]], [[[1]]]]),
    ],
)
def test_argmax(text, shape, wanted, device):
    run = Layers(f'type: "ArgMax" {text}', [shape])
    run.bottom[0].data.ravel()[:] = [1, 4, 3, 5, 2, 9, 1, 0]
    wanted = np.array(wanted, np.float32)
    np.testing.assert_array_equal(run.forward()[0].reshape(wanted.shape), wanted)
    assert run.top[0].num_axes == max(3, len(shape)) if "axis" not in text else len(shape)


def test_of_equal_values_the_larger_index_comes_first():
    run = Layers('type: "ArgMax" argmax_param { top_k: 3 }', [(1, 4)])
    run.bottom[0].data[...] = [7, 1, 7, 7]
    np.testing.assert_array_equal(run.forward()[0], [[[3, 2, 0]]])


def test_argmax_errors():
    with pytest.raises(ValueError, match="top_k must lie between 1 and 3, got 4"):
        Layers('type: "ArgMax" argmax_param { axis: 1 top_k: 4 }', [(2, 3)])
    run = Layers('type: "ArgMax"', [(2, 3)])
    with pytest.raises(NotImplementedError, match="no gradient"):
        run.backward([True])
