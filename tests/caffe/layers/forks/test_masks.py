"""ROIWarping, MaskPooling, MaskResize."""

import math

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

from caffe import context

REGIONS = np.array([[0, 4, 8, 27, 30], [1, 0, 0, 12, 4], [0, 5, 5, 6, 6], [1, 8, 90, 20, 99]])
WARP = 'type: "ROIWarping" roi_warping_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.25 }'
SIZE = (2, 3)


def sample(plane, h, w):
    """One bilinear sample of (C, H, W); None outside."""
    height, width = plane.shape[1:]
    if not (-0.5 <= h <= height - 0.5 and -0.5 <= w <= width - 0.5):
        return None
    h, w = min(max(h, 0), height - 1), min(max(w, 0), width - 1)
    top, left = int(h), int(w)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    a, b = h - top, w - left
    upper = (1 - b) * plane[:, top, left] + b * plane[:, top, right]
    return (1 - a) * upper + a * ((1 - b) * plane[:, bottom, left] + b * plane[:, bottom, right])


def warp(plane, start, extent, steps):
    """A region of (C, H, W) from `start`, `extent` large, in `steps` a cell: (C, 2, 3)."""
    y = np.zeros((len(plane), *SIZE))
    for i, j in np.ndindex(SIZE):
        ats = [
            [
                start[k] + (cell + s / max(steps[k], 1)) / SIZE[k] * extent[k]
                for s in range(steps[k] + 1)
            ]
            for k, cell in ((0, i), (1, j))
        ]
        found = [v for h in ats[0] for w in ats[1] if (v := sample(plane, h, w)) is not None]
        if found:
            y[:, i, j] = np.max(found, 0)
    return y


def scaled(region):
    x1, y1, x2, y2 = (math.floor(c * 0.25 + 0.5) for c in region[1:])
    start, extent = (y1, x1), (max(y2 - y1, 0), max(x2 - x1, 0))
    return start, extent, [math.ceil(e / n) for e, n in zip(extent, SIZE)]


def roi_warping(bottoms, params):
    return np.stack([warp(bottoms[0][int(region[0])], *scaled(region)) for region in bottoms[1]])


def mask_resize(bottoms, params):
    x = bottoms[0]
    y = np.zeros((*x.shape[:2], 5, 3))
    for n, i, j in np.ndindex(len(x), 5, 3):
        value = sample(x[n], i * x.shape[2] / 5, j * x.shape[3] / 3)
        y[n, :, i, j] = 0 if value is None else value
    return y


CASES = [
    Case(WARP, [(2, 2, 9, 8), (4, 5)], roi_warping, values={1: REGIONS}, gradients=[0]),
    Case('type: "MaskPooling"', [(2, 3, 2, 4), (2, 1, 2, 4)], lambda b, p: b[0] * b[1]),
    Case(
        'type: "MaskResize" mask_resize_param { output_height: 5 output_width: 3 }',
        [(2, 2, 3, 4)],
        mask_resize,
    ),
    Case(
        'type: "MaskResize" mask_resize_param { output_height: 5 output_width: 3 }',
        [(1, 1, 11, 1)],
        mask_resize,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_the_regions_diff_is_of_centres_and_sizes():
    """On maps that are bilinear everywhere, so that no sample lies on a kink."""
    regions = np.array([[0, 4, 8, 25, 24], [1, 5, 5, 13, 28]])
    h, w = np.mgrid[:9, :8]
    maps = np.array([[h + 2 * w + h * w / 3, w - 2 * h], [h * w - w, h / 2 + w * h]])
    case = Case(WARP, [(2, 2, 9, 8), (2, 5)], values={0: maps, 1: regions})
    with context.double_precision():
        run, generator = case.run()
        weights = generator.uniform(0.5, 1.5, run.forward()[0].shape)
        run.top[0].diff[...] = weights
        run.backward([False, True])
    for r, region in enumerate(regions):
        start, extent, steps = scaled(region)
        centre, extent = np.add(start, np.array(extent) / 2), np.array(extent, float)

        def objective(change, r=r, centre=centre, extent=extent, steps=steps):
            size = extent + [change[4], change[3]]
            corner = centre + [change[2], change[1]] - size / 2
            return (weights[r] * warp(maps[regions[r, 0]], corner, size, steps)).sum()

        moves = 1e-6 * np.eye(5)
        numeric = [(objective(move) - objective(-move)) / 2e-6 for move in moves]
        np.testing.assert_allclose(run.bottom[1].diff[r], numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        ('type: "ROIWarping"', [(1, 1, 3, 3), (1, 5)], "above 0"),
        ('type: "MaskPooling"', [(1, 2, 3, 3), (1, 2, 3, 3)], r"masks \(N, 1, H, W\)"),
        ('type: "MaskResize"', [(1, 1, 3, 3)], "must be given"),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)
