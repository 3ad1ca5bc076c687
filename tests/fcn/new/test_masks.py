"""Masks of every kind become the classes that they show: `fcn new`, read back by the data layer."""

import numpy as np
import pytest
from own_folders import (
    COLOURS,
    classes,
    colours,
    grey,
    new,
    palette,
    read_back,
    same,
    values,
    write,
)
from PIL import Image

from fcn.cli import main
from fcn.vis import make_palette

NAMES = [f"p{k}" for k in range(8)]
LIST = "ground\ntree 200,30,60\nhouse\n"


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
