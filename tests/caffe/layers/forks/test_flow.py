"""FlowNet's layers."""

import math

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

from caffe import context

SHAPE = (2, 3, 2, 2)
L1 = 'type: "L1Loss" l1_loss_param {{ {} }}'
CORRELATION = 'type: "Correlation" correlation_param {{ kernel_size: {} max_displacement: {} {} }}'


def l1(per_location=False, scale=1.0, divisor=2, epsilon=0.01, plateau=0.0):
    def reference(bottoms, params):
        d = bottoms[0] - (bottoms[1] if len(bottoms) > 1 else 0)
        d = np.where(np.abs(d) < plateau, 0, d)
        if per_location:
            return np.sqrt((d**2).sum(1) * scale + epsilon).sum() / divisor
        return np.abs(d).sum() / divisor

    return reference


def correlation(kernel, most, pad=0, one=1, two=1, subtract=False):
    def reference(bottoms, params):
        a, b = (np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))) for x in bottoms)
        border, reach = most + kernel // 2, most // two
        rows, columns = (math.ceil((side - 2 * border) / one) for side in a.shape[2:])
        y = np.zeros((len(a), (2 * reach + 1) ** 2, rows, columns))
        for channel, (down, across) in enumerate(np.ndindex(2 * reach + 1, 2 * reach + 1)):
            for i, j in np.ndindex(rows, columns):
                h, w = i * one + most, j * one + most
                first = a[:, :, h : h + kernel, w : w + kernel]
                h, w = h + (down - reach) * two, w + (across - reach) * two
                second = b[:, :, h : h + kernel, w : w + kernel]
                like = np.abs(first - second) if subtract else first * second
                y[:, channel, i, j] = like.mean((1, 2, 3))
        return y

    return reference


FLOW = np.random.default_rng(1).uniform(-2.5, 2.5, (2, 2, 4, 5))


def warp(bottoms, params, fill=0.0):
    x, flow = bottoms
    y = np.full_like(x, fill)
    for n, i, j in np.ndindex(len(x), 4, 5):
        w, h = j + flow[n, 0, i, j], i + flow[n, 1, i, j]
        if 0 <= w < 5 and 0 <= h < 4:
            left, top = int(w), int(h)
            right, bottom = min(left + 1, 4), min(top + 1, 3)
            a, b = h - top, w - left
            upper = (1 - b) * x[n, :, top, left] + b * x[n, :, top, right]
            lower = (1 - b) * x[n, :, bottom, left] + b * x[n, :, bottom, right]
            y[n, :, i, j] = (1 - a) * upper + a * lower
    return y


def downsample(bottoms, params):
    x = bottoms[0]
    y = np.zeros((*x.shape[:2], 3, 4))
    down, across = (x.shape[2] - 1) / 2, (x.shape[3] - 1) / 3
    for n, c, i, j in np.ndindex(y.shape):
        value = weight = gap = 0.0
        for h, w in np.ndindex(x.shape[2:]):
            part = max(0, 1 - abs(h - i * down) / down) * max(0, 1 - abs(w - j * across) / across)
            if np.isnan(x[n, c, h, w]):
                gap += part
            else:
                value, weight = value + part * x[n, c, h, w], weight + part
        y[n, c, i, j] = np.nan if gap / weight > 0.5 else value / weight
    return y


def triangle(x):
    return max(0, 1 - abs(x))


def cubic(x):
    x = abs(x)
    if x <= 1:
        return x * x * (1.5 * x - 2.5) + 1
    return x * (x * (-0.5 * x + 2.5) - 4) + 2 if x < 2 else 0


def resample(height, width, kind, antialias=True):
    def reference(bottoms, params):
        x = bottoms[0]
        fy, fx = x.shape[2] / height, x.shape[3] / width
        ay, ax = (1 / fy, 1 / fx) if antialias and max(fx, fy) > 1 else (1, 1)
        y = np.zeros((*x.shape[:2], height, width))
        for i, j in np.ndindex(height, width):
            h, w = i * fy + fx / 2 - 0.5, j * fx + fy / 2 - 0.5
            if kind is None:
                y[:, :, i, j] = x[:, :, math.floor(h + 0.5), math.floor(w + 0.5)]
                continue
            weights = np.array(
                [
                    [kind(ay * (h - r)) * kind(ax * (w - c)) for c in range(x.shape[3])]
                    for r in range(x.shape[2])
                ]
            )
            y[:, :, i, j] = (x * weights).sum((2, 3)) / weights.sum()
        return y

    return reference


def resized(settings, size, kind, shape=(1, 2, 6, 4), antialias=True, others=()):
    return Case(
        f'type: "Resample" resample_param {{ {settings} }}',
        [shape, *others],
        resample(*size, kind, antialias),
        gradients=[],
    )


WITH_NAN = np.random.default_rng(2).normal(size=(1, 2, 7, 9))
WITH_NAN[0, 0, 2:4, :3] = WITH_NAN[0, 1, 0, 0] = np.nan
CASES = [
    Case(L1.format(""), [SHAPE] * 2, l1()),
    Case(L1.format("plateau: 0.3"), [SHAPE], l1(plateau=0.3)),
    Case(L1.format("l2_per_location: true"), [SHAPE] * 2, l1(True)),
    Case(
        L1.format(
            """l2_per_location: true l2_prescale_by_channels: true epsilon: 0.1
            normalize_by_num_entries: true"""
        ),
        [SHAPE] * 2,
        l1(True, 1 / 3, 8, 0.1),
    ),
    Case(CORRELATION.format(1, 2, ""), [(2, 3, 6, 7)] * 2, correlation(1, 2)),
    Case(
        CORRELATION.format(3, 2, "pad: 2 stride_1: 2 stride_2: 2"),
        [(1, 2, 6, 5)] * 2,
        correlation(3, 2, 2, 2, 2),
    ),
    Case(
        CORRELATION.format(1, 1, "correlation_type: SUBTRACT"),
        [(1, 2, 4, 4)] * 2,
        correlation(1, 1, subtract=True),
    ),
    Case('type: "FlowWarp"', [(2, 3, 4, 5), (2, 2, 4, 5)], warp, values={1: FLOW}),
    Case(
        'type: "ChannelNorm"',
        [(2, 3, 2, 2)],
        lambda b, p: np.sqrt((b[0] ** 2).sum(1, keepdims=True)),
    ),
    Case(
        'type: "Downsample" downsample_param { top_height: 3 top_width: 4 }',
        [(1, 2, 7, 9)],
        downsample,
        values={0: WITH_NAN},
        gradients=[],
    ),
    Case('type: "Downsample"', [(1, 2, 7, 9), (9, 9, 3, 4)], downsample, gradients=[]),
    resized("height: 3 width: 2", (3, 2), triangle),
    resized("height: 3 width: 2 antialias: false", (3, 2), triangle, antialias=False),
    resized("height: 9 width: 8", (9, 8), triangle),
    resized("height: 9 width: 8 type: CUBIC", (9, 8), cubic),
    resized("height: 4 width: 3 type: CUBIC", (4, 3), cubic, (1, 1, 8, 6)),
    resized("height: 3 width: 2 type: NEAREST", (3, 2), None),
    resized("type: LINEAR", (5, 4), triangle, others=[(1, 1, 5, 4)]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    if "Downsample" not in case.text:  # NaN, and no gradient
        check_gradient(case)


def test_nans_do_not_count():
    for settings, wanted in (("", 3 / 2), ("normalize_by_num_entries: true", 3 / (6 / 2))):
        run = Layers(L1.format(settings), [(2, 2, 2, 1)] * 2)
        run.bottom[0].data[...] = 0
        run.bottom[1].data[...] = [[[[1], [np.nan]], [[0], [0]]], [[[np.nan], [2]], [[0], [0]]]]
        assert run.forward()[0] == pytest.approx(wanted)
        run.top[0].diff[...] = 1
        run.backward([True, True])
        assert np.isfinite(run.bottom[0].diff).all()
        assert np.count_nonzero(run.bottom[0].diff) == 2


def test_a_shifted_picture_correlates_most_at_its_shift():
    x = np.random.default_rng(0).normal(size=(1, 64, 12, 12))
    run = Layers(CORRELATION.format(1, 3, ""), [x.shape] * 2)
    run.bottom[0].data[...] = x
    run.bottom[1].data[...] = np.roll(x, (2, -1), (2, 3))
    y = run.forward()[0]
    assert (y[0].argmax(0) == (2 + 3) * 7 + (-1 + 3)).all()


def test_positions_outside_are_filled():
    text = 'type: "FlowWarp" flow_warp_param { fill_value: NOT_A_NUMBER }'
    case = Case(
        text, [(2, 3, 4, 5), (2, 2, 4, 5)], lambda b, p: warp(b, p, np.nan), values={1: FLOW}
    )
    check_reference(case)
    with context.double_precision():
        run, _ = case.run()
        run.forward()
        run.top[0].diff[...] = 1
        run.backward([True, True])
        assert all(np.isfinite(blob.diff).all() for blob in run.bottom)


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        (L1.format(""), [SHAPE, (2, 3)], "as many values"),
        (CORRELATION.format(2, 1, ""), [SHAPE] * 2, "and odd, got 2"),
        ('type: "Correlation" correlation_param { kernel_size: 1 }', [SHAPE] * 2, "must be given"),
        (CORRELATION.format(1, 1, ""), [SHAPE] * 2, "do not fit into"),
        (CORRELATION.format(1, 0, ""), [SHAPE, (2, 3, 2, 3)], "one shape"),
        ('type: "FlowWarp"', [SHAPE] * 2, r"a flow \(N, 2, H, W\)"),
        ('type: "Downsample"', [SHAPE], "height and width must be given"),
        ('type: "Downsample" downsample_param { top_height: 1 top_width: 2 }', [SHAPE], "above 1"),
        ('type: "Resample" resample_param { type: AREA }', [SHAPE], "type AREA is not there"),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)


def test_resizing_has_no_gradient():
    run = Layers('type: "Downsample" downsample_param { top_height: 2 top_width: 2 }', [SHAPE])
    run.forward()
    with pytest.raises(NotImplementedError, match="has no gradient"):
        run.backward([True])
