"""Annotations that fuzzing found: sizes that are none, records that are not whole, shapes without end."""

import json

import pytest

from fcn.new import coco, labelme

TRIANGLE = [[1, 1], [6, 1], [6, 6]]


def read_labelme(tmp_path, **content):
    shape = {"label": "cat", "points": TRIANGLE, **content.pop("shape", {})}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"imageHeight": 9, "imageWidth": 8, "shapes": [shape], **content}))
    return labelme.read(path, (9, 8))


@pytest.mark.parametrize("height", [1.5, "9", -9, [9], 10**9])
def test_a_size_that_is_none(tmp_path, height):
    with pytest.raises(ValueError, match="it states a picture of height"):
        read_labelme(tmp_path, imageHeight=height)
    assert read_labelme(tmp_path, imageHeight=None).codes.shape == (9, 8)


@pytest.mark.parametrize(
    "shape",
    [
        {"points": [[1e400, 0], [0, 1], [1, 1]]},
        {"points": [[float("nan"), 0], [0, 1], [1, 1]]},
        {"shape_type": "mask", "mask": "AAAA", "points": [[0, 0], [1, 1]]},
        {"points": [[1], [2], [3]]},
    ],
)
def test_a_shape_that_cannot_be_drawn(tmp_path, shape):
    with pytest.raises(ValueError, match=r"shape 1 \(cat\) cannot be drawn"):
        read_labelme(tmp_path, shape=shape)


@pytest.mark.parametrize(
    "record", [{"file_name": "a.png"}, {"id": 1}, {"id": [], "file_name": "a"}, 3]
)
def test_a_picture_s_record_that_is_not_whole(tmp_path, record):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [record], "categories": [], "annotations": []}))
    with pytest.raises(ValueError, match="a picture, a category or an annotation is not whole"):
        coco.Coco(path)
