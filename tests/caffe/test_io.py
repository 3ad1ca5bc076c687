"""caffe.io: messages against files Caffe read, pictures against what pycaffe computes."""

import json

import numpy as np
import pytest
from PIL import Image
from places import GOLDEN

from caffe import io
from caffe.proto import caffe_pb2

BLOBS = GOLDEN / "formats/blobs"
RULES = json.loads((BLOBS.parents[1] / "rules.json").read_text())
FACTS = {row["id"]: row for row in RULES["errors"]["rows"]}
IO = json.loads((BLOBS / "io.json").read_text())


@pytest.fixture(scope="module")
def values():
    with np.load(BLOBS / "values.npz") as stored:
        return dict(stored)


def _message(kind, name):
    return kind.FromString((BLOBS / name).read_bytes())


# -- messages --


@pytest.mark.parametrize("name", ["mean_legacy", "mean_shape"])
def test_mean_files(name, values):
    array = io.blobproto_to_array(_message(caffe_pb2.BlobProto, f"{name}.binaryproto"))
    fact = IO[f"blobproto_to_array({name})"]
    assert (list(array.shape), str(array.dtype)) == (fact["shape"], fact["dtype"])
    np.testing.assert_array_equal(array[0], values["mean"])


def test_blob_with_diff(values):
    blob = _message(caffe_pb2.BlobProto, "with_diff.binaryproto")
    np.testing.assert_array_equal(io.blobproto_to_array(blob), values["with_diff_data"])
    diff = io.blobproto_to_array(blob, return_diff=True)
    np.testing.assert_array_equal(diff, values["with_diff_diff"])
    made = io.array_to_blobproto(values["with_diff_data"], values["with_diff_diff"])
    assert made == blob


def test_blob_of_an_array_states_data_and_shape():
    blob = io.array_to_blobproto(np.arange(6, dtype=np.uint8).reshape(1, 2, 3)[:, ::-1])
    assert sorted(f.name for f, _ in blob.ListFields()) == IO["array_to_blobproto sets"]
    assert list(blob.data) == [3, 4, 5, 0, 1, 2] and list(blob.shape.dim) == [1, 2, 3]


def test_doubles_are_read():
    blob = caffe_pb2.BlobProto(double_data=[0.1], double_diff=[0.2], shape={"dim": [1]})
    assert io.blobproto_to_array(blob).tolist() == [0.1]
    assert io.blobproto_to_array(blob, True).tolist() == [0.2]


def test_blob_vector(values):
    raw = (BLOBS / "blobprotovector.bin").read_bytes()
    arrays = io.blobprotovector_str_to_arraylist(raw)
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(array, values[f"vector{i}"])
    again = caffe_pb2.BlobProtoVector.FromString(io.arraylist_to_blobprotovector_str(arrays))
    assert again == caffe_pb2.BlobProtoVector.FromString(raw) and len(again.blobs) == 2


@pytest.mark.parametrize("name", ["datum_uint8", "datum_float"])
def test_datums(name, values):
    datum, fact = _message(caffe_pb2.Datum, f"{name}.bin"), IO[f"datum_to_array({name})"]
    array = io.datum_to_array(datum)
    assert str(array.dtype) == fact["dtype"]
    np.testing.assert_array_equal(array, values[name])
    made = io.array_to_datum(values[name], int(values[f"{name}_label"]))
    assert made == datum
    assert [f.name for f, _ in made.ListFields()] == fact["fields"]
    array[0, 0, 0] = 1  # one's own


def test_datum_without_label():
    datum = _message(caffe_pb2.Datum, "datum_nolabel.bin")
    assert not datum.HasField("label")
    assert io.array_to_datum(io.datum_to_array(datum)) == datum


def test_encoded_datum_is_refused():
    with pytest.raises(ValueError, match="encoded"):
        io.datum_to_array(caffe_pb2.Datum(encoded=True, data=b"x"))


# -- mistakes: types and the begin of the messages as pycaffe's --


def _transformer():
    return io.Transformer({"data": (1, 3, 4, 5)})


MISTAKES = {
    "io_datum_two_axes": lambda: io.array_to_datum(np.zeros((2, 3))),
    "io_load_image_missing": lambda: io.load_image("missing.png"),
    "io_transformer_unknown_input": lambda: _transformer().preprocess("nope", np.zeros((4, 5, 3))),
    "io_transformer_transpose": lambda: _transformer().set_transpose("data", (0, 1)),
    "io_transformer_channel_swap": lambda: _transformer().set_channel_swap("data", (1, 0)),
    "io_transformer_mean_channels": lambda: _transformer().set_mean("data", np.array([1.0, 2.0])),
}


@pytest.mark.parametrize("fact", MISTAKES)
def test_mistakes(fact):
    row = FACTS[fact]
    with pytest.raises(Exception) as caught:  # pycaffe raises a bare one
        MISTAKES[fact]()
    assert row["type"] in [kind.__name__ for kind in type(caught.value).__mro__]
    assert str(caught.value).startswith(row.get("message", ""))


# -- pictures --


def _saved(tmp_path, image, name="i.png"):
    image.save(tmp_path / name)
    return tmp_path / name


RGB = np.array([[[255, 0, 51], [0, 102, 0]]], np.uint8)


def test_load_image_in_colour_and_grey(tmp_path):
    path = _saved(tmp_path, Image.fromarray(RGB))
    colour, grey = io.load_image(path), io.load_image(path, color=False)
    assert colour.dtype == grey.dtype == np.float32
    np.testing.assert_allclose(colour, RGB / 255, atol=1e-7)
    wanted = [[[0.2125 + 0.2 * 0.0721], [0.4 * 0.7154]]]
    np.testing.assert_allclose(grey, wanted, atol=1e-7)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_load_image_of_any_mode(mode, tmp_path):
    """A picture that is white on the left and black on the right in every mode."""
    image = Image.fromarray(np.array([[255, 0]], np.uint8))
    if mode == "I;16":
        image = Image.fromarray(np.array([[65535, 0]], np.uint16))
    elif mode == "CMYK":
        image = image.convert("RGB").convert("CMYK")
    else:
        image = image.convert(mode)
    name = "i.tif" if mode == "CMYK" else "i.png"
    path = _saved(tmp_path, image, name)
    assert io.load_image(path).tolist() == [[[1, 1, 1], [0, 0, 0]]]
    grey = io.load_image(path, color=False)
    np.testing.assert_allclose(grey, [[[1], [0]]], atol=1e-6)


def test_resize_of_a_constant():
    made = io.resize_image(np.ones((4, 4, 3), np.float32), (2, 3))
    assert made.tolist() == FACTS["io_resize_3d"]["result"] and made.dtype == np.float32


def _resized(image, dims):
    """Bilinear on pixel centres in plain loops; what lies outside is the smallest value."""
    low, height, width = image.min(), *image.shape[:2]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=low)
    made = np.empty((*dims, image.shape[2]))
    for i in range(dims[0]):
        for j in range(dims[1]):
            y = (i + 0.5) * height / dims[0] - 0.5 + 1
            x = (j + 0.5) * width / dims[1] - 0.5 + 1
            y0, x0 = int(np.floor(y)), int(np.floor(x))
            v, u = y - y0, x - x0
            rows = [
                (1 - u) * padded[r, x0] + u * padded[r, min(x0 + 1, width + 1)]
                for r in (y0, min(y0 + 1, height + 1))
            ]
            made[i, j] = (1 - v) * rows[0] + v * rows[1]
    return made


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dims", [(7, 9), (3, 2), (5, 4), (10, 3), (1, 1)])
def test_resize_is_bilinear_on_pixel_centres(dims, channels):
    image = np.random.default_rng(0).uniform(-3, 5, (5, 4, channels)).astype(np.float32)
    made = io.resize_image(image, dims)
    np.testing.assert_allclose(made, _resized(image, dims), atol=1e-5)


def test_resize_of_other_channel_counts_keeps_the_corners():
    image = np.random.default_rng(0).uniform(size=(4, 5, 2)).astype(np.float32)
    made = io.resize_image(image, (7, 9))
    assert made.shape == (7, 9, 2)
    np.testing.assert_allclose(made[::6, ::8], image[::3, ::4], atol=1e-6)


@pytest.mark.parametrize("dims", [(2, 3), (3, 3), (4, 4)])
def test_oversample(dims):
    images = np.random.default_rng(0).uniform(size=(2, 5, 6, 3))
    crops = io.oversample(images, dims)
    h, w = dims
    y, x = int(5 / 2 - h / 2), int(6 / 2 - w / 2)
    corners = [(0, 0), (0, 6 - w), (5 - h, 0), (5 - h, 6 - w), (y, x)]
    assert crops.shape == (20, h, w, 3) and crops.dtype == np.float32
    for n in range(20):
        y, x = corners[n % 5]
        wanted = images[n // 10, y : y + h, x : x + w].astype(np.float32)
        wanted = wanted[:, ::-1] if n // 5 % 2 else wanted
        np.testing.assert_array_equal(crops[n], wanted, err_msg=str(n))


# -- Transformer --


def _full_transformer(shape=(1, 3, 4, 5)):
    made = io.Transformer({"data": shape})
    made.set_transpose("data", (2, 0, 1))
    made.set_channel_swap("data", (2, 1, 0))
    made.set_raw_scale("data", 255)
    made.set_mean("data", np.array([104.0, 117.0, 123.0]))
    made.set_input_scale("data", 0.5)
    return made


def test_preprocess_does_the_steps_in_order_and_spares_its_input():
    image = np.random.default_rng(0).uniform(size=(4, 5, 3)).astype(np.float32)
    before = image.copy()
    made = _full_transformer().preprocess("data", image)
    mean = np.array([104, 117, 123])
    wanted = (image[..., ::-1].astype(float) * 255 - mean).transpose(2, 0, 1) * 0.5
    assert made.dtype == np.float32 and made.shape == (3, 4, 5)
    np.testing.assert_allclose(made, wanted, atol=1e-4)
    np.testing.assert_array_equal(image, before)


def test_deprocess_undoes():
    image = np.random.default_rng(0).uniform(size=(4, 5, 3)).astype(np.float32)
    transformer = _full_transformer()
    made = transformer.preprocess("data", image)
    back = transformer.deprocess("data", made[np.newaxis])
    np.testing.assert_allclose(back, image, atol=1e-6)


def _in_place(image, steps):
    """pycaffe's arithmetic: each step in place, in the array's own number type."""
    for step, value in steps:
        step(image, value, out=image, casting="same_kind")
    return image


@pytest.mark.parametrize("mean_type", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [0.017, np.float64(0.017), np.float32(0.017)])
def test_every_bit_is_pycaffe_s(scale, mean_type):
    draw = np.random.default_rng(1)
    picture = draw.uniform(size=(40, 50, 3)).astype(np.float32)
    mean = draw.uniform(90, 130, (3, 40, 50)).astype(mean_type)
    transformer = io.Transformer({"data": (1, 3, 40, 50)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", mean)
    transformer.set_input_scale("data", scale)
    steps = [(np.multiply, 255.0), (np.subtract, mean), (np.multiply, float(scale))]
    wanted = _in_place(picture.transpose(2, 0, 1).copy(), steps)
    np.testing.assert_array_equal(transformer.preprocess("data", picture), wanted)
    back = [(np.divide, float(scale)), (np.add, mean), (np.divide, 255.0)]
    for kind in (np.float32, np.float64):
        values = draw.uniform(-2, 2, (1, 3, 40, 50)).astype(kind)
        made = transformer.deprocess("data", values)
        wanted = _in_place(values[0].copy(), back).transpose(1, 2, 0)
        assert made.dtype == kind
        np.testing.assert_array_equal(made, wanted)
    assert transformer.deprocess("data", np.ones((3, 40, 50), int)).dtype == np.float64


def test_a_mean_picture_that_is_resized_is_of_float32():
    transformer = io.Transformer({"data": (1, 3, 4, 5)})
    transformer.set_mean("data", np.random.default_rng(0).uniform(90, 130, (3, 9, 9)))
    assert transformer.mean["data"].dtype == np.float32
    transformer.set_mean("data", np.full((3, 9, 9), 7.0))
    assert (transformer.mean["data"] == 7).all()


def test_preprocess_resizes_first():
    image = np.random.default_rng(0).uniform(size=(8, 3, 3)).astype(np.float32)
    transformer = _full_transformer()
    wanted = transformer.preprocess("data", io.resize_image(image, (4, 5)))
    np.testing.assert_array_equal(transformer.preprocess("data", image), wanted)


def test_nothing_set_is_identity():
    image = np.arange(20.0).reshape(4, 5)
    assert np.array_equal(io.Transformer({"d": (1, 1, 4, 5)}).preprocess("d", image), image)


@pytest.mark.parametrize("size", [(4, 5), (9, 9)])
def test_mean_pictures_are_brought_to_size(size):
    mean = np.random.default_rng(0).uniform(90, 130, (3, *size))
    transformer = _transformer()
    transformer.set_mean("data", mean)
    wanted = mean
    if size != (4, 5):
        wanted = _resized(mean.transpose(1, 2, 0), (4, 5)).transpose(2, 0, 1)
    np.testing.assert_allclose(transformer.mean["data"], wanted, atol=1e-4)


def test_mean_of_one_plane_and_of_too_many_axes():
    transformer = io.Transformer({"data": (1, 1, 4, 5)})
    transformer.set_mean("data", np.ones((4, 5)))
    assert transformer.mean["data"].shape == (1, 4, 5)
    with pytest.raises(ValueError, match="Mean shape invalid"):
        transformer.set_mean("data", np.ones((1, 1, 4, 5)))
