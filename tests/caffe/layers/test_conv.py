"""Convolution, Deconvolution, Im2col."""

from functools import partial

import numpy as np
import pytest
import reference
from gradient_check import Case, Layers, check_gradient, check_reference

from caffe import context
from caffe.kernels.convolution import Channelwise, Columns, choose


def case(kind, text, shapes, **options):
    """A row; the reference takes `options`, and runs over every bottom."""
    function = partial(getattr(reference, kind), **options)

    def tops(bottoms, params):
        return [function(x, *params) for x in bottoms]

    name = kind.capitalize()
    return Case(f'type: "{name}" convolution_param {{ {text} }}', shapes, tops, tops=len(shapes))


CASES = [
    case("convolution", "num_output: 3 kernel_size: 3", [(2, 2, 5, 4)]),
    case("convolution", "num_output: 2 kernel_size: 1 bias_term: false", [(2, 3, 2, 2)]),
    case(
        "convolution",
        "num_output: 2 kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 2",
        [(1, 2, 5, 3)],
        stride=(2, 1),
        pad=(0, 2),
    ),
    case(
        "convolution",
        "num_output: 4 kernel_size: 3 group: 2 pad: 1 stride: 2",
        [(1, 4, 4, 5)],
        group=2,
        pad=1,
        stride=2,
    ),
    case(
        "convolution",
        "num_output: 2 kernel_size: 2 dilation: 3 dilation: 1 pad: 1",
        [(1, 2, 5, 3)],
        dilation=(3, 1),
        pad=1,
    ),
    case("convolution", "num_output: 2 kernel_size: 4 stride: 2", [(1, 2, 3, 4)], stride=2),
    case(
        "convolution", "num_output: 2 kernel_size: 3 pad: 1 stride: 2", [(2, 3, 6)], pad=1, stride=2
    ),
    case("convolution", "num_output: 2 kernel_size: 2 stride: 3", [(1, 2, 5, 3, 2)], stride=3),
    case("convolution", "num_output: 2 kernel_size: 2", [(1, 2, 3, 3), (1, 2, 3, 3)]),
    case(  # without spatial axes, as in Caffe's own test
        "convolution", "num_output: 4 kernel_size: 3 group: 2", [(3, 4), (3, 4)], group=2
    ),
    case("deconvolution", "num_output: 2 kernel_size: 3", [(3, 4)]),
    case("deconvolution", "num_output: 2 kernel_size: 4 stride: 2", [(1, 3, 2, 3)], stride=2),
    case(
        "deconvolution",
        "num_output: 4 kernel_size: 3 stride: 2 pad: 1 group: 2 bias_term: false",
        [(2, 2, 2, 3)],
        stride=2,
        pad=1,
        group=2,
    ),
    case(
        "deconvolution",
        "num_output: 2 kernel_size: 2 dilation: 2 stride: 3 stride: 1",
        [(1, 2, 2, 3)],
        dilation=2,
        stride=(3, 1),
    ),
    case("deconvolution", "num_output: 2 kernel_size: 3 stride: 2", [(1, 2, 3)], stride=2),
    case("deconvolution", "num_output: 2 kernel_size: 2 pad: 1", [(1, 1, 3, 2, 3)], pad=1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference(case):
    check_reference(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient(case):
    check_gradient(case)


@pytest.mark.parametrize("shape", [(2, 2, 5, 4), (1, 2, 7), (1, 2, 4, 3, 4)], ids=str)
@pytest.mark.parametrize(
    "window", ["kernel_size: 2", "kernel_size: 2 stride: 2 pad: 1 dilation: 2"]
)
def test_im2col(shape, window):
    text = f"num_output: 1 bias_term: false {window}"
    convolution = Layers(f'type: "Convolution" convolution_param {{ {text} }}', [shape])
    run = Layers(f'type: "Im2col" convolution_param {{ {window} }}', [shape])
    values = np.random.default_rng(1).normal(size=shape)
    weights = np.random.default_rng(2).normal(size=convolution.params[0].data.shape)
    convolution.bottom[0].data[...] = run.bottom[0].data[...] = values
    convolution.params[0].data[...] = weights
    (columns,), (y,) = run.forward(), convolution.forward()
    product = np.einsum("nk...,k->n...", columns, weights.ravel().astype(np.float32))
    np.testing.assert_allclose(product[:, None], y, rtol=1e-4, atol=1e-5)
    check_gradient(Case(f'type: "Im2col" convolution_param {{ {window} }}', [shape]))


def test_axis_counts_the_axes_before_the_channels_as_batch():
    text = 'type: "Convolution" convolution_param {{ num_output: 2 kernel_size: 2 axis: {} }}'
    five, four = Layers(text.format(2), [(2, 3, 2, 4, 4)]), Layers(text.format(-3), [(6, 2, 4, 4)])
    for run in (five, four):
        run.bottom[0].data.ravel()[:] = np.arange(192)
        run.params[0].data.ravel()[:] = np.arange(16)
    np.testing.assert_array_equal(five.forward()[0].ravel(), four.forward()[0].ravel())
    assert five.top[0].data.shape == (2, 3, 2, 3, 3)


@pytest.mark.parametrize("bias", ["", "bias_term: false"])
@pytest.mark.parametrize("batch", [1, 2])
def test_huge_kernels_take_another_way_to_the_same_numbers(bias, batch, monkeypatch):
    """More weights than columns: one matrix product over im2col, no convolution."""
    text = f"num_output: 128 kernel_size: 5 pad: 1 {bias}"
    run = Layers(f'type: "Convolution" convolution_param {{ {text} }}', [(batch, 512, 7, 8)])
    assert choose("forward", run.layer.case, run.bottom[0].x) is Columns
    generator = run.randomize(-1, 1, {})
    top_diff = generator.normal(size=run.top[0].data.shape)
    results = []
    for by_columns in (True, False):
        if not by_columns:
            monkeypatch.setattr(Columns, "applies", lambda *case: False)
        for blob in run.params:
            blob.diff[...] = 1
        y = run.forward()[0].copy()
        run.top[0].diff[...] = top_diff
        run.backward([True])
        results.append([y, run.bottom[0].diff.copy(), *(b.diff.copy() for b in run.params)])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_deconvolution_is_the_transpose_of_convolution():
    """<A x, y> = <x, A' y> for one kernel, A the convolution."""
    window = "kernel_size: 3 stride: 2 pad: 1 bias_term: false"
    with context.double_precision():
        down = Layers(
            f'type: "Convolution" convolution_param {{ num_output: 4 {window} }}', [(1, 3, 7, 9)]
        )
        shape = down.top[0].data.shape
        up = Layers(
            f'type: "Deconvolution" convolution_param {{ num_output: 3 {window} }}', [shape]
        )
        down.randomize(-1, 1, {})
        up.randomize(-1, 1, {})
        up.params[0].data[...] = down.params[0].data
        ax, aty = down.forward()[0], up.forward()[0]
        left, right = (ax * up.bottom[0].data).sum(), (down.bottom[0].data * aty).sum()
    assert left == pytest.approx(right, rel=1e-12)


def test_a_parameter_without_learning_rate_gets_no_gradient():
    text = 'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 2 }'
    run = Layers(text, [(1, 2, 3, 3)])
    run.randomize(-1, 1, {})
    run.layer.param_propagate_down = [False, True]
    run.forward()
    run.top[0].diff[...] = 1
    run.backward([True])
    assert not run.params[0].diff.any() and run.params[1].diff.all() and run.bottom[0].diff.any()


def test_shapes_follow_the_bottom():
    run = Layers(
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 3 }', [(2, 3, 4, 5)]
    )
    run.bottom[0].reshape(1, 3, 6, 7)
    run.bottom[0].data[...] = 1
    run.params[0].data[...] = 1
    np.testing.assert_array_equal(run.forward()[0], np.full((1, 2, 4, 5), 27))


@pytest.mark.parametrize(
    "text, message",
    [
        ("kernel_size: 1", "num_output must be given"),
        ("num_output: 1", "kernel_size must be given once"),
        ("num_output: 4 kernel_size: 1 group: 2", "group 2 must divide the 3 channels"),
        ("num_output: 1 kernel_size: 1 kernel_h: 1 kernel_w: 1", "without kernel_size"),
        ("num_output: 1 kernel_h: 1", "kernel_size must be at least 1, got \\[1, 0\\]"),
        ("num_output: 1 kernel_size: 9", "no window fits: kernel \\[9, 9\\]"),
        (
            "num_output: 1 kernel_size: 1 kernel_size: 1 kernel_size: 1",
            "each of the 2 spatial axes",
        ),
        ("num_output: 1 kernel_size: 1 stride: 0", "stride must be at least 1"),
        ("num_output: 1 kernel_size: 1 axis: 4", "axis 4 out of range"),
    ],
)
def test_bad_settings(text, message):
    with pytest.raises(ValueError, match=f"layer 'l' \\(Convolution\\): .*{message}"):
        Layers(f'type: "Convolution" convolution_param {{ {text} }}', [(2, 3, 4, 5)])


def test_other_channels_after_a_reshape():
    run = Layers(
        'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }', [(2, 3, 4, 5)]
    )
    run.bottom[0].reshape(2, 4, 4, 5)
    with pytest.raises(ValueError, match="weights are for 3 channels, .*has 4 on axis 1"):
        run.forward()


def test_bottoms_of_two_shapes():
    with pytest.raises(ValueError, match="one shape"):
        Layers(
            'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }',
            [(1, 2, 3, 3), (1, 2, 3, 4)],
            tops=2,
        )


def test_four_spatial_axes_are_too_many():
    with pytest.raises(NotImplementedError, match="0 to 3 spatial axes"):
        Layers(
            'type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }',
            [(1, 2, 3, 3, 3, 3)],
        )


@pytest.mark.parametrize(
    "settings", ["kernel_size: 4 stride: 2", "kernel_size: 3 stride: 2 pad: 1"]
)
def test_a_deconvolution_that_mixes_no_channels_equals_the_general_one(settings, device):
    """Weights on the diagonal take a way of their own, unless they learn; a trace off it does not."""
    text = (
        f'type: "Deconvolution" convolution_param {{ num_output: 3 bias_term: false {settings} }}'
    )
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 3, 5, 4)).astype(np.float32)
    results = []
    for trace in (0, 1e-30):
        run = Layers(text, [x.shape])
        run.layer.param_propagate_down = [False]
        run.bottom[0].data[...] = x
        weight = run.layer.blobs[0].data
        weight[range(3), range(3)] = np.arange(1, 1 + weight[0, 0].size).reshape(weight[0, 0].shape)
        weight[0, 1, 0, 0] = trace
        seen = not trace and not context.on_gpu()  # on a GPU the host does not wait to look
        assert (Channelwise.filters(run.layer.case, run.layer.weights()) is not None) == seen
        y = run.forward()[0].copy()
        run.top[0].diff[...] = rng.standard_normal(y.shape) if not results else results[0][2]
        run.backward([True])
        results.append((y, run.bottom[0].diff.copy(), run.top[0].diff.copy()))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)
