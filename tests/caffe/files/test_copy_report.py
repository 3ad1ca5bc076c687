"""`copy_from(report=True)`: what was copied, coerced, missing and ignored."""

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
