"""NYUDv2's layer against a straightforward reading; its lists and the conversion of the .mat files."""

import h5py
import numpy as np
import pytest
from PIL import Image
from trees import SIZES, bgr_minus, build, digest, fails, lines, mat, pattern, text, visit

from fcn.datasets import nyud as nyud_module
from fcn.datasets.dataset import DataError
from fcn.datasets.nyud import NYUDSegDataLayer
from fcn.datasets.registry import readers


def test_nyud_all_tops(nyud):
    tops = ["color", "depth", "hha", "label"]
    params = {"nyud_dir": str(nyud), "split": "test", "tops": tops, "seed": 1337}
    layer, blobs = build(NYUDSegDataLayer, params, tops=4)
    for k, (id, (color, depth, hha, label)) in enumerate(zip(SIZES, visit(layer, blobs, 3))):
        image = nyud / f"data/images/img_{id}.png"
        np.testing.assert_array_equal(color, bgr_minus(image, (116.190, 97.203, 92.318)))
        metres = pattern(SIZES[id], [700 + k, 2550, 9000 + k])
        np.testing.assert_allclose(depth[0, 0], np.log(metres) - 7.844, rtol=0, atol=2e-6)
        stored = np.array(Image.open(nyud / f"data/hha/img_{id}.png")).astype(np.float64)
        for channel, mean in enumerate((132.431, 94.076, 118.477)):
            expected = (stored[:, :, channel] - mean).astype(np.float32)
            np.testing.assert_array_equal(hha[0, channel], expected)
        np.testing.assert_array_equal(label[0, 0], pattern(SIZES[id], [255, 0, 39, 11 + k]))


def test_nyud_tops_in_the_order_asked(nyud):
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["label", "hha"]}
    layer, blobs = build(NYUDSegDataLayer, params)
    assert [blob.data.shape[1] for blob in blobs] == [1, 3]
    assert list(layer.tops) == ["label", "hha"]


def test_no_hha(nyud):
    for path in (nyud / "data/hha").iterdir():
        path.unlink()
    (nyud / "data/hha").rmdir()
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["hha", "label"]}
    fails(NYUDSegDataLayer, params, FileNotFoundError, "HHA", "data/hha", "data/nyud/README.md")
    build(NYUDSegDataLayer, params | {"tops": ["color", "label"]})


@pytest.mark.parametrize(
    "values, word",
    [([2, 3, 1], "millimetres"), ([250, 190], "millimetres"), ([25500, 19000], "millimetres"),
     ([1500, 0], "0 at")],
)  # fmt: skip
def test_wrong_depth(nyud, values, word):
    depth = pattern(SIZES["a"], values).astype(np.uint16)
    Image.fromarray(depth).save(nyud / "data/depth/img_a.png")
    params = {"nyud_dir": str(nyud), "split": "test", "tops": ["depth", "label"]}
    fails(NYUDSegDataLayer, params, ValueError, "img_a.png", word)


# ---- preparation


def test_nyud_lists(tmp_path, monkeypatch, capsys):
    for split, ids in (("train", "35"), ("val", "4"), ("test", "12")):
        monkeypatch.setitem(nyud_module.SPLITS, split, digest(*ids))
        text(tmp_path / f"nyud/{split}.txt", *ids)
    (tmp_path / "nyud/segmentation").mkdir()
    nyud_module.prepare(tmp_path)
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
    nyud_module.prepare(tmp_path)
    root = tmp_path / "nyud"
    for i in range(2):
        found = np.array(Image.open(root / f"data/images/img_{5001 + i}.png"))
        assert found.shape == (425, 560, 3)
        np.testing.assert_array_equal(found[3, 8], images[i, :, 48, 48])
        np.testing.assert_array_equal(found[424, 559], images[i, :, 599, 469])
    layer = readers("nyud", tmp_path)[0].layer
    expected = np.array([255, 6, 39, 0])[labels[1, 40:600, 45:470].T]
    np.testing.assert_array_equal(layer.load_label("5002")[0], expected)
    millimetres = np.round(depths[1, 40:600, 45:470].T * 1000)
    np.testing.assert_allclose(layer.load_depth("5002")[0], np.log(millimetres) - 7.844, atol=1e-6)
    assert lines(root / "trainval.txt") == ["5001", "5002"]
    (root / "test.txt").unlink()  # as if it had been interrupted: the lists are written last
    (root / "data/images/img_5002.png").unlink()
    nyud_module.prepare(tmp_path)
    assert lines(root / "test.txt") == ["5002"] and (root / "data/images/img_5002.png").is_file()


def test_nyud_without_the_mapping(tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/nyu_depth_v2_labeled.mat").write_bytes(b"")
    with pytest.raises(DataError, match="classMapping40.mat.*data/nyud/README.md"):
        nyud_module.prepare(tmp_path)
