"""Scale and Bias."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference


def spread(operand, axis, ndim):
    return np.reshape(operand, (1,) * axis + operand.shape + (1,) * (ndim - axis - operand.ndim))


def scaled(axis, bias=False):
    def top(bottoms, params):
        x, (s, *b) = bottoms[0], [*bottoms[1:], *params]
        y = x * spread(s, axis, x.ndim)
        return y + spread(b[0], axis, x.ndim) if bias else y

    return top


def biased(axis):
    return lambda bottoms, params: (
        bottoms[0] + spread([*bottoms[1:], *params][0], axis, bottoms[0].ndim)
    )


CASES = [
    Case('type: "Scale"', [(2, 3, 2)], scaled(1)),
    Case('type: "Scale" scale_param { bias_term: true }', [(2, 3, 2)], scaled(1, bias=True)),
    Case('type: "Scale" scale_param { axis: 0 num_axes: 2 }', [(2, 3, 2)], scaled(0)),
    Case('type: "Scale" scale_param { axis: 1 num_axes: -1 }', [(2, 3, 2)], scaled(1)),
    Case(
        'type: "Scale" scale_param { num_axes: 0 bias_term: true }', [(2, 3)], scaled(0, bias=True)
    ),
    Case('type: "Scale" scale_param { axis: -2 }', [(2, 3, 2), (3, 2)], scaled(1)),
    Case('type: "Scale" scale_param { bias_term: true }', [(2, 3, 2), (3,)], scaled(1, bias=True)),
    Case('type: "Scale"', [(2, 3), ()], scaled(0)),
    Case('type: "Bias"', [(2, 3, 2)], biased(1)),
    Case('type: "Bias" bias_param { axis: 0 num_axes: -1 }', [(2, 3)], biased(0)),
    Case('type: "Bias" bias_param { axis: 0 }', [(2, 3, 2), (2, 3)], biased(0)),
]
IN_PLACE = [
    Case(
        'type: "Scale" scale_param { bias_term: true }', [(2, 3, 2)], scaled(1, True), in_place=True
    ),
    Case('type: "Bias"', [(2, 3, 2)], biased(1), in_place=True),
]


@pytest.mark.parametrize("case", CASES + IN_PLACE, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_a_learned_scale_leaves_its_product_in_the_bottoms_diff():
    run = Layers('type: "Scale"', [(2, 3)])
    run.bottom[0].data[...], run.top[0].diff[...] = 5, 2
    run.forward()
    run.backward([False])
    assert (run.bottom[0].diff == 10).all() and run.params[0].diff.tolist() == [20, 20, 20]


@pytest.mark.parametrize(
    "text, shape, passes",
    [
        ("", (2, 3), 2),
        ("", (1, 3), 1),
        ("", (1, 3, 2), 1),
        ("", (1, 1, 2), 2),
        ("", (1, 1), 1),
        ("scale_param { num_axes: 0 }", (2, 3), 2),
        ("scale_param { axis: 0 num_axes: 0 }", (2, 3), 2),
        ("scale_param { axis: 0 num_axes: -1 }", (2, 3), 1),
    ],
)
def test_where_no_axis_lies_before_the_scale_its_gradients_do_not_add_up(text, shape, passes):
    """Caffe assigns the diff there, unless it is one number summed over many; biases add up."""
    text = text.replace("}", "bias_term: true }") or "scale_param { bias_term: true }"
    run = Layers(f'type: "Scale" {text}', [shape])
    run.bottom[0].data[...], run.top[0].diff[...] = 5, 2
    run.forward()
    for _ in range(2):
        run.backward([True])
    summed = run.bottom[0].count // run.params[0].count
    assert set(run.params[0].diff.ravel().tolist()) == {10 * summed * passes}
    assert set(run.params[1].diff.ravel().tolist()) == {2 * summed * 2}


def test_fresh_parameters():
    run = Layers('type: "Scale" scale_param { bias_term: true }', [(2, 3)])
    assert [blob.data.tolist() for blob in run.params] == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    "text, shapes, message",
    [
        ("", [(2, 3, 4), (4,)], "shape \\[4\\] does not fit .*\\[2, 3, 4\\] from axis 1 on"),
        ("scale_param { axis: 2 num_axes: 2 }", [(2, 3, 4)], "num_axes 2 from axis 2 on exceeds"),
        ("scale_param { axis: 3 }", [(2, 3, 4)], "axis 3 out of range"),
    ],
)
def test_bad_settings(text, shapes, message):
    with pytest.raises(ValueError, match=f"layer 'l' \\(Scale\\): .*{message}"):
        Layers(f'type: "Scale" {text}', shapes)
