"""Average precision on cases counted by hand."""

import numpy as np
import pytest

from fcn.detection.average_precision import (
    Found,
    Truth,
    area,
    average_precisions,
    box_overlaps,
    mask_overlaps,
    of_eleven_points,
)

BOX, OTHER, FAR = [0, 0, 9, 9], [20, 0, 29, 9], [60, 60, 69, 69]


def precision(found, truth, rule="area", least=0.5, difficult=None):
    """Of one class in one picture; `found` is [(score, box)]."""
    scores, boxes = zip(*found) if found else ((), ())
    there = Truth(np.reshape(truth, (-1, 4)), difficult)
    each = Found(np.array(scores), np.reshape(boxes, (-1, 4)))
    return average_precisions({1: [each]}, {1: [there]}, least, rule).get(1)


@pytest.mark.parametrize(
    "found, area_wanted, points_wanted",
    [
        ([(0.9, BOX), (0.8, OTHER)], 1, 1),
        # right, wrong, right: precision 1 up to a recall of .5, then 2/3
        ([(0.9, BOX), (0.8, FAR), (0.7, OTHER)], (1 + 2 / 3) / 2, (6 + 5 * 2 / 3) / 11),
        # the second find of an object is wrong
        ([(0.9, BOX), (0.8, BOX), (0.7, OTHER)], (1 + 2 / 3) / 2, (6 + 5 * 2 / 3) / 11),
        ([(0.9, FAR), (0.8, BOX)], 0.25, 6 * 0.5 / 11),
        ([(0.9, FAR)], 0, 0),
        ([], 0, 0),
    ],
)
def test_by_hand(found, area_wanted, points_wanted):
    assert precision(found, [BOX, OTHER]) == pytest.approx(area_wanted)
    assert precision(found, [BOX, OTHER], "11 points") == pytest.approx(points_wanted)


def test_recalls_of_tenths_count_at_their_point():
    """Ten objects: 3 of 10 found is a recall of .3, whatever 3 * .1 is."""
    recall = np.arange(1, 11) / 10
    precision = np.where(np.arange(10) < 3, 1.0, 0.5)
    assert of_eleven_points(recall, precision) == pytest.approx((4 + 7 * 0.5) / 11)
    assert area(recall, precision) == pytest.approx(0.3 + 0.7 * 0.5)


def test_difficult_objects_are_neither_wanted_nor_wrong():
    found = [(0.9, OTHER), (0.8, BOX)]
    assert precision(found, [BOX, OTHER], difficult=np.array([False, True])) == 1
    assert precision(found, [OTHER], difficult=np.array([True])) is None


def test_an_object_is_found_by_the_best_score_whatever_the_order():
    near = [0, 0, 9, 8]
    assert precision([(0.2, BOX), (0.9, near)], [BOX], least=0.95) == pytest.approx(0.5)
    assert precision([(0.2, near), (0.9, BOX)], [BOX], least=0.95) == 1


def test_pictures_are_counted_together():
    """The best detection of all pictures comes first."""
    found = [Found(np.array([0.5]), np.array([BOX])), Found(np.array([0.9]), np.array([FAR]))]
    truth = [Truth(np.array([BOX])), Truth(np.zeros((0, 4)))]
    assert average_precisions({1: found}, {1: truth})[1] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="class 1: detections of 2 pictures, truth of 1"):
        average_precisions({1: found}, {1: truth[:1]})


def test_overlaps_of_boxes_and_of_masks_are_the_same_for_filled_boxes():
    boxes = np.array([[0, 0, 3, 5], [2, 1, 7, 6], [5, 5, 5, 5]])
    masks = np.zeros((3, 8, 8), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1 : y2 + 1, x1 : x2 + 1] = True
    np.testing.assert_allclose(box_overlaps(boxes, boxes), mask_overlaps(masks, masks), rtol=1e-6)
    assert mask_overlaps(np.zeros((1, 4, 4)), np.zeros((1, 4, 4))) == 0
