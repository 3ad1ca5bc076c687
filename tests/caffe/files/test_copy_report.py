"""`copy_from(report=True)`: what was copied, coerced, missing and ignored, and what may belong together."""

import numpy as np
import pytest

from caffe.proto import caffe_pb2

NET = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "%s" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 3 } }
layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
layer { name: "%s" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 2 } }
"""


@pytest.mark.parametrize(("save", "end"), [("save", ""), ("save_hdf5", ".h5")])
def test_the_four_kinds(net_of, tmp_path, save, end):
    source = net_of(NET % ("one", "two"))
    file = str(tmp_path / f"w.caffemodel{end}")
    getattr(source, save)(file)
    net = net_of(NET % ("one", "other"))
    report = net.copy_from(file, report=True)
    assert report.copied == ["one"] and report.coerced == []
    assert report.missing == ["other"] and report.ignored == ["two"]
    assert str(report).splitlines() == [
        file,
        "  copied     1  one",
        "  coerced    0",
        "  missing    1  other",
        "  ignored    1  two",
        "  proposed   1  other from two",
    ]
    assert net.copy_from(file) is None


def test_legacy_shapes_are_coerced(net_of, tmp_path):
    message = caffe_pb2.NetParameter()
    layer = message.layer.add(name="one", type="InnerProduct")
    layer.blobs.add(num=1, channels=1, height=3, width=2, data=range(6))
    layer.blobs.add(num=1, channels=1, height=1, width=3, data=range(3))
    path = tmp_path / "old.caffemodel"
    path.write_bytes(message.SerializeToString())
    net = net_of(NET % ("one", "two"))
    report = net.copy_from(path, report=True)
    assert report.copied == ["one"] and report.missing == ["two"]
    assert report.coerced[0] == ("one", 0, [1, 1, 3, 2], [3, 2])
    assert "coerced    2  one[0] 1x1x3x2 to 3x2, one[1] 1x1x1x3 to 3" in str(report)
    assert np.array_equal(net.params["one"][0].data.ravel(), range(6))


def test_weights_shared_by_name_are_not_missing(net_of, tmp_path):
    text = (
        (NET % ("one", "two")).replace("num_output: 2", "num_output: 3").replace("dim: 2", "dim: 3")
    )
    text = text.replace(
        'type: "InnerProduct"', 'type: "InnerProduct" param { name: "w" } param { name: "b" }'
    )
    net = net_of(text)
    net.save_hdf5(str(tmp_path / "w.h5"))
    assert net.copy_from(str(tmp_path / "w.h5"), report=True).missing == []


FOUR = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "%s" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 3 } }
layer { name: "%s" type: "InnerProduct" bottom: "a" top: "b" inner_product_param { num_output: 3 } }
layer { name: "%s" type: "InnerProduct" bottom: "b" top: "c" inner_product_param { num_output: 3 } }
layer { name: "%s" type: "InnerProduct" bottom: "c" top: "d" inner_product_param { num_output: 4 } }
"""


def test_only_what_shapes_leave_no_choice_for_is_proposed(net_of, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("caffe.files.weights.warning", lambda where, text: told.append(text))
    file = str(tmp_path / "w.caffemodel")
    net_of(FOUR % tuple("abcd")).save(file)
    report = net_of(FOUR % tuple("ABCD")).copy_from(file, report=True)
    assert list(report.proposed) == [("A", "a"), ("D", "d")]  # B and C: b or c
    assert "nothing was loaded" in told[0] and "A may be its a; D may be its d" in told[0]
    assert net_of(FOUR % tuple("aBcd")).copy_from(file, report=True).proposed == [("B", "b")]


def test_all_that_does_not_fit_is_told_at_once(net_of, tmp_path):
    file = str(tmp_path / "w.caffemodel")
    net_of(FOUR % ("a", "b", "c", "d")).save(file)
    wide = (FOUR % ("x", "a", "c", "b")).replace("num_output: 4", "num_output: 5")
    net = net_of(wide)
    with pytest.raises(ValueError) as caught:
        net.copy_from(file)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{file}: 2 layers do not fit:"
    assert lines[0].startswith(
        "  layer 'a' (InnerProduct): parameter 0 has shape [3, 3], the file [3, 2]"
    )
    assert lines[1].startswith(
        "  layer 'b' (InnerProduct): parameter 0 has shape [5, 3], the file [3, 3]"
    )
    assert not any(blob.data.any() for blobs in net.params.values() for blob in blobs)


def test_a_layer_of_the_file_that_would_fit_is_named(net_of, tmp_path):
    file = str(tmp_path / "w.caffemodel")
    net_of(FOUR % ("a", "b", "c", "score")).save(file)
    text = (FOUR % ("a", "b", "score", "e")).replace("num_output: 4", "num_output: 9")
    with pytest.raises(ValueError, match="'score'.*the file's 'c' would fit"):
        net_of(text).copy_from(file)


def test_another_fork_s_batch_normalization(net_of, tmp_path):
    text = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [1, 2, 3, 3] } } }
    layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { %s } }"""
    file = str(tmp_path / "w.caffemodel")
    net_of(text % "bn_mode: LEARN").save(file)
    with pytest.raises(
        ValueError, match="has 4 parameter blobs, the file 2: .*another fork's BN: SegNet"
    ):
        net_of(text % "frozen: true").copy_from(file)
