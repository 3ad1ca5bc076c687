"""Pictures of every kind that Pillow reads."""

import numpy as np
import pytest
from colours import BLUE, RED
from PIL import Image

from fcn import pictures


def save(image, path, **options):
    image.save(path, **options)
    return pictures.read_picture(path)


def test_plain_files(scene, tmp_path):
    image = Image.fromarray(scene)
    assert np.array_equal(save(image, tmp_path / "a.png"), scene)
    jpeg = save(image, tmp_path / "a.jpg", quality=95, subsampling=0)
    assert np.abs(jpeg.astype(int) - scene).mean() < 2
    assert np.array_equal(save(image, tmp_path / "a.bmp"), scene)
    palette = image.quantize(8)
    assert np.array_equal(save(palette, tmp_path / "p.png"), np.asarray(palette.convert("RGB")))


def test_grey_and_bilevel(tmp_path):
    ramp = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    grey = save(Image.fromarray(ramp), tmp_path / "l.png")
    assert np.array_equal(grey, np.repeat(ramp[..., None], 3, 2))
    bits = save(Image.fromarray(ramp > 100), tmp_path / "1.png")
    assert set(bits.ravel().tolist()) == {0, 255} and np.array_equal(bits[..., 0] > 0, ramp > 100)


def test_sixteen_bits_keep_their_brightness(tmp_path):
    ramp = np.array([[0, 257, 32896, 65535]], np.uint16)
    found = save(Image.fromarray(ramp), tmp_path / "16.png")
    assert found[0, :, 0].tolist() == [0, 1, 128, 255]
    found = save(Image.fromarray(ramp), tmp_path / "16.tiff")
    assert found[0, :, 2].tolist() == [0, 1, 128, 255]


def test_floating_point(tmp_path):
    fractions = np.array([[0, 0.5, 1]], np.float32)
    assert save(Image.fromarray(fractions), tmp_path / "f.tiff")[0, :, 0].tolist() == [0, 127, 255]
    bytes_ = np.array([[0, 77.2, 255]], np.float32)
    assert save(Image.fromarray(bytes_), tmp_path / "g.tiff")[0, :, 0].tolist() == [0, 77, 255]


def test_transparency_is_white(scene, tmp_path):
    rgba = np.dstack([scene, np.full(scene.shape[:2], 255, np.uint8)])
    rgba[:10, :, 3] = 0
    found = save(Image.fromarray(rgba), tmp_path / "rgba.png")
    assert (found[:10] == 255).all() and np.array_equal(found[10:], scene[10:])
    grey = np.zeros((2, 2, 2), np.uint8)
    grey[..., 1] = [[0, 255], [255, 0]]
    found = save(Image.fromarray(grey), tmp_path / "la.png")
    assert found[..., 0].tolist() == [[255, 0], [0, 255]]
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([*RED, *BLUE])
    found = save(image, tmp_path / "transparent.png", transparency=0)
    assert found[0].tolist() == [[255, 255, 255], list(BLUE)]


def test_cmyk(scene, tmp_path):
    found = save(Image.fromarray(scene).convert("CMYK"), tmp_path / "c.tiff")
    assert np.array_equal(found, scene)
    jpeg = save(
        Image.fromarray(scene).convert("CMYK"), tmp_path / "c.jpg", quality=95, subsampling=0
    )
    assert np.abs(jpeg.astype(int) - scene).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_upright(scene, tmp_path, orientation):
    """The eight ways a camera may have stored the scene, made by undoing what the tag says."""
    stored = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.transpose(1, 0, 2),
        6: np.rot90(scene),
        7: scene[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(scene, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    found = save(image, tmp_path / "e.png", exif=exif)
    assert np.array_equal(found, scene)
