"""Pictures of every kind that Pillow opens, through every reader."""

import numpy as np
import pytest
from databases import data_layer, lmdb
from nets import build
from PIL import Image

import caffe
from caffe.__main__ import main
from caffe.layers.transform import decode_picture, read_picture
from caffe.proto import caffe_pb2

DEEP = (np.arange(24, dtype=np.uint16) * 2700).reshape(4, 6)  # 16 bits
GREY = (DEEP >> 8).astype(np.uint8)
COLOURS = Image.fromarray(np.dstack([GREY, 255 - GREY, GREY // 2]))
ALPHA = COLOURS.copy()
ALPHA.putalpha(77)
LAB = Image.frombytes("LAB", (6, 4), np.dstack([GREY, GREY // 4, GREY // 3]).tobytes())
# Pillow's mode -> (file, the picture, channels where all are asked for, the same of an encoded datum)
MODES = {
    "1": ("png", COLOURS.convert("1"), 1, 1),
    "L": ("png", Image.fromarray(GREY), 1, 1),
    "LA": ("png", ALPHA.convert("LA"), 3, 4),
    "P": ("png", COLOURS.quantize(), 3, 3),
    "PA": ("tif", COLOURS.quantize().convert("PA"), 3, 4),
    "RGB": ("png", COLOURS, 3, 3),
    "RGBA": ("png", ALPHA, 3, 4),
    "CMYK": ("tif", COLOURS.convert("CMYK"), 3, 3),
    "YCbCr": ("tif", COLOURS.convert("YCbCr"), 3, 3),
    "LAB": ("tif", LAB, 3, 3),
    "F": ("tif", Image.fromarray(GREY.astype(np.float32)), 1, 1),
    "I": ("tif", Image.fromarray(GREY.astype(np.int32)), 1, 1),
    "I;16": ("png", Image.fromarray(DEEP), 1, 1),
    "I;16 tif": ("tif", Image.fromarray(DEEP), 1, 1),
    "I;16B": ("tif", Image.frombytes("I;16B", (6, 4), DEEP.astype(">u2").tobytes()), 1, 1),
    "I pgm": ("pgm", Image.fromarray(DEEP.astype(np.int32)), 1, 1),
}


def image_data(color):
    """An ImageData layer of one picture a batch."""
    return (
        'layer { name: "data" type: "ImageData" top: "data" top: "label" image_data_param '
        f'{{ source: "list.txt" batch_size: 1 is_color: {color} }} }}'
    )


def picture_of(text, folder):
    """The picture that a data layer makes."""
    return build(text, folder).forward()["data"][0].copy()


def near(found, wanted):
    """Whether pixels are those wanted; palettes and other spaces of colours keep them roughly."""
    assert found.shape == wanted.shape
    return np.abs(found.astype(float) - wanted).max() <= 2


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_picture_through_every_reader(mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ending, picture, channels, encoded_channels = MODES[mode]
    file = f"picture.{ending}"
    picture.save(file)
    deep = picture.mode.startswith("I") and np.asarray(picture).max() > 255
    shown = Image.fromarray(GREY) if picture.mode[0] in "IF" else picture
    bgr = np.asarray(shown.convert("RGB"))[:, :, ::-1].transpose(2, 0, 1)
    grey = np.asarray(shown.convert("RGB").convert("L"))[None]
    everything = grey if channels == 1 else bgr

    (tmp_path / "list.txt").write_text(f"{file} 0\n")
    for color, wanted in (("true", bgr), ("false", grey)):
        assert near(picture_of(image_data(color), tmp_path), wanted)
    for flags, wanted in (([], bgr), (["-gray"], grey)):
        assert main(["convert_imageset", *flags, "", "list.txt", f"db{len(flags)}"]) == 0
        assert near(picture_of(data_layer(f"db{len(flags)}", "batch_size: 1"), tmp_path), wanted)

    assert near(read_picture(file), everything)
    found = decode_picture((tmp_path / file).read_bytes())
    assert len(found) == encoded_channels and near(found[:3], everything)
    if encoded_channels == 4:
        assert (found[3] == np.asarray(picture.convert("RGBA"))[:, :, 3]).all()

    loaded = caffe.io.load_image(file)
    unit = (
        np.repeat(DEEP[..., None] / 65535, 3, axis=2)
        if deep
        else bgr[::-1].transpose(1, 2, 0) / 255
    )
    if picture.mode not in ("F", "I"):
        assert near(255 * loaded, 255 * unit) and loaded.dtype == np.float32
    assert caffe.io.load_image(file, color=False).shape == (4, 6, 1)


def test_an_encoded_picture_is_decoded_as_it_is(tmp_path):
    """Its alpha is a channel, and nobody turns it; a file that is read is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    for name, picture, options in (("turned", COLOURS, {"exif": exif}), ("alpha", ALPHA, {})):
        picture.save(tmp_path / f"{name}.png", **options)
        datum = caffe_pb2.Datum(encoded=True, data=(tmp_path / f"{name}.png").read_bytes(), label=1)
        with lmdb.open(str(tmp_path / name)) as database, database.begin(write=True) as records:
            records.put(b"0", datum.SerializeToString())
    bgr = np.asarray(COLOURS)[:, :, ::-1].transpose(2, 0, 1)
    np.testing.assert_array_equal(
        picture_of(data_layer(tmp_path / "turned", "batch_size: 1"), tmp_path), bgr
    )
    found = picture_of(data_layer(tmp_path / "alpha", "batch_size: 1"), tmp_path)
    np.testing.assert_array_equal(found, np.concatenate([bgr, np.full((1, 4, 6), 77)]))
    forced = picture_of(
        data_layer(tmp_path / "alpha", "batch_size: 1 force_encoded_color: true"), tmp_path
    )
    np.testing.assert_array_equal(forced, bgr)
    assert read_picture(str(tmp_path / "turned.png")).shape == (3, 6, 4)
    deep = Image.fromarray(DEEP)
    deep.save(tmp_path / "deep.png", exif=exif)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "deep.png"))[0], np.rot90(GREY, -1))
