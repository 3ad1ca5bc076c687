"""Masks under boxes: cells of a mask, and back; the data layer; what a net says of a picture."""

import numpy as np
import pytest
from places import ROOT

import caffe
from fcn.detection.average_precision import mask_overlaps
from fcn.detection.masks import SIDE, cells, masks_of, paste

TRAIN = ROOT / "systems/mnc/sample/train.prototxt"
DISC = np.hypot(*(np.mgrid[:60, :80] - [[[30]], [[40]]])) < 15


def test_a_mask_comes_back_from_its_cells():
    box = np.array([24, 14, 56, 46])
    back = paste(cells(DISC, box), box, 60, 80)
    assert mask_overlaps(back[None], DISC[None]) > 0.9


def test_what_lies_outside_of_the_picture_is_no_object():
    found = cells(np.ones((10, 10), bool), np.array([-21, 0, 20, 9]))
    assert (
        not found[:, : SIDE // 2].any()
        and found[:, SIDE // 2 + 1 : 15].all()
        and not found[:, 16:].any()
    )
    assert paste(np.ones((SIDE, SIDE)), np.array([-5, 5, 4, 20]), 10, 10).sum() == 5 * 5


@pytest.mark.parametrize("box", [[5, 5, 3, 9], [50, 50, 60, 60], [-9, -9, -3, -3]])
def test_boxes_of_no_area_or_outside_give_empty_masks(box):
    assert not paste(np.ones((SIDE, SIDE)), np.array(box), 10, 10).any()


def entry(boxes=((24, 14, 56, 46),)):
    picture = np.repeat(DISC[:, :, None] * np.uint8(200), 3, 2)
    return dict(
        picture=picture, boxes=np.reshape(boxes, (-1, 4)), masks=np.array([DISC] * len(boxes))
    )


def test_pictures_boxes_and_masks_are_read():
    net = caffe.Net(str(TRAIN), caffe.TRAIN)
    with pytest.raises(ValueError, match="set_scenes"):
        net.forward()
    layer = net.layers[0]
    with pytest.raises(ValueError, match="none of 1 pictures has a box"):
        layer.set_scenes([entry(())])
    layer.set_scenes([entry(), entry(())])
    net.forward()
    data, rois, masks = (net.blobs[name].data for name in ("data", "rois", "mask_targets"))
    assert data.shape == (1, 3, 60, 80) and rois.shape == (3, 5) and masks.shape == (3, SIDE * SIDE)
    np.testing.assert_array_equal(data[0, :, 30, 40], 200 - np.float32([76, 81, 75]))
    for (_, *box), mask in zip(rois, masks):
        assert np.abs(np.array(box) - [24, 14, 56, 46]).max() <= 3.3 + 1e-4
        back = paste(mask.reshape(SIDE, SIDE), np.array(box), 60, 80)
        assert mask_overlaps(back[None], DISC[None]) > 0.8


def test_a_net_says_a_mask_for_each_box():
    net = caffe.Net(str(TRAIN.with_name("test.prototxt")), caffe.TEST)
    net.params["mask_pred"][1].data[...] = 5  # all is object
    boxes = np.array([[10.0, 5, 30, 40], [0, 0, 9, 9]])
    found = masks_of(net, entry()["picture"], (76, 81, 75), boxes)
    assert found.shape == (2, 60, 80) and [mask.sum() for mask in found] == [21 * 36, 100]
    assert masks_of(net, entry()["picture"], (0, 0, 0), boxes[:0]).shape == (0, 60, 80)
