"""Depthwise convolutions, bounded neurons, Axpy, ShuffleChannel, Reorg."""

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

DEPTHWISE = 'type: "{}" convolution_param {{ kernel_size: 3 pad: 1 stride: 2 {} }}'


def depthwise(bottoms, params):
    x = np.pad(bottoms[0], ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = np.zeros((*x.shape[:2], 2, 3))
    for i, j in np.ndindex(2, 3):
        window = x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        y[:, :, i, j] = (window * params[0][:, 0]).sum((2, 3)) + params[1]
    return y


def reorg(x, stride, reverse):
    """darknet's loop over the bottom's own sizes, on flat memory."""
    num, channels, height, width = x.shape
    flat, out = x.reshape(-1), np.zeros(x.size)
    fewer = channels // stride**2
    for b, k, j, i in np.ndindex(num, channels, height, width):
        here = i + width * (j + height * (k + channels * b))
        offset = k // fewer
        w, h = i * stride + offset % stride, j * stride + offset // stride
        there = w + width * stride * (h + height * stride * (k % fewer + fewer * b))
        if reverse:
            out[there] = flat[here]
        else:
            out[here] = flat[there]
    if reverse:
        return out.reshape(num, fewer, height * stride, width * stride)
    return out.reshape(num, channels * stride**2, height // stride, width // stride)


CASES = [
    Case(DEPTHWISE.format("ConvolutionDepthwise", "num_output: 99"), [(2, 3, 4, 5)], depthwise),
    Case(DEPTHWISE.format("DepthwiseConvolution", "num_output: 3"), [(2, 3, 4, 5)], depthwise),
    Case('type: "ReLU6"', [(3, 7)], lambda b, p: np.clip(b[0], 0, 6), low=-3, high=9),
    Case(
        'type: "ReLU6" relu6_param { threshold: 2 }',
        [(3, 7)],
        lambda b, p: np.clip(b[0], 0, 2),
        low=-3,
        high=5,
        in_place=True,
    ),
    Case(
        'type: "HardSigmoid"',
        [(3, 7)],
        lambda b, p: np.clip(0.2 * b[0] + 0.5, 0, 1),
        low=-4,
        high=4,
    ),
    Case(
        'type: "HardSigmoid" hardsigmoid_param { alpha: 0.5 beta: 0.25 }',
        [(3, 7)],
        lambda b, p: np.clip(0.5 * b[0] + 0.25, 0, 1),
        low=-3,
        high=3,
        in_place=True,
    ),
    Case(
        'type: "HardSwish"',
        [(3, 7)],
        lambda b, p: b[0] * np.clip(b[0] + 3, 0, 6) / 6,
        low=-5,
        high=5,
    ),
    Case(
        'type: "Axpy"', [(2, 3, 1, 1), (2, 3, 2, 4), (2, 3, 2, 4)], lambda b, p: b[0] * b[1] + b[2]
    ),
    Case(
        'type: "Axpy"', [(2, 3), (2, 3, 4), (2, 3, 4)], lambda b, p: b[0][..., None] * b[1] + b[2]
    ),
    Case(
        'type: "ShuffleChannel" shuffle_channel_param { group: 3 }',
        [(2, 6, 2, 2)],
        lambda b, p: b[0].reshape(2, 3, 2, 2, 2).swapaxes(1, 2).reshape(2, 6, 2, 2),
    ),
    Case(
        'type: "Reorg" reorg_param { stride: 2 }',
        [(2, 4, 4, 6)],
        lambda b, p: reorg(b[0], 2, False),
    ),
    Case(
        'type: "Reorg" reorg_param { stride: 2 reverse: true }',
        [(2, 8, 2, 3)],
        lambda b, p: reorg(b[0], 2, True),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_a_stated_group_holds():
    run = Layers(DEPTHWISE.format("DepthwiseConvolution", "num_output: 4 group: 2"), [(1, 6, 4, 4)])
    assert list(run.params[0].shape) == [4, 3, 3, 3]


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        (
            DEPTHWISE.format("DepthwiseConvolution", "num_output: 4"),
            [(1, 3, 4, 4)],
            "group 3 must divide",
        ),
        ('type: "HardSwish"', None, "cannot work in place"),
        ('type: "Axpy"', [(2, 4), (2, 3, 4), (2, 3, 4)], r"needs a \(N, C, 1, 1\)"),
        (
            'type: "ShuffleChannel" shuffle_channel_param { group: 4 }',
            [(1, 6, 1, 1)],
            "group 4 must",
        ),
        ('type: "Reorg" reorg_param { stride: 2 }', [(1, 4, 3, 4)], "stride 2 must divide"),
        ('type: "Reorg" reorg_param { stride: 2 reverse: true }', [(1, 3, 3, 4)], "stride 2 must"),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes or [(1, 2)], in_place=shapes is None)
