"""What another library wrote, where a net, a mean, a Datum or a solver is wanted: the file, what it looks
like, what was wanted; from the command line in one sentence."""

import io

import numpy as np
import pytest
from databases import data_layer, lmdb
from nets import build, source
from PIL import Image

import caffe
from caffe.__main__ import main
from caffe.proto import caffe_pb2


def array():
    file = io.BytesIO()
    np.save(file, np.zeros((3, 4, 4), np.float32))
    return file.getvalue()


def picture():
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    return file.getvalue()


# content -> what is said of it
FOREIGN = {
    "array": (array(), "it looks like a NumPy array (.npy; numpy.load reads it)"),
    "picture": (picture(), "it looks like a picture (PNG)"),
    "junk": (bytes(range(255, -1, -1)), ""),
}
IMAGES = 'layer { name: "d" type: "ImageData" top: "data" top: "label" transform_param { mean_file: "f" } '
IMAGES += 'image_data_param { source: "list.txt" batch_size: 1 } }'


@pytest.fixture(params=FOREIGN)
def looks(request, tmp_path, monkeypatch):
    """A foreign file `f`, a database `db` of it; what it looks like."""
    content, looks = FOREIGN[request.param]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_bytes(content)
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "list.txt").write_text("a.png 0\n")
    with lmdb.open("db") as database, database.begin(write=True) as records:
        records.put(b"0", content)
    return looks


def test_in_a_layer_a_net_and_a_solver(looks, tmp_path):
    net = build(source(4, 4), tmp_path)
    for use, wanted in (
        (lambda: build(IMAGES, tmp_path), "mean_file: f: no blob (.binaryproto) of Caffe's"),
        (lambda: build(data_layer("db"), tmp_path), "db: record 0 is no Datum"),
        (lambda: caffe.Net("f", caffe.TEST), "f: binary data where a prototxt (text) is expected"),
        (lambda: caffe.get_solver("f"), "f: binary data where a prototxt (text) is expected"),
        (lambda: net.copy_from("f"), "f: damaged or none of Caffe's"),
    ):
        with pytest.raises(ValueError) as caught:
            use()
        assert wanted in str(caught.value) and looks in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        ["compute_image_mean", "db", "mean"],
        ["upgrade_net_proto_binary", "f", "out"],
        ["upgrade_net_proto_text", "f", "out"],
        ["train", "-solver", "f"],
        ["time", "-model", "f"],
        ["draw_net", "f", "out.png"],
    ],
    ids=lambda command: command[0],
)
def test_on_the_command_line(command, looks, capsys):
    assert main(command) == 1
    said = capsys.readouterr().err
    assert looks in said and command[-1 if command[0][0] == "t" else 1] in said
    assert "Traceback" not in said and "Wire format" not in said


def test_bytes_and_messages(looks, tmp_path):
    with pytest.raises(ValueError, match="no serialised BlobProtoVector"):
        caffe.io.blobprotovector_str_to_arraylist((tmp_path / "f").read_bytes())
    with pytest.raises(TypeError, match=r"takes a BlobProto, got bytes: .*BlobProto.FromString"):
        caffe.io.blobproto_to_array((tmp_path / "f").read_bytes())


def test_datums_that_are_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, datum, said in (
        (
            "short",
            caffe_pb2.Datum(channels=3, height=2, width=2, data=b"12"),
            "a Datum of 3 x 2 x 2 with 2",
        ),
        ("empty", caffe_pb2.Datum(), "a Datum of 0 x 0 x 0 with 0 values"),
        (
            "npy",
            caffe_pb2.Datum(encoded=True, data=array()),
            "holds no picture; it looks like a NumPy",
        ),
    ):
        with lmdb.open(name) as database, database.begin(write=True) as records:
            records.put(b"0", datum.SerializeToString())
        with pytest.raises(ValueError, match=f"layer 'data' \\(Data\\): {name}: .*{said}"):
            build(data_layer(name), tmp_path)
        assert main(["compute_image_mean", name]) == 1
        assert said in capsys.readouterr().err


def test_a_caffemodel_as_the_mean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "list.txt").write_text("a.png 0\n")
    build(source(4, 4), tmp_path).save("f")
    with pytest.raises(ValueError, match="mean_file: f: no blob"):
        build(IMAGES, tmp_path)
