"""Eltwise."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

SHAPES = [(2, 3, 2)] * 3


def case(text, formula):
    return Case(
        f'type: "Eltwise" eltwise_param {{ {text} }}',
        SHAPES,
        lambda bottoms, params: formula(*bottoms),
    )


CASES = [
    case("", lambda a, b, c: a + b + c),
    case("coeff: 2 coeff: -1 coeff: 0.5", lambda a, b, c: 2 * a - b + 0.5 * c),
    case("operation: PROD", lambda a, b, c: a * b * c),
    case("operation: PROD stable_prod_grad: false", lambda a, b, c: a * b * c),
    case("operation: MAX", lambda a, b, c: np.maximum(np.maximum(a, b), c)),
    Case(
        'type: "Eltwise" eltwise_param { coeff: 1 coeff: -1 }',
        SHAPES[:2],
        lambda bottoms, params: bottoms[0] - bottoms[1],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_ties_go_to_the_second_then_to_the_first_of_them(device):
    run = Layers('type: "Eltwise" eltwise_param { operation: MAX }', [(3,)] * 3)
    for blob, values in zip(run.bottom, ([1, 2, 1], [1, 1, 1], [1, 2, 3])):
        blob.data[...] = values
    run.forward()
    run.top[0].diff[...] = 1
    run.backward([True] * 3)
    wanted = [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal([blob.diff for blob in run.bottom], wanted)


def test_the_unstable_gradient_is_nan_at_zero():
    text = 'type: "Eltwise" eltwise_param { operation: PROD stable_prod_grad: false }'
    run = Layers(text, [(1,)] * 2)
    run.forward()
    run.top[0].diff[...] = 1
    run.backward([True, True])
    assert np.isnan(run.bottom[0].diff).all()


@pytest.mark.parametrize(
    "text, shapes, message",
    [
        ("", [(2, 3), (2, 4)], "bottom 0 has \\[2, 3\\], bottom 1 \\[2, 4\\]"),
        ("eltwise_param { coeff: 1 }", [(2,)] * 2, "one coeff for each of the 2 bottoms"),
        ("eltwise_param { operation: PROD coeff: 1 coeff: 1 }", [(2,)] * 2, "PROD takes no coeff"),
        ("", [(2,)], "at least 2 bottom"),
    ],
)
def test_bad_settings(text, shapes, message):
    with pytest.raises(ValueError, match=f"layer 'l' \\(Eltwise\\): .*{message}"):
        Layers(f'type: "Eltwise" {text}', shapes)
