"""LabelMe's and COCO's annotations become the classes that they show."""

import json

import numpy as np
import pytest
from own_folders import classes, corners, grey, labelme, new, read_back, refused, same, write

from fcn.new import shapes

NAMES = [f"p{k}" for k in range(8)]


def test_labelme(tmp_path, capsys):
    truth = write(tmp_path, NAMES, labelme("tree", "house"), ending=".json")
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and "by the labels' names" in out
    assert classes(tmp_path) == ["background", "house", "tree"]
    found = read_back(tmp_path)
    for name, labels in truth.items():
        boxes = np.zeros_like(labels)
        for value, number in ((1, 2), (2, 1)):  # the later on top
            rows, columns = np.nonzero(labels == value)
            if rows.size:
                boxes[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = number
        np.testing.assert_array_equal(found[name], boxes)


def test_labelme_beside_the_pictures_with_a_list(tmp_path, capsys):
    write(tmp_path, NAMES, labelme("tree", "house"), ending=".json", picture=".png")
    for path in (tmp_path / "masks").iterdir():
        path.rename(tmp_path / "pictures" / path.name)
    shape = {"label": "dog", "shape_type": "circle", "points": [[15, 12], [15, 15]]}
    line = {"label": "rope", "shape_type": "linestrip", "points": [[1, 1], [9, 9]]}
    path = tmp_path / "pictures/p0.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"shapes": [*content["shapes"], shape, line]}))
    (tmp_path / "list").write_text("__ignore__\n_background_\nhouse\ntree\n")
    folders = ["--masks", tmp_path / "pictures", "--classes", tmp_path / "list"]
    status, out = new(tmp_path, *folders, capsys=capsys)
    assert status == 2 and "1 label that no class has" in out and "dog" in out
    status, out = new(tmp_path, *folders, "--map", "dog=void", capsys=capsys)
    assert status == 0 and "1 shape has no area" in out
    assert classes(tmp_path) == ["background", "house", "tree"]
    inside = read_back(tmp_path)["p0"] == 255
    assert inside.sum() == 32 and inside[12, 15] and not inside[12, 18]  # pi 3^2, by centres


def run_lengths(inside):
    """COCO's code of pixels, as a list of counts."""
    flat = np.r_[0, inside.T.ravel().astype(int)]
    changes = np.flatnonzero(np.diff(flat))
    return np.diff(np.r_[0, changes, flat.size - 1]).tolist()


def compressed(counts):
    """COCO's text of run lengths, written from its description."""
    text = ""
    for at, count in enumerate(counts):
        value = count - (counts[at - 2] if at > 2 else 0)
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if more else bits))
    return text


def coco(folder, truth, code):
    """COCO's file: a region of each class, as `code(pixels)` states it."""
    images = [{"id": 50 + k, "file_name": f"train/{n}.jpg"} for k, n in enumerate(truth)]
    annotations = [
        {"image_id": 50 + k, "category_id": 10 * value, "segmentation": code(labels == value)}
        for k, labels in enumerate(truth.values())
        for value in (1, 2)
        if (labels == value).any()
    ]
    categories = [{"id": 20, "name": "apple"}, {"id": 10, "name": "zebra"}]
    (folder / "coco.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )


@pytest.mark.parametrize("text", [False, True])
def test_coco_run_lengths(tmp_path, text, capsys):
    def code(inside):
        counts = run_lengths(inside)
        return {"size": list(inside.shape), "counts": compressed(counts) if text else counts}

    truth = write(tmp_path, NAMES, grey)
    coco(tmp_path, truth, code)
    status, out = new(tmp_path, "--masks", tmp_path / "coco.json", capsys=capsys)
    assert status == 0 and "coco.json names the pictures" in out
    assert classes(tmp_path) == ["background", "zebra", "apple"]  # by their numbers
    same(tmp_path, truth)


def test_coco_polygons_crowds_and_order(tmp_path, capsys):
    truth = write(tmp_path, ["p0", "p1"], grey)
    coco(tmp_path, truth, lambda inside: [np.ravel(corners(inside)).tolist()])
    content = json.loads((tmp_path / "coco.json").read_text())

    def region(category, x0, y0, x1, y1, **more):
        box = [x0, y0, x1, y0, x1, y1, x0, y1]
        return {"image_id": 50, "category_id": category, "segmentation": [box], **more}

    content["annotations"] = [
        region(10, 0, 0, 20, 20),
        region(20, 10, 10, 25, 22),  # on top of the first
        region(10, 0, 0, 30, 24, iscrowd=1),  # beneath all
        *[each for each in content["annotations"] if each["image_id"] == 51],
    ]
    (tmp_path / "coco.json").write_text(json.dumps(content))
    assert new(tmp_path, "--masks", tmp_path / "coco.json", capsys=capsys)[0] == 0
    expected = np.full((24, 30), 1)
    expected[10:22, 10:25] = 2
    np.testing.assert_array_equal(read_back(tmp_path)["p0"], expected)


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "not JSON"),
        ("[]", "no object"),
        ('{"images": []}', "no annotations, no categories"),
        ('{"shapes": []}', "name their folder"),
        (
            '{"images": [], "categories": [], "annotations": [{"image_id": 1, "bbox": []}]}',
            "boxes alone",
        ),
        ('{"images": [], "categories": [{"name": "a"}], "annotations": []}', "not whole: 'id'"),
    ],
)
def test_what_is_no_coco_file(tmp_path, content, words, capsys):
    write(tmp_path, NAMES, grey)
    (tmp_path / "coco.json").write_text(content)
    status, out = new(tmp_path, "--masks", tmp_path / "coco.json", capsys=capsys)
    assert status == 2 and words in out and "coco.json" in out and "Traceback" not in out


@pytest.mark.parametrize(
    "change, words",
    [
        ({"category_id": 7}, "annotation 3 of p0.jpg has category 7; there are 10, 20"),
        ({"segmentation": {"size": [24, 30], "counts": [1, 2]}}, "make 3 pixels, not 24 x 30"),
        ({"segmentation": {"size": [24, 30]}}, "annotation 3 of p0.jpg cannot be drawn: it has no"),
        ({"segmentation": [[1, 2, 3]]}, "annotation 3 of p0.jpg cannot be drawn"),
        ({"segmentation": [["a", "b"]]}, "annotation 3 of p0.jpg cannot be drawn"),
    ],
)
def test_a_region_that_cannot_be_drawn_is_named(tmp_path, change, words, capsys):
    truth = write(tmp_path, NAMES, grey)
    coco(tmp_path, truth, lambda inside: [np.ravel(corners(inside)).tolist()])
    content = json.loads((tmp_path / "coco.json").read_text())
    named = next(record["file_name"] for record in content["images"] if record["id"] == 50)
    content["annotations"][0] |= {"id": 3} | change
    (tmp_path / "coco.json").write_text(json.dumps(content))
    status, out = new(tmp_path, "--masks", tmp_path / "coco.json", capsys=capsys)
    assert status == 2 and words.replace("p0.jpg", named) in out


def test_a_shape_that_cannot_be_drawn_is_named(tmp_path, capsys):
    write(tmp_path, NAMES, labelme("tree", "house"), ending=".json")
    file = tmp_path / "masks/p0.json"
    content = json.loads(file.read_text())
    content["shapes"][1]["points"] = [["a", 1], [2, 3], [4, 5]]
    file.write_text(json.dumps(content))
    status, out = new(tmp_path, capsys=capsys)
    assert status == 2 and "p0.json" in out and "shape 2 (" in out and "cannot be drawn" in out


def test_polygons_cover_the_pixels_whose_centres_they_hold():
    triangle = shapes.polygon([(0, 0), (6, 0), (0, 6)], 6, 8)
    rows, columns = np.mgrid[:6, :8]
    np.testing.assert_array_equal(triangle, rows + columns + 1 < 6)
    bow = shapes.polygon([(0, 0), (4, 4), (4, 0), (0, 4)], 4, 4)
    assert bow[1, 0] and bow[2, 3] and not bow[0, 1] and not bow[3, 2]
    outside = shapes.polygon([(-5, -5), (99, -5), (99, 99), (-5, 99)], 3, 4)
    assert outside.all()
    with pytest.raises(ValueError, match="make 5 pixels, not 2 x 3"):
        shapes.runs([2, 3], 2, 3)


def test_coco_boxes_without_an_outline_are_not_background_in_silence(tmp_path, capsys):
    truth = write(tmp_path, NAMES, grey)
    coco(tmp_path, truth, lambda inside: [np.ravel(corners(inside)).tolist()])
    content = json.loads((tmp_path / "coco.json").read_text())
    for each in content["annotations"]:
        if each["image_id"] == 51:
            del each["segmentation"]
            each |= {"id": 7, "bbox": [1, 1, 5, 5]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    out = refused(tmp_path, "--masks", tmp_path / "coco.json", capsys=capsys)
    assert "annotation 7 of train/p1.jpg is a box without an outline" in out
    status, out = new(tmp_path, "--masks", tmp_path / "coco.json", "--skip", capsys=capsys)
    assert status == 0 and "left out" in out and "p1" not in read_back(tmp_path)


def test_coco_pictures_without_an_annotation_are_told(tmp_path, capsys):
    truth = write(tmp_path, NAMES, grey)
    coco(tmp_path, truth, lambda inside: [np.ravel(corners(inside)).tolist()])
    content = json.loads((tmp_path / "coco.json").read_text())
    content["annotations"] = [e for e in content["annotations"] if e["image_id"] != 51]
    (tmp_path / "coco.json").write_text(json.dumps(content))
    status, out = new(tmp_path, "--masks", tmp_path / "coco.json", capsys=capsys)
    assert status == 0 and "1 picture without an annotation: train/p1.jpg" in out


def test_labels_that_differ_in_case_or_spaces_are_told(tmp_path, capsys):
    write(tmp_path, NAMES, labelme("cat", "Cat "), ending=".json")
    status, out = new(tmp_path, capsys=capsys)
    assert (
        status == 0 and "'Cat ' and 'cat' differ in case or spaces alone, and are 2 classes" in out
    )
