"""`fcn data check` on small trees in the sets' real formats."""

import shutil

import numpy as np
import pytest
from PIL import Image
from trees import SIZES, palette_png, pattern, text

from fcn.cli import main


@pytest.mark.parametrize("name", ["voc", "nyud", "siftflow", "pascalcontext"])
def test_nothing_there(name, tmp_path, capsys):
    assert main(["data", "prepare", name, "--to", str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert (
        text.startswith("fcn data prepare: ")
        and str(tmp_path) in text
        and f"data/{name}/README.md" in text
    )
    assert main(["data", "check", name, str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert str(tmp_path) in text and f"data/{name}/README.md" in text


def checked(name, folder, capsys):
    status = main(["data", "check", name, str(folder)])
    return status, capsys.readouterr().out


def test_check_finds_nothing(whole_voc, capsys):
    status, out = checked("voc", whole_voc, capsys)
    assert status == 0 and "no problems" in out
    assert out.count("3 pairs read") == 2
    sizes = [np.prod(size) for size in SIZES.values()]
    void = sum((pattern(size, [0, 20, 255, 7]) == 255).sum() for size in SIZES.values())
    assert f"255 void {void / sum(sizes):20.4%}".split()[-1] in out
    for part in ("pascal/VOC2011", "sbdd/dataset"):  # a tree by itself
        status, out = checked("voc", whole_voc / part, capsys)
        assert status == 0 and out.count("3 pairs read") == 1


def test_check_finds_everything(whole_voc, capsys):
    tree = whole_voc / "pascal/VOC2011"
    (tree / "JPEGImages/a.jpg").unlink()
    palette_png(tree / "SegmentationClass/b.png", pattern((47, 38), [0, 20]))
    palette_png(tree / "SegmentationClass/c.png", pattern((30, 101), [0, 22, 77]))
    (whole_voc / "sbdd/dataset/cls/a.mat").write_bytes(b"cut")
    text(whole_voc / "sbdd/dataset/train.txt", "a", "b", "b")
    status, out = checked("voc", whole_voc, capsys)
    assert status == 1 and "5 problems" in out
    for word in ("missing: ", "a.jpg", "b: sizes differ", "47x39", "47x38", "22, 77", "a.mat"):
        assert word in out
    assert "ids that are there twice: b" in out


def test_check_finds_swapped_channels(whole_voc, capsys):
    for image in whole_voc.rglob("*.jpg"):
        with Image.open(image) as opened:
            Image.merge("RGB", opened.split()[::-1]).save(image)
    status, out = checked("voc", whole_voc, capsys)
    assert status == 1 and "channels in another order" in out


def test_check_nyud(nyud, capsys):
    for id, size in SIZES.items():
        Image.new("RGB", size[::-1], (92, 97, 116)).save(nyud / f"data/images/img_{id}.png")
        Image.new("RGB", size[::-1], (132, 94, 118)).save(nyud / f"data/hha/img_{id}.png")
    text(nyud / "trainval.txt", *SIZES)
    status, out = checked("nyud", nyud.parent, capsys)
    assert status == 0 and "depth[0] mean" in out and "hha[2] mean  118.000" in out
    shutil.rmtree(nyud / "data/hha")
    status, out = checked("nyud", nyud, capsys)  # the folder itself; HHA is not asked for
    assert status == 0 and f"hha: no folder {nyud}/data/hha, so nets" in out and "hha[" not in out
    centimetres = Image.fromarray(pattern(SIZES["b"], [70, 255, 900]).astype(np.uint16))
    centimetres.save(nyud / "data/depth/img_b.png")
    status, out = checked("nyud", nyud, capsys)
    assert status == 1 and "img_b.png: median depth 255: not in millimetres" in out


def test_check_siftflow_and_context(siftflow, context, capsys):
    text(siftflow / "trainval.txt", "a")
    out = checked("siftflow", siftflow.parent, capsys)[1]
    assert "geo: share of the pixels" in out and "vertical" in out
    text(context / "pascal/VOC2010/ImageSets/Main/train.txt", "a")
    out = checked("pascalcontext", context, capsys)[1]
    assert out.count(" read\n") == 2 and "1 pair read" in out and "59 wood" in out


def test_check_says_what_masks_are(whole_voc, capsys):
    """The same words as before training: RGB masks with the way out, binary ones by all labels."""
    tree = whole_voc / "pascal/VOC2011/SegmentationClass"
    for id, size in SIZES.items():
        palette_png(tree / f"{id}.png", pattern(size, [0, 255]))
    status, out = checked("voc", whole_voc, capsys)
    assert status == 1 and "1 problem\n" in out and "masks look binary" in out
    with Image.open(tree / "a.png") as image:
        image.convert("RGB").save(tree / "a.png")
    out = checked("voc", whole_voc, capsys)[1]
    assert "a.png: label is a RGB picture" in out and "save class indices, not colours" in out


def test_missing_split_is_a_problem(whole_voc, capsys):
    """It is told, and the lists that are there are read."""
    lists = whole_voc / "pascal/VOC2011/ImageSets/Segmentation"
    (lists / "seg11valid.txt").unlink()
    (lists / "train.txt").rename(lists / "val.txt")
    text(lists / "notes.txt", "about the set")
    palette_png(lists.parents[1] / "SegmentationClass/c.png", pattern((30, 101), [0, 22]))
    status, out = checked("voc", whole_voc, capsys)
    assert status == 1 and "no split 'seg11valid'" in out
    assert "VOCSegDataLayer val: 2 pairs read" in out and "22 are out of range" in out
    assert "notes" not in out
