"""Training, checking and inference read a picture alike, whatever its file is."""

import numpy as np
import pytest
from PIL import Image
from trees import MEAN, build, palette_png, voc_params

from fcn import pictures
from fcn.cli import main
from fcn.datasets.voc import VOCSegDataLayer
from fcn.inputs import PREPARE, read_inputs

SIDEWAYS = (5, 6, 7, 8)


def turned(orientation):
    """EXIF that states an orientation."""
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    return exif


def random_picture(mode):
    """61 x 83, the size of the labels of `a`; of a mode that Pillow writes as PNG or JPEG."""
    pixels = np.random.RandomState(0).randint(0, 256, (61, 83, 4), np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    if mode == "P":
        return Image.fromarray(pixels[..., :3]).quantize(16)
    if mode == "CMYK":
        return Image.fromarray(pixels[..., :3]).convert("CMYK")
    channels = {"L": pixels[..., 0], "LA": pixels[..., :2], "RGB": pixels[..., :3], "RGBA": pixels}
    return Image.fromarray(channels[mode])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "I;16", "CMYK"])
def test_training_reads_what_inference_reads(mode, voc):
    path = voc / "JPEGImages/a.jpg"
    random_picture(mode).save(path, format="TIFF" if mode == "CMYK" else "PNG")
    read = read_inputs([path], {"data": "color"})["data"]
    layer, _ = build(VOCSegDataLayer, voc_params(voc))
    np.testing.assert_array_equal(layer.load_image("a"), PREPARE["color"](read, MEAN))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_read_alike(orientation, voc):
    size = (83, 61) if orientation not in SIDEWAYS else (61, 83)  # width, height, as stored
    path = voc / "JPEGImages/a.jpg"
    image = Image.fromarray(np.random.RandomState(1).randint(0, 256, (*size[::-1], 3), np.uint8))
    image.save(path, quality=95, exif=turned(orientation))
    layer, _ = build(VOCSegDataLayer, voc_params(voc))  # labels are upright: 61 x 83
    read = read_inputs([path], {"data": "color"})["data"]
    np.testing.assert_array_equal(layer.load_all("a")[0], PREPARE["color"](read, MEAN))
    assert layer.orientations("a") == ({"data": orientation} if orientation > 1 else {})


def test_a_label_is_turned_as_its_own_exif_says(voc):
    path = voc / "SegmentationClass/a.png"
    label = np.asarray(Image.open(path))
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(label)))
    stored.putpalette([0] * 768)
    stored.save(path, exif=turned(6))
    layer, _ = build(VOCSegDataLayer, voc_params(voc))
    np.testing.assert_array_equal(layer.load_label("a")[0], label)


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_a_label_of_the_unturned_picture_is_told_with_exif(orientation, voc, capsys):
    path = voc / "JPEGImages/a.jpg"
    Image.new("RGB", (83, 61)).save(path, exif=turned(orientation))
    with pytest.raises(ValueError) as error:
        build(VOCSegDataLayer, voc_params(voc))
    said = str(error.value)
    for word in (
        "a: sizes differ (height x width): data 83x61, label 61x83",
        f"{path} is stored turned: its EXIF orientation is {orientation}",
        "The label has the size of the picture as stored, 61x83",
        "Way out: turn the label as EXIF says, or take the tag away (exiftool -Orientation= FILE)",
    ):
        assert word in said
    assert main(["data", "check", "voc", str(voc)]) == 1
    assert f"EXIF orientation is {orientation}" in capsys.readouterr().out


def test_the_reverse_a_label_with_exif_over_an_upright_picture(voc):
    """A tool copied the picture's EXIF to the label, whose values are upright already."""
    path = voc / "SegmentationClass/a.png"
    Image.open(path).save(path, exif=turned(8))
    with pytest.raises(ValueError, match=r"a\.png is stored turned: .* is 8, .*turn the data as"):
        build(VOCSegDataLayer, voc_params(voc))


def test_sizes_that_are_exchanged_without_exif_are_told(voc):
    palette_png(voc / "SegmentationClass/a.png", np.zeros((83, 61)))
    with pytest.raises(ValueError, match="turned by 90 degrees, and no EXIF orientation says"):
        build(VOCSegDataLayer, voc_params(voc))


def test_check_counts_what_is_stored_turned(whole_voc, capsys):
    path = whole_voc / "pascal/VOC2011/JPEGImages/a.jpg"
    image = Image.open(path)
    image.save(path, quality=95, exif=turned(3))
    assert main(["data", "check", "voc", str(whole_voc)]) == 0
    assert "data: 1 with EXIF orientation 3, read upright" in capsys.readouterr().out


def test_colours_and_depth_that_differ_are_told_with_exif(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "c.jpg", exif=turned(6))
    depth = np.full((20, 30), 2000, np.uint16)
    Image.fromarray(depth).save(tmp_path / "d.png")
    paths = [tmp_path / "c.jpg", tmp_path / "d.png"]
    with pytest.raises(pictures.Unreadable, match="EXIF orientation is 6.*depth has the size"):
        read_inputs(paths, {"color": "color", "depth": "depth"})
    exif = turned(6)
    Image.fromarray(depth).save(tmp_path / "d.png", exif=exif)
    read = read_inputs(paths, {"color": "color", "depth": "depth"})
    assert read["depth"].shape == (30, 20)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_is_broken_is_no_orientation(tmp_path):
    path = tmp_path / "b.jpg"
    for content in (b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03"):
        Image.new("RGB", (30, 20)).save(path, exif=content)
        assert pictures.orientation(path) == 1
        assert pictures.read_picture(path).shape == (20, 30, 3)
    exif = turned(77)
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    assert pictures.orientation(path) == 1 and pictures.orientation(tmp_path / "none.jpg") == 1
