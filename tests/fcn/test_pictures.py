"""Pictures of every kind that Pillow reads."""

import importlib.util
import struct
import sys
import types
import zlib

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


# ---- what is right, and said


def noted(path):
    notes = []
    return pictures.rgb(pictures.open_picture(path), notes), notes


def png_16_bit(path, values):
    """An RGB PNG of 16 bits a channel, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        content = kind + data
        return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_twelve_bits_in_sixteen(tmp_path, suffix):
    ramp = np.array([[0, 16, 2048, 4095]], np.uint16)
    Image.fromarray(ramp).save(tmp_path / f"12.{suffix}")
    found, notes = noted(tmp_path / f"12.{suffix}")
    assert found[0, :, 1].tolist() == [0, 1, 128, 255]
    assert notes == ["its values stay below 4096: read as 12 bits"]
    Image.fromarray(np.array([[0, 7, 255]], np.uint16)).save(tmp_path / f"8.{suffix}")
    found, notes = noted(tmp_path / f"8.{suffix}")
    assert found[0, :, 0].tolist() == [0, 7, 255] and "read as 8 bits" in notes[0]


def test_twelve_bits_of_colours(tmp_path):
    """Pillow keeps 8 of 16 bits."""
    values = np.array([[[0, 2048, 4095], [4095, 0, 256]]])
    png_16_bit(tmp_path / "12.png", values)
    found, notes = noted(tmp_path / "12.png")
    assert found.tolist() == [[[0, 136, 255], [255, 0, 17]]]
    assert "16-bit colours stay below 4096" in notes[0]
    png_16_bit(tmp_path / "16.png", values * 16)
    found, notes = noted(tmp_path / "16.png")
    assert found.tolist() == [[[0, 128, 255], [255, 0, 16]]] and not notes


@pytest.mark.parametrize(
    "values, said",
    [
        (np.array([[-1.5, 2]], np.float32), "from -1.5 to 2: floating point"),
        (np.array([[0, 4000]], np.float32), "from 0 to 4000: floating point"),
        (np.array([[0, np.inf]], np.float32), "from 0 to inf"),
        (np.array([[0, 70000]], np.int32), "from 0 to 70000: pixels have 8, 12 or 16 bits"),
    ],
)
def test_numbers_that_are_no_pixels(tmp_path, values, said):
    Image.fromarray(values).save(tmp_path / "v.tiff")
    with pytest.raises(ValueError, match=said):
        pictures.read_picture(tmp_path / "v.tiff")


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_the_first_of_several_frames(tmp_path, suffix):
    frames = [Image.new("RGB", (6, 4), colour) for colour in (RED, BLUE, RED)]
    options = dict(lossless=True) if suffix == "webp" else {}
    frames[0].save(tmp_path / f"f.{suffix}", save_all=True, append_images=frames[1:], **options)
    found, notes = noted(tmp_path / f"f.{suffix}")
    assert found[0, 0].tolist() == list(RED)
    assert notes == ["of its 3 frames or pages the first is read"]
    frames[0].save(tmp_path / f"one.{suffix}")
    assert not noted(tmp_path / f"one.{suffix}")[1]


def test_a_photograph_with_a_preview_is_one_picture(tmp_path):
    photograph, preview = Image.new("RGB", (40, 40)), Image.new("RGB", (8, 8))
    photograph.save(tmp_path / "p.jpg", "MPO", save_all=True, append_images=[preview])
    found, notes = noted(tmp_path / "p.jpg")
    assert found.shape == (40, 40, 3) and not notes


HEADER = b"\0\0\0\x18ftypheic"


def test_heic_without_its_reader_names_it(tmp_path, monkeypatch):
    (tmp_path / "p.heic").write_bytes(HEADER)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="HEIC.*pip install pi-heif"):
        pictures.read_picture(tmp_path / "p.heic")


@pytest.mark.parametrize("name", pictures.HEIC_READERS)
def test_heic_with_its_reader(tmp_path, monkeypatch, name):
    """A stand-in for pi-heif, which opens what begins like HEIC."""
    (tmp_path / "p.heic").write_bytes(HEADER)
    for what in ("ID", "OPEN", "MIME"):
        kept = getattr(Image, what)
        monkeypatch.setattr(Image, what, type(kept)(kept))

    def register():
        Image.register_open("HEIF", lambda file, name: Image.new("RGB", (3, 2), RED), HEADER.__eq__)

    reader = types.ModuleType(name)
    reader.__spec__ = importlib.util.spec_from_loader(name, None)
    reader.register_heif_opener = register
    monkeypatch.setitem(sys.modules, name, reader)
    for other in set(pictures.HEIC_READERS) - {name}:
        monkeypatch.setitem(sys.modules, other, None)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked: reader if asked == name else None
    )
    monkeypatch.setattr(Image, "preinit", lambda: None)
    assert pictures.read_picture(tmp_path / "p.heic").tolist() == [[list(RED)] * 3] * 2


def test_a_huge_picture_is_told_with_the_limit(tmp_path, monkeypatch):
    Image.new("1", (70, 70)).save(tmp_path / "h.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(Image.DecompressionBombError) as error:
        pictures.read_picture(tmp_path / "h.png")
    assert (
        pictures.reason(error.value, "h.png")
        == "it has over 4,000 pixels. Way out: make it smaller"
    )


# ---- arrays


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 3), 128, np.uint8),
        np.full((2, 3, 1), 128, np.int64),
        np.full((2, 3, 3), 128, np.uint8),
        np.full((2, 3, 4), [128, 128, 128, 255], np.uint8),
        np.full((2, 3, 3), 128.4, np.float32),
        np.full((2, 3), 0.505, np.float16),
        np.full((2, 3, 3), 32896, np.uint16),
        np.asfortranarray(np.full((2, 6, 3), 128, np.uint8))[:, ::2],
        [[128, 128, 128], [128, 128, 128]],
    ],
)
def test_arrays_of_every_kind(array):
    found = pictures.from_array(array)
    assert found.dtype == np.uint8 and found.tolist() == [[[128] * 3] * 3] * 2


def test_transparent_arrays_lie_on_white():
    assert pictures.from_array(np.zeros((1, 1, 4), np.uint8)).tolist() == [[[255] * 3]]


def test_tensors():
    torch = pytest.importorskip("torch")
    pixels = torch.arange(4 * 5 * 3, dtype=torch.uint8).reshape(4, 5, 3)
    assert np.array_equal(pictures.from_array(pixels), pixels.numpy())
    planes = (pixels.permute(2, 0, 1) / 255).requires_grad_()  # as torchvision gives pictures
    assert np.abs(pictures.from_array(planes).astype(int) - pixels.numpy()).max() <= 1


@pytest.mark.parametrize(
    "array, said",
    [
        (np.zeros((4, 5), bool), "bool is no picture; a mask: .astype"),
        (np.zeros((4, 5), "U1"), "an array of <U1 is no picture"),
        (np.zeros((4, 5), complex), "an array of complex128 is no picture"),
        (
            np.zeros((3, 4, 5)),
            r"shape \(3, 4, 5\).* channels come first: array.transpose\(1, 2, 0\)",
        ),
        (np.zeros((2, 4, 5, 3)), "Several pictures are given as a list"),
        (np.zeros((6, 5, 2)), "is no picture: it is H x W, or H x W x 3 in RGB$"),
        (np.zeros(7), "shape"),
        (np.zeros((0, 5, 3)), "shape"),
        (np.full((4, 5), -1), "from -1 to 0"),
    ],
)
def test_arrays_that_are_no_pictures(array, said):
    with pytest.raises(ValueError, match=said):
        pictures.from_array(array)


def test_values_that_are_no_numbers_are_counted():
    values = np.full((4, 5), 0.5, np.float32)
    values[0, :3] = np.nan
    notes = []
    assert (
        pictures.eight_bits(values, notes)[0, 0] == 0 and "3 of its 20 values are NaN" in notes[0]
    )
    with pytest.raises(ValueError, match="all NaN"):
        pictures.eight_bits(np.full((2, 2), np.nan))
