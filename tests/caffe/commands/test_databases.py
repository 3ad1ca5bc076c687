"""convert_imageset, compute_image_mean, extract_features: what they write into databases."""

import shutil

import numpy as np
import pytest
from databases import records
from PIL import Image

import caffe
from caffe.__main__ import main
from caffe.proto import caffe_pb2


def test_convert_imageset(pictures, capfd):
    assert main(["convert_imageset", "root/", "list.txt", "db"]) == 0
    err = capfd.readouterr().err
    assert "convert_imageset.cpp:89] A total of 2 images." in err
    assert "convert_imageset.cpp:153] Processed 2 files." in err
    found = records("db")
    assert list(found) == ["00000000_a 1.png", "00000001_a 0.png"]
    assert [datum.label for datum in found.values()] == [7, 300]
    for datum, picture in zip(found.values(), pictures):
        assert (datum.channels, datum.height, datum.width, datum.encoded) == (3, 2, 3, False)
        bgr = picture[:, :, ::-1].transpose(2, 0, 1)
        assert datum.data == bgr.tobytes()
    assert main(["convert_imageset", "root/", "list.txt", "db"]) == 1
    assert "db is there already" in capfd.readouterr().err


def test_convert_imageset_gray_and_resized(pictures):
    arguments = ["-gray", "-resize_height=4", "--resize_width", "6", "-check_size"]
    assert main(["convert_imageset", *arguments, "root/", "list.txt", "db"]) == 0
    for datum, picture in zip(records("db").values(), pictures):
        assert (datum.channels, datum.height, datum.width) == (1, 4, 6)
        values = np.frombuffer(datum.data, np.uint8).reshape(4, 6)
        grey = picture @ [0.299, 0.587, 0.114]
        assert values[0, 0] == pytest.approx(grey[0, 0], abs=1)  # twice the size: corners stay
        assert values[3, 5] == pytest.approx(grey[1, 2], abs=1)


def test_convert_imageset_encoded(pictures):
    def stored(*arguments):
        shutil.rmtree("db", ignore_errors=True)
        assert main(["convert_imageset", *arguments, "root/", "list.txt", "db"]) == 0
        return list(records("db").values())

    for datum, name in zip(stored("-encoded"), ("a 1.png", "a 0.png")):
        with open(f"root/{name}", "rb") as file:
            assert (datum.encoded, datum.data) == (True, file.read())
    assert all(d.encoded and d.data.startswith(b"\xff\xd8") for d in stored("-encode_type=jpg"))
    grey = stored("-encoded", "-gray")[0]  # not the file's colours: encoded anew
    with Image.open(__import__("io").BytesIO(grey.data)) as image:
        assert (image.format, image.mode) == ("PNG", "L")


def test_convert_imageset_shuffles_and_skips(folder, capfd):
    Image.new("L", (1, 1), 9).save(folder / "p.png")
    (folder / "list.txt").write_text("".join(f"p.png {i}\n" for i in range(40)) + "gone.png 1\n")
    assert main(["convert_imageset", "-gray", "-shuffle", "", "list.txt", "db"]) == 0
    err = capfd.readouterr().err
    assert "E" in {
        line[0] for line in err.splitlines() if "Could not open or find file gone.png" in line
    }
    assert "1 of 41 pictures could not be read" in err
    labels = [datum.label for datum in records("db").values()]
    assert sorted(labels) == list(range(40))
    assert labels != sorted(labels)
    (folder / "none.txt").write_text("gone.png 1\n")
    assert main(["convert_imageset", "", "none.txt", "db2"]) == 1


@pytest.mark.parametrize("encoded", [[], ["-encoded"]])
def test_compute_image_mean(pictures, capfd, encoded):
    assert main(["convert_imageset", *encoded, "root/", "list.txt", "db"]) == 0
    assert main(["compute_image_mean", "db", "mean.binaryproto"]) == 0
    mean = pictures[..., ::-1].transpose(0, 3, 1, 2).astype(float).mean(0)
    proto = caffe_pb2.BlobProto()
    with open("mean.binaryproto", "rb") as file:
        proto.ParseFromString(file.read())
    np.testing.assert_allclose(caffe.io.blobproto_to_array(proto)[0], mean, rtol=1e-6)
    err = capfd.readouterr().err
    assert "compute_image_mean.cpp:114] Number of channels: 3\n" in err
    assert f"mean_value channel [2]: {mean[2].mean():g}\n" in err


def test_extract_features(folder, capfd):
    (folder / "net.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param {'
        ' shape { dim: 2 dim: 3 dim: 1 dim: 2 } data_filler { type: "gaussian" std: 1 } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip"'
        " inner_product_param { num_output: 4 } }"
        'layer { name: "tanh" type: "TanH" bottom: "d" top: "t" }'
    )
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.params["ip"][1].data[...] = [1, 2, 3, 4]
    net.save("w.caffemodel")
    command = ["extract_features", "w.caffemodel", "net.prototxt", "ip,t", "db1,db2", "3", "lmdb"]
    assert main([*command, "CPU"]) == 0
    assert "Extracted features of 6 query images for feature blob ip" in capfd.readouterr().err
    assert list(records("db1")) == [f"{i:010d}" for i in range(6)]
    for datum in records("db1").values():
        assert (datum.channels, datum.height, datum.width) == (4, 1, 1)
        assert list(datum.float_data) == [1, 2, 3, 4]
    tanh = np.array([caffe.io.datum_to_array(datum) for datum in records("db2").values()])
    assert tanh.shape == (6, 3, 1, 2)
    assert len(np.unique(tanh)) == tanh.size


@pytest.mark.parametrize(
    "flags, listed, message",
    [
        ([], "none.png 0\n", "no picture of list.txt could be read"),
        (["-check_size"], "a 1.png 0\nlarger.png 1\n", "values, the first picture has"),
        (["-encode_type", "foo"], "a 1.png 0\n", "Pillow writes no such files"),
    ],
)
def test_a_conversion_that_fails_leaves_nothing(flags, listed, message, pictures, folder, capfd):
    Image.new("RGB", (9, 9)).save(folder / "root" / "larger.png")
    (folder / "list.txt").write_text(listed)
    assert main(["convert_imageset", *flags, "root/", "list.txt", "db"]) == 1
    assert message in capfd.readouterr().err
    assert not (folder / "db").exists()


def test_what_was_written_before_a_failure_is_said(pictures, folder, capfd, monkeypatch):
    monkeypatch.setattr("caffe.commands.convert_imageset._BATCH", 1)
    Image.new("RGB", (9, 9)).save(folder / "root" / "larger.png")
    (folder / "list.txt").write_text("a 1.png 0\nlarger.png 1\n")
    assert main(["convert_imageset", "-check_size", "root/", "list.txt", "db"]) == 1
    assert "db is not complete: it holds 1 record\n" in capfd.readouterr().err
    assert len(records("db")) == 1
