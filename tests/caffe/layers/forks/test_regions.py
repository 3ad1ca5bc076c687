"""ROIPooling and PSROIPooling."""

import math

import numpy as np
import pytest
from gradient_check import Case, Layers, check_gradient, check_reference

REGIONS = np.array(
    [
        [0, 0, 0, 30, 20],
        [1, 9, 4, 27, 28],  # 4.5 and 13.5 cells: halves are rounded away from zero
        [1, 30, 30, 10, 10],  # malformed: one cell
        [0, -20, 8, 9, 300],
        [0, 200, 200, 240, 240],  # outside
    ]
)
POOL = 'type: "ROIPooling" roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.25 }'
PS = """type: "PSROIPooling"
psroi_pooling_param { output_dim: 2 group_size: 3 spatial_scale: 0.25 }"""


def away(x):
    return math.floor(abs(x) + 0.5) * (1 if x >= 0 else -1)


def roi_pooling(bottoms, params):
    x, regions = bottoms
    y = np.zeros((len(regions), x.shape[1], 3, 2))
    for r, (n, *corners) in enumerate(regions):
        x1, y1, x2, y2 = (away(c * 0.25) for c in corners)
        height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for i in range(3):
            for j in range(2):
                rows = range(math.floor(i * height / 3) + y1, math.ceil((i + 1) * height / 3) + y1)
                columns = range(math.floor(j * width / 2) + x1, math.ceil((j + 1) * width / 2) + x1)
                rows = [h for h in rows if 0 <= h < x.shape[2]]
                columns = [w for w in columns if 0 <= w < x.shape[3]]
                if rows and columns:
                    y[r, :, i, j] = x[int(n)][:, rows][:, :, columns].max((1, 2))
    return y


def psroi_pooling(bottoms, params):
    x, regions = bottoms
    y = np.zeros((len(regions), 2, 3, 3))
    for r, (n, x1, y1, x2, y2) in enumerate(regions):
        left, top = away(x1) * 0.25, away(y1) * 0.25
        height = max((away(y2) + 1) * 0.25 - top, 0.1) / 3
        width = max((away(x2) + 1) * 0.25 - left, 0.1) / 3
        for c, i, j in np.ndindex(2, 3, 3):
            rows = range(math.floor(i * height + top), math.ceil((i + 1) * height + top))
            columns = range(math.floor(j * width + left), math.ceil((j + 1) * width + left))
            rows = [h for h in rows if 0 <= h < x.shape[2]]
            columns = [w for w in columns if 0 <= w < x.shape[3]]
            if rows and columns:
                y[r, c, i, j] = x[int(n), (c * 3 + i) * 3 + j][rows][:, columns].mean()
    return y


CASES = [
    Case(POOL, [(2, 2, 7, 9), (5, 5)], roi_pooling, values={1: REGIONS}),
    Case(PS, [(2, 18, 7, 9), (5, 5)], psroi_pooling, values={1: REGIONS}),
]


@pytest.mark.parametrize("case", CASES, ids=["ROIPooling", "PSROIPooling"])
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_of_equal_maxima_the_first_in_order_of_rows_gets_the_gradient(device):
    run = Layers(
        'type: "ROIPooling" roi_pooling_param { pooled_h: 1 pooled_w: 1 }', [(1, 1, 3, 3), (1, 5)]
    )
    run.bottom[0].data[0, 0] = [[0, 0, 7], [7, 0, 0], [0, 7, 0]]
    run.bottom[1].data[...] = [0, 0, 0, 2, 2]
    run.forward()
    run.top[0].diff[...] = 1
    run.backward([True, False])
    assert run.bottom[0].diff.ravel().tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "text, channels", [(POOL, 1), (PS, 18)], ids=["ROIPooling", "PSROIPooling"]
)
def test_a_picture_that_is_not_there(text, channels, device):
    run = Layers(text, [(2, channels, 5, 5), (1, 5)])
    run.bottom[1].data[...] = [2, 0, 0, 4, 4]
    with pytest.raises(ValueError, match=r"pictures (0|2)\.\.2, the batch has 0\.\.1"):
        run.forward()


@pytest.mark.parametrize(
    "text, channels", [(POOL, 1), (PS, 18)], ids=["ROIPooling", "PSROIPooling"]
)
def test_regions_get_a_gradient_of_0(text, channels):
    """They come from layers whose bottoms learn, so that nets do ask for it."""
    run = Layers(text, [(2, channels, 5, 5), (1, 5)])
    run.forward()
    run.bottom[1].diff[...] = 7
    run.backward([True, True])
    assert not run.bottom[1].diff.any()


@pytest.mark.parametrize(
    "text, shapes, says",
    [
        ('type: "ROIPooling"', [(1, 1, 3, 3), (1, 5)], r"above 0, got \(0, 0\)"),
        (POOL, [(1, 1, 3, 3), (1, 4)], r"regions \(R, 5\).*\[1, 4\]"),
        ('type: "PSROIPooling"', [(1, 1, 3, 3), (1, 5)], "group_size and output_dim must be given"),
        (PS, [(1, 17, 3, 3), (1, 5)], "need 18 channels"),
    ],
)
def test_bad_settings(text, shapes, says):
    with pytest.raises(ValueError, match=says):
        Layers(text, shapes)
