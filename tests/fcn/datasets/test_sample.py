"""The embedded task: its scenes, its classifier's crops, the scaling of layers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from trees import build

from fcn.cli import main
from fcn.datasets.sample import CLASSES, MEAN, scenes
from fcn.datasets.sample.draw import SPLITS, write
from fcn.datasets.sample.layers import DigitCropDataLayer
from fcn.datasets.voc import SBDDSegDataLayer, VOCSegDataLayer

FEW = {"train": ("sbd", "train", 4), "seg11valid": ("voc", "val", 3), "infer": ("voc", "infer", 1)}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scenes"), seed=3, splits=FEW)


def test_scenes_through_the_data_layers(out):
    """Both trees are read by VOC's own layers and hold what was drawn."""
    shared = {"mean": MEAN, "classes": len(CLASSES), "randomize": False}
    trees = {
        "train": (SBDDSegDataLayer, {"sbdd_dir": str(out / "sbd"), "split": "train"}),
        "seg11valid": (VOCSegDataLayer, {"voc_dir": str(out / "voc"), "split": "seg11valid"}),
    }
    for number, (split, (kind, params)) in enumerate(trees.items()):
        layer, blobs = build(kind, params | shared)
        _, role, count = FEW[split]
        assert len(layer.indices) == count
        rng = np.random.RandomState([3, number])
        for _ in range(count):
            layer.reshape([], blobs)
            layer.forward([], blobs)
            pixels, classes = scenes.scene(rng, role)
            data = blobs[0].data[0].transpose(1, 2, 0) + MEAN
            assert np.abs(data - pixels[:, :, ::-1]).mean() < 6  # JPEG
            expected = classes if split == "train" else scenes.with_borders(classes)
            np.testing.assert_array_equal(blobs[1].data[0, 0], expected)


def test_borders_are_void_on_both_sides():
    labels = np.zeros((5, 6), np.uint8)
    labels[:, 3:] = 4
    row = [0, 0, 255, 255, 4, 4]
    np.testing.assert_array_equal(scenes.with_borders(labels), [row] * 5)


def test_formats(out):
    with Image.open(next((out / "voc/SegmentationClass").iterdir())) as label:
        label.load()
    assert (label.mode, label.size) == ("P", (240, 180))
    assert label.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # VOC's colours
    assert label.getpalette()[60:63] == [0, 64, 128] and label.getpalette()[-3:] == [224, 224, 192]
    with Image.open(next((out / "sbd/img").iterdir())) as picture:
        assert picture.format == "JPEG"


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def test_one_seed_one_result(out, tmp_path):
    def bytes_of(folder):  # SciPy writes the time into a .mat file's header of 128 bytes
        found = files(folder)
        return {p: b[128:] if p.suffix == ".mat" else b for p, b in found.items()}

    (tmp_path / "voc/JPEGImages").mkdir(parents=True)
    (tmp_path / "voc/JPEGImages/left_over.jpg").write_bytes(b"of an earlier run")
    again = bytes_of(write(tmp_path, seed=3, splits=FEW))
    assert again == bytes_of(out)
    other = bytes_of(write(tmp_path, seed=4, splits=FEW))
    assert other.keys() == again.keys()
    pictures = [p for p in again if p.suffix == ".jpg"]
    assert len(pictures) == 8 and all(other[p] != again[p] for p in pictures)


def test_what_is_scored_was_not_trained_on():
    """No handwriting sample and no pixel of a photograph is in training and in what is scored."""
    tiles = {role: {t.tobytes() for t in scenes.digits(role)[0]} for role in scenes.ROLES}
    roles = list(tiles)
    for i, one in enumerate(roles):
        for other in roles[i + 1 :]:
            assert not tiles[one] & tiles[other]
    assert sum(len(scenes.digits(role)[1]) for role in roles) == 1797
    for role, columns in (
        ("train", slice(320, 640)),
        ("tune", slice(320, 640)),
        ("val", slice(320)),
    ):
        for half, image in zip(scenes.photographs(role), load_sample_images().images):
            brightness = half / np.maximum(image[:, columns], 1)
            assert half.shape == (427, 320, 3) and half.max() > 100
            assert brightness[image[:, columns] > 100].std() < 0.01


def test_digits_have_the_sizes_told():
    for size in (scenes.SMALLEST, scenes.LARGEST):
        assert scenes.ink(np.ones((8, 8)), size).shape == (size, size)
    rng = np.random.RandomState(0)
    found = set()
    for _ in range(60):
        pixels, classes = scenes.scene(rng, "train")
        found |= set(np.unique(classes))
        assert pixels[classes > 0].mean() > 180 > 160 > pixels[classes == 0].mean()
    assert found == set(range(11))


@pytest.mark.parametrize("y, x", [(-30, -20), (150, 200), (-5, 200), (60, 80)])
def test_digits_may_reach_over_the_border(y, x):
    pixels, labels = np.zeros((180, 240, 3), np.float32), np.zeros((180, 240), np.uint8)
    scenes.paste(pixels, labels, np.ones((64, 64)), 7, y, x, 240)
    expected = np.zeros((180, 240), bool)
    expected[max(y, 0) : y + 64, max(x, 0) : x + 64] = True
    np.testing.assert_array_equal(labels == 7, expected)
    np.testing.assert_array_equal(pixels[:, :, 1], 240 * expected)


def test_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SPLITS, "train", ("sbd", "train", 2))
    assert main(["data", "sample", "--out", str(tmp_path), "--seed", "1"]) == 0
    assert (tmp_path / "sbd/train.txt").read_text() == "train_0000\ntrain_0001\n"
    assert len((tmp_path / "voc/ImageSets/Segmentation/seg11valid.txt").read_text().split()) == 80
    (tmp_path / "file").write_text("")
    assert main(["data", "sample", "--out", str(tmp_path / "file")]) == 2
    error = capsys.readouterr().err
    assert "fcn data sample: " in error and str(tmp_path / "file") in error
    assert main(["data", "sample", "--seed", "-1"]) == 2


def test_crops():
    layer, blobs = build(DigitCropDataLayer, {"role": "train", "seed": 2, "batch": 16, "plain": 1})
    rng = np.random.RandomState([2, 0, 1])
    for batch in range(3):
        layer.forward([], blobs)
        for n in range(16):
            pixels, value = scenes.crop(rng, "train", 96, plain=batch == 0)
            expected = (
                pixels[:, :, ::-1].transpose(2, 0, 1) - np.array(MEAN, np.float32)[:, None, None]
            )
            np.testing.assert_array_equal(blobs[0].data[n], expected)
            assert blobs[1].data[n] == value
    with pytest.raises(ValueError, match="'test'"):
        build(DigitCropDataLayer, {"role": "test", "seed": 2})
