"""Interp and Padding."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

INTERP = 'type: "Interp" interp_param {{ {} }}'


def cut(x, beg, end):
    return x[:, :, -beg : x.shape[2] + end, -beg : x.shape[3] + end]


def bilinear(x, height, width):
    """Cell by cell: corners on corners."""
    y = np.zeros((*x.shape[:2], height, width))
    for i in range(height):
        for j in range(width):
            h, w = (
                at * (n - 1) / (m - 1) if m > 1 else 0
                for at, n, m in ((i, x.shape[2], height), (j, x.shape[3], width))
            )
            top, left = min(int(h + 1e-9), x.shape[2] - 1), min(int(w + 1e-9), x.shape[3] - 1)
            bottom, right = min(top + 1, x.shape[2] - 1), min(left + 1, x.shape[3] - 1)
            a, b = h - top, w - left
            y[:, :, i, j] = (1 - a) * ((1 - b) * x[:, :, top, left] + b * x[:, :, top, right])
            y[:, :, i, j] += a * ((1 - b) * x[:, :, bottom, left] + b * x[:, :, bottom, right])
    return y


def nearest(x, height, width):
    rows = [int(i * (x.shape[2] - 1) / (height - 1) + 0.5) for i in range(height)]
    columns = [int(j * (x.shape[3] - 1) / (width - 1) + 0.5) for j in range(width)]
    return x[:, :, rows][..., columns]


def case(settings, shape, size, beg=0, end=0, method=bilinear, others=()):
    return Case(
        INTERP.format(settings),
        [shape, *others],
        lambda bottoms, params: method(cut(bottoms[0], beg, end), *size),
        gradients=[0],
    )


CASES = [
    case("height: 7 width: 4", (2, 2, 3, 5), (7, 4)),
    case("zoom_factor: 3", (1, 2, 3, 4), (7, 10)),
    case("shrink_factor: 2", (1, 2, 6, 5), (3, 3)),
    case("shrink_factor: 4 zoom_factor: 3", (1, 1, 9, 5), (7, 4)),
    case("zoom_factor: 2 pad_beg: -1 pad_end: -2", (1, 1, 6, 7), (5, 7), -1, -2),
    case("height: 3 width: 4", (1, 2, 3, 4), (3, 4)),
    case("height: 3 width: 4 pad_beg: -1", (1, 2, 4, 5), (3, 4), -1),
    case("height: 1 width: 3", (1, 1, 3, 5), (1, 3)),
    case("", (1, 2, 3, 4), (5, 2), others=[(1, 7, 5, 2)]),
    case(
        'height: 5 width: 3 interp_type: "nearest_neighbor"', (1, 2, 3, 5), (5, 3), method=nearest
    ),
    Case(
        'type: "Padding" padding_param { pad_beg: 2 pad_end: 1 }',
        [(2, 2, 2, 3)],
        lambda bottoms, params: np.pad(bottoms[0], ((0, 0), (0, 0), (2, 1), (2, 1))),
    ),
    Case(
        'type: "Padding" padding_param { pad_beg: -1 pad_end: -2 }',
        [(1, 2, 5, 6)],
        lambda bottoms, params: cut(bottoms[0], -1, -2),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_sizes_that_are_stated_give_way_to_one_factor():
    """The rules' order is the fork's: a lone factor first."""
    run = Layers(INTERP.format("height: 9 width: 9 zoom_factor: 2"), [(1, 1, 3, 3)])
    assert list(run.top[0].shape) == [1, 1, 5, 5]
    both = Layers(
        INTERP.format("height: 9 width: 9 zoom_factor: 2 shrink_factor: 1"), [(1, 1, 3, 3)]
    )
    assert list(both.top[0].shape) == [1, 1, 9, 9]


def test_labels_shrunk_by_eight_are_every_eighth_if_the_size_is_8k_plus_1():
    run = Layers(INTERP.format("shrink_factor: 8"), [(1, 1, 17, 25)])
    labels = np.random.default_rng(0).integers(0, 21, (1, 1, 17, 25))
    run.bottom[0].data[...] = labels
    np.testing.assert_array_equal(run.forward()[0], labels[:, :, ::8, ::8])


@pytest.mark.parametrize(
    "text, shape, says",
    [
        (INTERP.format("pad_beg: 1 zoom_factor: 2"), (1, 1, 3, 3), "0 or less: 1, 0"),
        (INTERP.format("zoom_factor: 0"), (1, 1, 3, 3), "factors are 1 or more"),
        (INTERP.format("height: 3"), (1, 1, 3, 3), "the size must be stated"),
        (INTERP.format('height: 3 width: 3 interp_type: "cubic"'), (1, 1, 3, 3), "got 'cubic'"),
        (INTERP.format("zoom_factor: 2 pad_end: -3"), (1, 1, 3, 4), r"nothing is left.*\[3, 4\]"),
        (
            'type: "Padding" padding_param { pad_beg: 1 pad_end: -1 }',
            (1, 1, 3, 3),
            "both pad or both",
        ),
        ('type: "Padding" padding_param { pad_beg: -3 }', (1, 1, 3, 3), "leaves nothing"),
    ],
)
def test_bad_settings(text, shape, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, [shape])
