"""VOC's and SBD's layers against a straightforward reading; seg11valid."""

import numpy as np
import pytest
from PIL import Image
from trees import (
    MEAN,
    SIZES,
    bgr_minus,
    build,
    digest,
    fails,
    lines,
    palette_png,
    pattern,
    text,
    visit,
    voc_params,
)

from caffe.proto import caffe_pb2
from fcn.datasets import voc as voc_module
from fcn.datasets.voc import SBDDSegDataLayer, VOCSegDataLayer


def test_voc(voc):
    layer, blobs = build(VOCSegDataLayer, voc_params(voc))
    for id, (data, label) in zip([*SIZES, "a"], visit(layer, blobs, 4)):
        expected = bgr_minus(voc / f"JPEGImages/{id}.jpg", MEAN)
        np.testing.assert_array_equal(data, expected)
        expected = np.array(Image.open(voc / f"SegmentationClass/{id}.png"))[None, None]
        np.testing.assert_array_equal(label, expected)
        assert set(np.unique(label)) >= {0, 20, 255}
    assert layer.load_image("b").shape == (3, 47, 39)
    assert layer.load_label("b").shape == (1, 47, 39)


def test_voc_channels_are_bgr(tmp_path):
    path = tmp_path / "JPEGImages/x.png"
    path.parent.mkdir()
    Image.new("RGB", (3, 2), (10, 20, 30)).save(path)
    layer = VOCSegDataLayer(caffe_pb2.LayerParameter(name="data", type="Python"))
    layer.files = {"data": str(path)}
    layer.mean = (1, 2, 3)
    np.testing.assert_array_equal(layer.load_image("x")[:, 0, 0], [29, 18, 7])


def test_sbd(sbd):
    params = {"sbdd_dir": str(sbd), "split": "train", "mean": MEAN, "randomize": False}
    layer, blobs = build(SBDDSegDataLayer, params)
    for k, (id, (data, label)) in enumerate(zip(SIZES, visit(layer, blobs, 3))):
        np.testing.assert_array_equal(data, bgr_minus(sbd / f"img/{id}.jpg", MEAN))
        np.testing.assert_array_equal(label[0, 0], pattern(SIZES[id], [0, 3 + k, 20]))


def test_split_under_the_name_of_the_originals_scripts(voc):
    layer, _ = build(VOCSegDataLayer, voc_params(voc, split="segvalid11"))
    assert layer.indices == list(SIZES)


def test_rgb_label(voc):
    Image.new("RGB", (83, 61)).save(voc / "SegmentationClass/a.png")
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a.png", "RGB", "palette")


def test_label_out_of_range(voc):
    palette_png(voc / "SegmentationClass/a.png", pattern((61, 83), [0, 21, 94, 255]))
    fails(VOCSegDataLayer, voc_params(voc), ValueError, "a.png", "21, 94", "0 to 20")
    build(VOCSegDataLayer, voc_params(voc, classes=95))  # a set of one's own


@pytest.mark.parametrize("mean", [(1, 2), "grey", (1, 2, 3, 4)])
def test_mean(voc, mean):
    params = voc_params(voc) | {"mean": mean}
    fails(VOCSegDataLayer, params, ValueError, "three numbers", repr(mean))


# ---- preparation


def pascal(folder, year="VOC2011"):
    """VOC's and SBD's lists: b is in SBD's training set, d in VOC2012 only."""
    text(folder / f"pascal/{year}/ImageSets/Segmentation/val.txt", "a", "b", "c", "d")
    tree = (
        folder / voc_module.VOC.trees[0].folders["sbdd_dir"][0]
    )  # where data.fetch and the nets have it
    text(tree / "train.txt", "b", "x")
    text(tree / "val.txt", "a", "c", "y")
    return folder


def test_seg11valid(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(voc_module, "SEG11VALID", digest("a", "c", "d"))
    voc_module.prepare(pascal(tmp_path))
    places = "pascal/VOC2011/ImageSets/Segmentation/seg11valid", "pascal/seg11valid", "segvalid11"
    for place in places:  # the last two are the original's
        assert lines(tmp_path / f"{place}.txt") == list("acd")
    assert "3 ids, as published" in capsys.readouterr().out
    monkeypatch.setattr(voc_module, "SEG11VALID", digest("a", "b"))
    voc_module.prepare(tmp_path)
    assert "3 ids, NOT the 2 published" in capsys.readouterr().out


def test_voc2012_stands_in(tmp_path):
    voc_module.prepare(pascal(tmp_path, "VOC2012"))
    assert lines(tmp_path / "pascal/VOC2011/ImageSets/Segmentation/seg11valid.txt") == ["a", "c"]
    voc_module.prepare(tmp_path)  # again
    assert (tmp_path / "pascal/VOC2011").is_symlink()
