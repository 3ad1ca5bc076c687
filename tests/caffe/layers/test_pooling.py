"""Pooling and SPP."""

import math
import sys
from functools import partial

import numpy as np
import pytest
import reference
import torch
from gradient_check import Case, Layers, check_gradient, check_reference

import caffe
from caffe.kernels.pool import PoolWindows, stochastic_pool, weighted_mean_pool


def largest(values, cells):
    return values.max() if values.size else -np.finfo(np.float32).max


def mean(values, cells):
    return values.sum() / cells


def case(method, text, shape, kernel, stride=1, pad=0, ceil=True):
    merge = {"MAX": largest, "AVE": mean}[method]
    pool = partial(reference.pool, kernel=kernel, stride=stride, pad=pad, merge=merge, ceil=ceil)
    return Case(
        f'type: "Pooling" pooling_param {{ pool: {method} {text} }}',
        [shape],
        lambda bottoms, params: pool(bottoms[0]),
    )


WINDOWS = [
    ("kernel_size: 2 stride: 2", (2, 2, 4, 6), 2, 2),
    ("kernel_size: 2 stride: 2", (1, 2, 5, 7), 2, 2),
    ("kernel_size: 3 stride: 2 pad: 1", (1, 2, 7, 6), 3, 2, 1),
    ("kernel_size: 3 stride: 2 pad: 2", (1, 2, 7, 6), 3, 2, 2),
    ("kernel_size: 3 stride: 2 round_mode: FLOOR", (1, 2, 6, 6), 3, 2, 0, False),
    (
        "kernel_h: 2 kernel_w: 3 stride_h: 3 stride_w: 1 pad_h: 1 pad_w: 0",
        (1, 2, 6, 5),
        (2, 3),
        (3, 1),
        (1, 0),
    ),
    ("kernel_size: 6 stride: 4", (1, 2, 4, 5), 6, 4),
    ("global_pooling: true", (2, 2, 3, 4), (3, 4)),
]
CASES = [case(method, *window) for method in ("MAX", "AVE") for window in WINDOWS]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference(case):
    check_reference(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient(case):
    check_gradient(case)


def run_on(text, plane):
    plane = np.array(plane, np.float32)
    run = Layers(f'type: "Pooling" pooling_param {{ {text} }}', [(1, 1, *plane.shape)], tops=2)
    run.bottom[0].data[...] = plane
    y, mask = run.forward()
    return run, y[0, 0], mask[0, 0]


def test_mask_holds_positions_and_the_first_of_equal_maxima_wins(device):
    run, y, mask = run_on("kernel_size: 2", [[1, 1, 5], [1, 0, 5]])
    np.testing.assert_array_equal(y, [[1, 5]])
    np.testing.assert_array_equal(mask, [[0, 2]])
    run.top[0].diff[...] = [3, 4]
    run.backward([True])
    np.testing.assert_array_equal(run.bottom[0].diff[0, 0], [[3, 0, 4], [0, 0, 0]])


def test_nan_never_wins(device):
    nan = math.nan
    _, y, mask = run_on("kernel_size: 2 stride: 2", [[nan, 1, nan, nan], [2, 3, nan, nan]])
    np.testing.assert_array_equal(y, np.array([[3, -np.finfo(np.float32).max]], np.float32))
    np.testing.assert_array_equal(mask, [[5, -1]])


def test_a_window_that_starts_outside_has_no_maximum():
    run, y, mask = run_on("kernel_size: 1 stride: 3", [[1, 2]])
    np.testing.assert_array_equal(mask, [[0, -1]])
    run.top[0].diff[...] = 1
    run.backward([True])
    np.testing.assert_array_equal(run.bottom[0].diff[0, 0], [[1, 0]])


def test_no_window_with_floor_gives_an_empty_top(monkeypatch):
    """As in Caffe; it is said."""
    said = []
    monkeypatch.setattr(
        sys.modules["caffe.layers.pooling"], "warning", lambda where, text: said.append(text)
    )
    text = 'type: "Pooling" pooling_param { kernel_size: 3 round_mode: FLOOR }'
    run = Layers(text, [(1, 1, 2, 2)])
    assert run.forward()[0].shape == (1, 1, 0, 0)
    assert len(said) == 1 and "on a plane of [2, 2]: the top is empty" in said[0]
    run.backward([True])
    assert not run.bottom[0].diff.any()


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "kernel must be given"),
        ("kernel_size: 2 pad: 2", "pad \\(2, 2\\) must be smaller than kernel"),
        ("kernel_size: 2 stride: 0", "stride must be above 0"),
        ("global_pooling: true kernel_size: 2", "give no kernel size"),
        ("global_pooling: true pad: 1", "goes with pad 0 and stride 1"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "either kernel_size, or kernel_h and kernel_w"),
        ("kernel_h: 2", "either kernel_size, or kernel_h and kernel_w"),
        ("kernel_size: 9", "no window fits"),
        ("kernel_size: 5", r"no window fits: kernel \(5, 5\), pad \(0, 0\) on a plane of \[4, 5\]"),
        ("pool: AVE kernel_size: 7 pad: 1", "no window fits"),
    ],
)
def test_bad_settings(text, message):
    with pytest.raises(ValueError, match=f"layer 'l' \\(Pooling\\): .*{message}"):
        Layers(f'type: "Pooling" pooling_param {{ {text} }}', [(2, 3, 4, 5)])


def test_takes_four_axes():
    with pytest.raises(ValueError, match="four axes"):
        Layers('type: "Pooling" pooling_param { kernel_size: 1 }', [(2, 3, 4)])


def test_a_mask_needs_maxima():
    with pytest.raises(ValueError, match="MAX pooling"):
        Layers('type: "Pooling" pooling_param { pool: AVE kernel_size: 1 }', [(1, 1, 2, 2)], tops=2)


def pyramid(bottoms, params, merge):
    """Levels 1 and 2 of a 4x6 plane, whose halves need no padding."""
    levels = [
        reference.pool(bottoms[0], (4 // n, 6 // n), (4 // n, 6 // n), 0, merge) for n in (1, 2)
    ]
    return np.concatenate([level.reshape(len(level), -1) for level in levels], 1)


SPP = [
    Case(
        f'type: "SPP" spp_param {{ pyramid_height: 2 pool: {method} }}',
        [(2, 2, 4, 6)],
        partial(pyramid, merge=merge),
    )
    for method, merge in (("MAX", largest), ("AVE", mean))
]


@pytest.mark.parametrize("case", SPP, ids=str)
def test_spp(case):
    check_reference(case)
    check_gradient(case)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_spp_gradient_with_padding(method):
    text = f'type: "SPP" spp_param {{ pyramid_height: 3 pool: {method} }}'
    check_gradient(Case(text, [(1, 2, 7, 9)]))


def test_spp_refuses_a_plane_too_small_for_its_pyramid():
    with pytest.raises(ValueError, match="choose a smaller pyramid_height"):
        Layers('type: "SPP" spp_param { pyramid_height: 3 }', [(2, 3, 4, 5)])


def test_stochastic_pooling_draws_each_cell_by_its_share(device):
    """By thresholds spread evenly over (0, 1], in overhanging windows, too."""
    x = torch.tensor([[3.0, 1.0, 2.0], [0.0, 4.0, 6.0], [5.0, 0.0, 0.0]])
    windows = PoolWindows((3, 3), (2, 2), (2, 2), (0, 0))
    counts = {}
    for share in (torch.arange(40) + 0.5) / 40:
        draw = share.expand(1, 1, 2, 2)
        y, position = stochastic_pool(x[None, None], windows, draw)
        assert (x.flatten()[position] == y).all()
        for window, cell in enumerate(position.flatten().tolist()):
            counts[window, cell] = counts.get((window, cell), 0) + 1
    assert counts == {
        (0, 0): 15, (0, 1): 5, (0, 4): 20, (1, 2): 10, (1, 5): 30, (2, 6): 40, (3, 8): 40,
    }  # fmt: skip
    mean = weighted_mean_pool(x[None, None], windows)[0, 0]
    np.testing.assert_allclose(mean, [[26 / 8, 40 / 8], [5, 0]], rtol=1e-6)


def test_stochastic_pooling_in_a_layer():
    """The layer refuses the CPU, as Caffe's does; past that check the rest runs anywhere."""
    text = 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }'
    run = Layers(text, [(1, 2, 5, 4)])
    with pytest.raises(NotImplementedError, match="GPUs only"):
        run.forward()
    x = np.random.default_rng(3).random(run.bottom[0].data.shape).astype(np.float32)
    run.bottom[0].data[...] = x
    run.layer.forward_stochastic(run.bottom[0], run.top[0])
    run.top[0].diff[...] = 2
    run.backward([True])
    diff = run.bottom[0].diff
    assert set(diff.ravel()) == {0, 2}
    np.testing.assert_array_equal(np.sort(x[diff > 0]), np.sort(run.top[0].data.ravel()))


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 2), (2, 1)])
@pytest.mark.parametrize("odd", [False, True], ids=["finite", "with NaN"])
def test_testing_finds_the_maxima_and_gradients_that_training_finds(size, odd, device):
    text = 'type: "Pooling" pooling_param { kernel_size: 2 stride: 2 }'
    if size == (1, 2) or size == (2, 1):
        text = 'type: "Pooling" pooling_param { kernel_size: 1 stride: 2 }'
    x = np.random.default_rng(1).integers(0, 4, (2, 3, *size)).astype(np.float32)  # with ties
    if odd:
        x[:, :, 0] = math.nan
    found = []
    for phase in (caffe.TRAIN, caffe.TEST):
        run = Layers(text, [x.shape], phase=phase)
        assert run.layer.phase == phase
        run.bottom[0].data[...] = x
        y = run.forward()[0].copy()
        run.top[0].diff[...] = np.arange(y.size).reshape(y.shape)
        run.backward([True])
        found.append((y, run.bottom[0].diff.copy()))
    for train, test in zip(*found):
        np.testing.assert_array_equal(train, test)
