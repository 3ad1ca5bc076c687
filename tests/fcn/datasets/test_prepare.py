"""fcn data prepare and fcn data check on small trees in the sets' real formats."""

import hashlib
import shutil

import h5py
import numpy as np
import pytest
from datasets import SCENES, SIZES, mat, palette_png, pattern, text
from PIL import Image

from fcn.command import main as fcn
from fcn.datasets import DATASETS
from fcn.datasets import nyud as nyud_set
from fcn.datasets import pascalcontext as context_set
from fcn.datasets import siftflow as siftflow_set
from fcn.datasets import voc as voc_set
from fcn.datasets.reading import readers
from fcn.datasets.record import DataError


def digest(*ids):
    return len(ids), hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def lines(path):
    return path.read_text().splitlines()


# Preparation


def pascal(folder, year="VOC2011"):
    """VOC's and SBD's lists: b is in SBD's training set, d in VOC2012 only."""
    text(folder / f"pascal/{year}/ImageSets/Segmentation/val.txt", "a", "b", "c", "d")
    tree = (
        folder / DATASETS["voc"].trees[0].folders["sbdd_dir"][0]
    )  # where fcn data fetch and the nets have it
    text(tree / "train.txt", "b", "x")
    text(tree / "val.txt", "a", "c", "y")
    return folder


def test_seg11valid(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(voc_set, "SEG11VALID", digest("a", "c", "d"))
    voc_set.prepare(pascal(tmp_path))
    places = "pascal/VOC2011/ImageSets/Segmentation/seg11valid", "pascal/seg11valid", "segvalid11"
    for place in places:  # the last two are the original's
        assert lines(tmp_path / f"{place}.txt") == list("acd")
    assert "3 ids, as published" in capsys.readouterr().out
    monkeypatch.setattr(voc_set, "SEG11VALID", digest("a", "b"))
    voc_set.prepare(tmp_path)
    assert "3 ids, NOT the 2 published" in capsys.readouterr().out


def test_voc2012_stands_in(tmp_path):
    voc_set.prepare(pascal(tmp_path, "VOC2012"))
    assert lines(tmp_path / "pascal/VOC2011/ImageSets/Segmentation/seg11valid.txt") == ["a", "c"]
    voc_set.prepare(tmp_path)  # again
    assert (tmp_path / "pascal/VOC2011").is_symlink()


@pytest.mark.parametrize("name", ["voc", "nyud", "siftflow", "pascalcontext"])
def test_nothing_there(name, tmp_path, capsys):
    assert fcn(["data", "prepare", name, "--to", str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert (
        text.startswith("fcn data prepare: ")
        and str(tmp_path) in text
        and f"data/{name}/README.md" in text
    )
    assert fcn(["data", "check", name, str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert str(tmp_path) in text
    assert f"data/{name}/README.md" in text


def test_nyud_lists(tmp_path, monkeypatch, capsys):
    for split, ids in (("train", "35"), ("val", "4"), ("test", "12")):
        monkeypatch.setitem(nyud_set.SPLITS, split, digest(*ids))
        text(tmp_path / f"nyud/{split}.txt", *ids)
    (tmp_path / "nyud/segmentation").mkdir()
    nyud_set.prepare(tmp_path)
    assert lines(tmp_path / "nyud/trainval.txt") == ["3", "4", "5"]
    assert capsys.readouterr().out.count("as published") == 3


def test_nyud_from_the_published_mat(tmp_path):
    """MATLAB stores axes reversed; cropped to rows 46-470 and columns 41-600; metres to mm."""
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    rng = np.random.RandomState(0)
    images = rng.randint(0, 256, (2, 3, 640, 480)).astype(np.uint8)
    depths = rng.uniform(0.7, 9.9, (2, 640, 480)).astype(np.float32)
    labels = rng.randint(0, 4, (2, 640, 480)).astype(np.uint16)
    with h5py.File(downloads / "nyu_depth_v2_labeled.mat", "w") as content:
        content.update({"images": images, "depths": depths, "labels": labels})
    mat(downloads / "classMapping40.mat", mapClass=np.array([[7, 40, 1]]))
    splits = {key: np.array([[id]]) for key, id in (("train", 5001), ("val", 5002), ("test", 5002))}
    mat(downloads / "nyusplits.mat", **splits)
    nyud_set.prepare(tmp_path)
    root = tmp_path / "nyud"
    for i in range(2):
        found = np.array(Image.open(root / f"data/images/img_{5001 + i}.png"))
        assert found.shape == (425, 560, 3)
        np.testing.assert_array_equal(found[3, 8], images[i, :, 48, 48])
        np.testing.assert_array_equal(found[424, 559], images[i, :, 599, 469])
    layer = readers("nyud", tmp_path)[0][2]
    expected = np.array([255, 6, 39, 0])[labels[1, 40:600, 45:470].T]
    np.testing.assert_array_equal(layer.load_label("5002")[0], expected)
    millimetres = np.round(depths[1, 40:600, 45:470].T * 1000)
    np.testing.assert_allclose(layer.load_depth("5002")[0], np.log(millimetres) - 7.844, atol=1e-6)
    assert lines(root / "trainval.txt") == ["5001", "5002"]
    (root / "test.txt").unlink()  # as if it had been interrupted: the lists are written last
    (root / "data/images/img_5002.png").unlink()
    nyud_set.prepare(tmp_path)
    assert lines(root / "test.txt") == ["5002"] and (root / "data/images/img_5002.png").is_file()


def test_nyud_without_the_mapping(tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/nyu_depth_v2_labeled.mat").write_bytes(b"")
    with pytest.raises(DataError, match="classMapping40.mat.*data/nyud/README.md"):
        nyud_set.prepare(tmp_path)


def test_siftflow_lists(siftflow, monkeypatch, capsys):
    """The list of test pictures is known by its content, whatever its name and slashes."""
    for name in ("highway_bost181", "street_urb506", "d"):
        shutil.copy(siftflow / f"Images/{SCENES}/a.jpg", siftflow / f"Images/{SCENES}/{name}.jpg")
    (siftflow / "test.txt").unlink()
    text(siftflow / "notes.txt", "about the set")
    text(siftflow / "A_TrainSet.txt", f"{SCENES}\\a.jpg")
    text(siftflow / "TestSet.txt", f"{SCENES}\\c.jpg", f"{SCENES}\\b.jpg")
    monkeypatch.setitem(siftflow_set.SPLITS, "test", digest("b", "c"))
    siftflow_set.prepare(siftflow.parent)
    assert lines(siftflow / "test.txt") == ["b", "c"]
    assert lines(siftflow / "trainval.txt") == ["a", "d"]
    assert "test: 2 ids, as published" in capsys.readouterr().out
    monkeypatch.undo()
    siftflow_set.prepare(siftflow.parent)  # another list than published: by its name
    assert lines(siftflow / "test.txt") == ["b", "c"]


def test_context_lists_of_labels(context):
    root = context / "pascal-context"
    shutil.move(root / "labels.txt", root / "trainval/labels.txt")
    text(context / "pascal/VOC2010/ImageSets/Main/train.txt", "a")
    context_set.prepare(context)
    assert len(lines(root / "labels.txt")) == 459
    (root / "59_labels.txt").unlink()
    with pytest.raises(DataError, match="59_labels.txt"):
        context_set.prepare(context)


# Checking


@pytest.fixture
def whole_voc(voc, sbd, tmp_path):
    """Both trees where the data folder has them."""
    (tmp_path / "data/pascal").mkdir(parents=True)
    (tmp_path / "data/sbdd").mkdir()
    shutil.move(voc, tmp_path / "data/pascal/VOC2011")
    shutil.move(sbd, tmp_path / "data/sbdd/dataset")
    for image in (tmp_path / "data").rglob("*.jpg"):  # grey levels around the mean expected
        with Image.open(image) as opened:
            size = opened.size
        Image.new("RGB", size, (123, 117, 104)).save(image, quality=95)
    return tmp_path / "data"


def checked(name, folder, capsys):
    status = fcn(["data", "check", name, str(folder)])
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
    assert out.count("pairs read") == 2 and "59 wood" in out


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


def test_upper_bound_of_a_set(whole_voc, capsys):
    assert fcn(["data", "upper-bound", "voc", str(whole_voc), "--strides", "1", "8"]) == 0
    table = capsys.readouterr().out
    assert "3 pictures" in table and "1    100.0" in table
