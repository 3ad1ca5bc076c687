"""Masks of every kind become the classes that they show: `fcn new`, read back by the data layer."""

import json

import numpy as np
import pytest
from own_folders import COLOURS, colours, corners, grey, labelme, new, palette, values, write
from PIL import Image

from fcn.cli import main
from fcn.datasets.registry import own_readers
from fcn.new import shapes
from fcn.vis import make_palette

NAMES = [f"p{k}" for k in range(8)]
LIST = "ground\ntree 200,30,60\nhouse\n"


def read_back(folder):
    """Name -> labels, as the nets of FOLDER/mine read them."""
    return {
        id: layer.load("label", id)[0]
        for _, layer in own_readers(folder / "mine")
        for id in layer.read_split()
    }


def same(folder, truth):
    found = read_back(folder)
    assert found.keys() == truth.keys()
    for name, labels in truth.items():
        np.testing.assert_array_equal(found[name], labels)


def classes(folder):
    return (folder / "mine/classes.txt").read_text().splitlines()


# ---- masks that hold classes


@pytest.mark.parametrize("save", [grey, palette])
@pytest.mark.parametrize("end, ending", [("", ".png"), ("_mask", ".PNG")])
def test_class_indices_are_used_where_they_are(tmp_path, save, end, ending, capsys):
    truth = write(tmp_path, NAMES, save, end=end, ending=ending)
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and "as they are" in out and not (tmp_path / "mine/masks").exists()
    assert ("'_mask' behind" if end else "has its picture's name") in out
    same(tmp_path, truth)
    assert classes(tmp_path) == ["background", "class 1", "class 2"]


def test_255_is_void(tmp_path, capsys):
    write(tmp_path, NAMES, values(0, 1, 255))
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and "255 is void" in out and "255 void" in out
    assert set(np.unique(np.stack(list(read_back(tmp_path).values())))) == {0, 1, 255}


# ---- masks that do not


def bits(labels, path):
    Image.fromarray(labels == 1).save(path)


def wide(labels, path):
    Image.fromarray(labels.astype(np.uint16) * 300).save(path)


def transparent(labels, path):
    rgba = np.dstack([COLOURS[labels], np.where(labels, 255, 0).astype(np.uint8)])
    rgba[labels == 0, :3] = 77  # whatever lies under what is transparent
    Image.fromarray(rgba).save(path)


def grey_in_three_channels(labels, path):
    Image.fromarray(np.repeat((labels * 255)[..., None], 3, axis=2)).save(path)


@pytest.mark.parametrize(
    "save, count, arguments",
    [
        (values(0, 255), 2, []),  # the commonest binary form
        (values(0, 7), 2, []),
        (bits, 2, []),
        (grey_in_three_channels, 2, []),
        (colours, 2, []),  # black and another
        (wide, 3, ["--map", "0=0", "300=1", "600=2"]),
        (values(3, 0, 9), 3, ["--map", "3=0", "0=1", "9=2"]),
        (colours, 3, ["--map", "0,0,0=0", "200,30,60=1", "10,180,90=2"]),
        (colours, 3, ["--map", "0,0,0=ground", "#c81e3c=tree", "10,180,90=house"]),
        (transparent, 3, ["--map", "0,0,0=0", "200,30,60=1", "10,180,90=2"]),
    ],
)
def test_masks_become_classes(tmp_path, save, count, arguments, capsys):
    truth = write(tmp_path, NAMES, save, classes=count)
    before = {path: path.read_bytes() for path in (tmp_path / "masks").iterdir()}
    status, out = new(tmp_path, *arguments, capsys=capsys)
    assert status == 0, out
    same(tmp_path, truth)
    assert before == {path: path.read_bytes() for path in (tmp_path / "masks").iterdir()}
    with Image.open(tmp_path / "mine/masks/p0.png") as image:
        assert image.mode == "P"
    assert len(classes(tmp_path)) == count


LISTS = {
    "ground 0,0,0\ntree 200,30,60\nhouse 10 180 90\n": colours,
    "# label:color_rgb:parts:actions\nground:0,0,0::\ntree:200,30,60::\nhouse:10,180,90::\n": colours,
    "0 0 0\tground\n200 30 60\ttree\n10 180 90\thouse\n": palette,
    "#000000 ground\n#c81e3c tree\n#0ab45a house\n": palette,
    "Pixel Value, Class\n5, ground\n0, tree\n7, house\n": values(5, 0, 7),
    "ground\ntree\nhouse\n": grey,
    "ground 5\nvoid 255\ntree 0\nhouse 7\n": values(5, 0, 7),
}


@pytest.mark.parametrize("text", LISTS)
def test_lists_of_classes(tmp_path, text, capsys):
    truth = write(tmp_path, NAMES, LISTS[text])
    (tmp_path / "list").write_text(text)
    status, out = new(tmp_path, "--classes", tmp_path / "list", capsys=capsys)
    assert status == 0, out
    same(tmp_path, truth)
    assert classes(tmp_path) == ["ground", "tree", "house"]


def test_void_in_the_middle_of_a_list_is_no_class(tmp_path, capsys):
    truth = write(tmp_path, NAMES, grey)
    (tmp_path / "list").write_text("ground\nvoid\nhouse\n")
    status, out = new(tmp_path, "--classes", tmp_path / "list", capsys=capsys)
    assert status == 0 and classes(tmp_path) == ["ground", "house"]
    same(tmp_path, {name: np.array([0, 255, 1])[labels] for name, labels in truth.items()})


def test_one_rgb_mask_among_palette_masks(tmp_path, capsys):
    """It is told by the colours that the palettes give the classes."""
    truth = write(tmp_path, NAMES, palette)
    colours(truth["p3"], tmp_path / "masks/p3.png")
    (tmp_path / "list").write_text("ground 0,0,0\ntree 200,30,60\nhouse 10,180,90\n")
    status, out = new(tmp_path, "--classes", tmp_path / "list", capsys=capsys)
    assert status == 0, out
    same(tmp_path, truth)


def test_palettes_that_do_not_agree_go_by_colours(tmp_path, capsys):
    truth = write(tmp_path, NAMES, palette)
    image = Image.fromarray((3 - truth["p3"]).astype(np.uint8), "P")
    image.putpalette(COLOURS[[3, 2, 1, 0]].tobytes())
    image.save(tmp_path / "masks/p3.png")
    (tmp_path / "list").write_text("ground 0,0,0\ntree 200,30,60\nhouse 10,180,90\n")
    status, out = new(tmp_path, "--classes", tmp_path / "list", capsys=capsys)
    assert status == 0, out
    same(tmp_path, truth)


def test_grey_masks_that_a_program_made_smaller(tmp_path, capsys):
    """0 and 255 as indices 0 and 1 of a palette of greys, beside those as they were."""
    truth = write(tmp_path, NAMES, values(0, 255), classes=2)
    image = Image.fromarray(truth["p1"], "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(tmp_path / "masks/p1.png")
    assert new(tmp_path, capsys=capsys)[0] == 0
    same(tmp_path, truth)


def test_permuted_palettes_are_told(tmp_path, capsys):
    def save(labels, path):
        image = Image.fromarray(labels, "P")
        image.putpalette(make_palette(3)[[0, 2, 1]].tobytes())
        image.save(path)

    write(tmp_path, NAMES, save)
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and "another order: 1 has that of 2" in out


# ---- JSON


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


# ---- a tree like VOC's


def test_a_tree_like_voc_s(tmp_path, capsys):
    truth = write(tmp_path / "VOC", [*NAMES, "spare"], colours)
    tree = tmp_path / "VOC"
    (tree / "pictures").rename(tree / "JPEGImages")
    (tree / "masks").rename(tree / "SegmentationClass")
    (tree / "SegmentationClass/spare.png").unlink()
    (tree / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nb:10,180,90::\na:200,30,60::\n"
    )
    lists = tree / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("p1\np0\np2\n")
    (lists / "val.txt").write_text("p5\n")
    assert main(["new", str(tmp_path / "mine"), "--images", str(tree)]) == 0
    out = capsys.readouterr().out
    assert "1 picture without a mask do" in out and "split as in" in out
    assert (tmp_path / "mine/train.txt").read_text() == "p1\np0\np2\n"
    assert classes(tmp_path) == ["background", "b", "a"]
    found = read_back(tmp_path)
    assert found.keys() == {"p0", "p1", "p2", "p5"}
    np.testing.assert_array_equal(found["p5"], np.array([0, 2, 1])[truth["p5"]])
