"""Masks that hold no classes: made by JPEG, by resizing, or with a number for each object."""

import io

import numpy as np
import pytest
from own_folders import COLOURS, new, refused, scene, write
from PIL import Image

NAMES = [f"p{k}" for k in range(8)]


def jpeg(labels, path):
    data = io.BytesIO()
    Image.fromarray(COLOURS[labels].repeat(4, 0).repeat(4, 1)).save(data, "JPEG", quality=80)
    path.write_bytes(data.getvalue())


def smooth(labels, path):
    big = Image.fromarray(COLOURS[labels]).resize((120, 96), Image.Resampling.BILINEAR)
    big.save(path)


@pytest.mark.parametrize(
    "save, ending, why",
    [(jpeg, ".jpg", "8 of them are JPEGs"), (jpeg, ".png", "JPEGs"), (smooth, ".png", "smoothed")],
)
def test_values_near_a_few(tmp_path, save, ending, why, capsys):
    truth = write(tmp_path, NAMES, save, ending=ending)
    for k, name in enumerate(NAMES):
        pixels = scene(k)[0].repeat(4, 0).repeat(4, 1)
        Image.fromarray(pixels).save(tmp_path / f"pictures/{name}.jpg")
    out = refused(tmp_path, capsys=capsys)
    assert "most of them near 3" in out and why in out and "--nearest --map 0,0,0=0" in out
    offered = out[out.index("--nearest") :].split()
    status, out = new(tmp_path, *offered, capsys=capsys)
    assert status == 0, out
    (tmp_path / "list").write_text("a 0,0,0\nb 200,30,60\nc 10,180,90\n")
    (tmp_path / "mine").rename(tmp_path / "first")
    status, out = new(tmp_path, "--nearest", "--classes", tmp_path / "list", capsys=capsys)
    assert status == 0, out
    for name, labels in truth.items():
        with Image.open(tmp_path / f"mine/masks/{name}.png") as image:
            found = np.asarray(image)
        wrong = found != labels.repeat(4, 0).repeat(4, 1)
        assert wrong.mean() < 0.06  # along the edges alone


def test_classes_that_jpeg_does_not_keep_apart(tmp_path, capsys):
    write(
        tmp_path, NAMES, lambda labels, path: Image.fromarray(labels * 3).save(path), ending=".jpg"
    )
    for arguments in ([], ["--map", "0=0", "*=1"], ["--nearest", "--map", "0=0", "3=1", "6=2"]):
        out = refused(tmp_path, *arguments, capsys=capsys)
        assert "8 masks are JPEGs" in out and "cannot be told apart" in out and "as PNG" in out


# ---- objects


def objects(labels, path):
    """Each rectangle has a number of its own, which runs through the set."""
    k = int(path.stem[1:])
    Image.fromarray(np.array([0, 2 * k + 20, 2 * k + 21])[labels].astype(np.uint8)).save(path)


def test_numbers_of_objects_are_no_classes(tmp_path, capsys):
    write(tmp_path, NAMES, objects)
    out = refused(tmp_path, capsys=capsys)
    assert "each object had a number of its own" in out and "smoothed" not in out
    status, out = new(tmp_path, "--map", "0=background", "*=object", capsys=capsys)
    assert status == 0 and "1 object" in out


def counting(labels, path):
    """As many stripes as the name says, numbered from 1."""
    found = np.zeros_like(labels)
    for number in range(1, int(path.stem[1:]) + 2):
        found[2 * number] = number
    Image.fromarray(found).save(path)


def test_numbers_of_objects_that_start_anew_in_each_mask(tmp_path, capsys):
    write(tmp_path, NAMES, counting)
    status, out = new(tmp_path, capsys=capsys)
    assert status == 0 and "note: in each mask the values count up from 1" in out
