"""Local response normalization."""

from functools import partial

import pytest
import reference
from gradient_check import Case, Layers, check_gradient, check_reference


def case(text, shape, function, **options):
    return Case(
        f'type: "LRN" lrn_param {{ {text} }}',
        [shape],
        lambda bottoms, params: partial(function, **options)(bottoms[0]),
    )


CASES = [
    case("", (1, 7, 2, 2), reference.lrn_across, size=5, alpha=1, beta=0.75),
    case(
        "local_size: 3 alpha: 2 beta: 0.5 k: 1.5",
        (2, 4, 2, 1),
        reference.lrn_across,
        size=3,
        alpha=2,
        beta=0.5,
        k=1.5,
    ),
    case("local_size: 9", (1, 3, 2, 2), reference.lrn_across, size=9, alpha=1, beta=0.75),
    case(
        "local_size: 3 alpha: 4 k: 7 norm_region: WITHIN_CHANNEL",  # this k is ignored
        (1, 2, 4, 5),
        reference.lrn_within,
        size=3,
        alpha=4,
        beta=0.75,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_lrn(case):
    check_reference(case)
    check_gradient(case)


def test_the_window_has_a_middle():
    with pytest.raises(ValueError, match="layer 'l' .*local_size must be odd, got 4"):
        Layers('type: "LRN" lrn_param { local_size: 4 }', [(1, 2, 3, 3)])


def test_takes_four_axes():
    with pytest.raises(ValueError, match="four axes"):
        Layers('type: "LRN"', [(1, 2, 1, 3, 3)])
