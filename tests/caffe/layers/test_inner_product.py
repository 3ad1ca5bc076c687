"""InnerProduct and Embed."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference


def product(axis, transpose=False):
    def top(bottoms, params):
        (x,), (w, *bias) = bottoms, params
        flat = x.reshape(*x.shape[:axis], -1)
        y = flat @ (w if transpose else w.T)
        return y + bias[0] if bias else y

    return top


def rows(bottoms, params):
    index, (w, *bias) = bottoms[0].astype(int), params
    return w[index] + (bias[0] if bias else 0)


INDEX = np.array([[0, 3, 3], [1, 0, 2]])
CASES = [
    Case('type: "InnerProduct" inner_product_param { num_output: 4 }', [(2, 3, 2)], product(1)),
    Case(
        'type: "InnerProduct" inner_product_param { num_output: 3 axis: 2 bias_term: false }',
        [(2, 2, 2, 2)],
        product(2),
    ),
    Case(
        'type: "InnerProduct" inner_product_param { num_output: 3 axis: -1 transpose: true }',
        [(2, 2, 4)],
        product(2, transpose=True),
    ),
    Case(
        'type: "InnerProduct" inner_product_param { num_output: 3 axis: 0 }', [(2, 2)], product(0)
    ),
    Case(
        'type: "Embed" embed_param { num_output: 2 input_dim: 5 }',
        [(2, 3)],
        rows,
        values={0: INDEX},
        gradients=[],
    ),
    Case(
        'type: "Embed" embed_param { num_output: 2 input_dim: 5 bias_term: false }',
        [(2, 3)],
        rows,
        values={0: INDEX},
        gradients=[],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_another_number_of_inputs():
    run = Layers('type: "InnerProduct" inner_product_param { num_output: 3 }', [(2, 3, 4, 5)])
    run.bottom[0].reshape(2, 3, 4, 6)
    with pytest.raises(ValueError, match="weights are for 60 inputs, .* has 72 from axis 1 on"):
        run.forward()


def test_index_out_of_range():
    run = Layers('type: "Embed" embed_param { num_output: 2 input_dim: 5 }', [(2,)])
    run.bottom[0].data[...] = [1, 5]
    with pytest.raises(ValueError, match="indices must lie in 0..4 .*got 1..5"):
        run.forward()


def test_indices_get_no_gradient():
    run = Layers('type: "Embed" embed_param { num_output: 2 input_dim: 5 }', [(2,)])
    run.forward()
    with pytest.raises(NotImplementedError, match="gradient to indices"):
        run.backward([True])
