"""Masks from boxes: the regions of a box, which of them is taken, and that a net's word counts."""

import numpy as np
import pytest

from fcn.weak import boxes

PICTURE = np.full((60, 80, 3), (40, 60, 50), np.uint8)
PICTURE += np.random.RandomState(0).randint(0, 12, PICTURE.shape).astype(np.uint8)
DISK = np.hypot(*(np.mgrid[:60, :80] - np.array([30, 35])[:, None, None])) <= 15
PICTURE[DISK] = (240, 235, 230)
BOX = [15, 20, 45, 50, 4]


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_a_light_disk_on_a_dark_ground_is_found_in_its_box():
    found = boxes.mask(PICTURE, [BOX], np.random.RandomState(0))
    assert set(np.unique(found)) == {0, 4} and iou(found == 4, DISK) > 0.9


def test_regions_are_different_and_the_box_is_the_last():
    regions = boxes.candidates(PICTURE, BOX)
    assert regions[-1].all() and all(each.shape == (31, 31) for each in regions)
    assert len({each.tobytes() for each in regions}) == len(regions)
    costs = boxes.costs(regions, 4)
    assert costs.argmin() != len(regions) - 1  # not what fits by itself


def test_a_region_s_overlap_is_that_of_its_own_box():
    region = np.zeros((10, 20), bool)
    assert boxes.overlap(region) == 0
    region[2:7, 5:15] = np.eye(5, 10, dtype=bool)
    region[6, 14] = True
    assert boxes.overlap(region) == pytest.approx(5 * 10 / 200)


def test_a_net_that_knows_better_is_followed():
    """It takes the left half for the object: regions that hold the right half cost more."""
    regions = [np.zeros((31, 31), bool) for _ in range(2)]
    regions[0][:, :16], regions[1][:, 15:] = True, True
    losses = np.full((5, 31, 31), 5.0)
    losses[4, :, :16], losses[0, :, 16:] = 0.1, 0.1
    with_net = boxes.costs(regions, 4, losses)
    assert with_net[0] < with_net[1]
    assert boxes.costs([*regions, np.ones((31, 31), bool)], 4)[:2] == pytest.approx(
        [0.5, 0.5], abs=0.05
    )


def test_small_boxes_lie_before_large_ones_and_reach_the_border():
    found = boxes.mask(PICTURE, [[0, 0, 59, 79, 1], BOX], np.random.RandomState(1))
    assert iou(found == 4, DISK) > 0.85
    assert boxes.mask(PICTURE, [[5, 5, 5, 5, 2]], np.random.RandomState(1))[5, 5] in (
        0,
        2,
    )  # a pixel
    assert not boxes.mask(PICTURE, [], np.random.RandomState(1)).any()


def test_grabcut_finds_it_too():
    pytest.importorskip("cv2")
    assert iou(boxes.grabcut(PICTURE, [BOX]) == 4, DISK) > 0.9
