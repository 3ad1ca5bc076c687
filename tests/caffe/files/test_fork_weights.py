"""Weights that forks wrote: fields of other meanings, of the same numbers, in hand-made bytes."""

import numpy as np
import pytest
from stored import array_of

from caffe.files import caffemodel, read, wire
from caffe.proto import caffe_pb2

BLOB = caffe_pb2.BlobProto(data=[1, 2, 3], shape={"dim": [3]}).SerializeToString()
# (number of a layer's field, its bytes, which fork writes it so)
V2_FIELDS = {
    "mat_write_param.prefix at parameter_param.shape": wire.bytes_field(
        145, wire.bytes_field(1, b"result")
    ),
    "interp_param at input_param": wire.bytes_field(143, wire.integer_field(3, 8)),
    "multi_stage_meanfield_param at 1000": wire.bytes_field(1000, wire.integer_field(6, 5)),
    "bn_param at 45": wire.bytes_field(45, wire.integer_field(3, 1)),
    "roi_pooling_param at 8266711": wire.bytes_field(8266711, wire.integer_field(1, 7)),
    "a string at convolution_param": wire.bytes_field(106, b"\xff\xff\xff"),
    "a string at loss_weight": wire.bytes_field(5, b"abc"),
    "a number at include": wire.integer_field(8, 3),
    "a double at bottom": wire.encode_varint(3 << 3 | wire.FIXED64) + bytes(8),
    "not UTF-8 at type": wire.bytes_field(2, b"\xff\xfe"),
}
V1_FIELDS = {
    "seg_accuracy_param at loss_param": wire.bytes_field(42, wire.bytes_field(1, b"\xff")),
    "softmaxloss_param at 44": wire.bytes_field(44, wire.bytes_field(16, b"weights.txt")),
    "type of a fork": wire.integer_field(5, 47),
    "a string at loss_weight": wire.bytes_field(35, b"abc"),
    "a string at the names of parameters": wire.bytes_field(1001, b"\xff"),
    "a number at V0's layer": wire.integer_field(1, 3),
}
CASES = [(100, 1, 7, fields) for fields in V2_FIELDS.items()]
CASES += [(2, 4, 6, fields) for fields in V1_FIELDS.items()]


@pytest.fixture(params=CASES, ids=lambda case: case[-1][0])
def path(request, tmp_path):
    """A file of two layers, the first with a fork's field before its blobs and behind them."""
    layers, name, blobs, (_, field) = request.param
    first = wire.bytes_field(name, b"a") + field + wire.bytes_field(blobs, BLOB) + field
    second = wire.bytes_field(name, b"b") + wire.bytes_field(blobs, BLOB)
    path = tmp_path / "fork.caffemodel"
    path.write_bytes(wire.bytes_field(layers, first) + wire.bytes_field(layers, second))
    return path


def test_weights_are_read_by_name_and_blobs_alone(path):
    stored = caffemodel.read_weights(path)
    assert [name for name, _ in stored] == ["a", "b"]
    for _, blobs in stored:
        np.testing.assert_array_equal(array_of(blobs[0]), [1, 2, 3])


def test_a_net_loads_them(path, net_of):
    net = net_of(
        """layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 } } }
        layer { name: "a" type: "PReLU" bottom: "d" top: "a" }"""
    )
    report = net.copy_from(path, report=True)
    assert report.copied == ["a"] and report.ignored == ["b"]
    np.testing.assert_array_equal(net.params["a"][0].data, [1, 2, 3])


def test_the_whole_net_is_read_without_what_cannot_be(path):
    net = read.parse_binary(path, caffe_pb2.NetParameter())
    layers = net.layer or net.layers
    assert [layer.name for layer in layers] == ["a", "b"]
    assert [list(layer.blobs[0].data) for layer in layers] == [[1, 2, 3]] * 2


def test_fields_that_are_left_out_are_told(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(caffemodel, "warning", lambda where, text: told.append(text))
    field = V2_FIELDS["a string at convolution_param"] + V2_FIELDS["a string at loss_weight"]
    path = tmp_path / "w"
    path.write_bytes(wire.bytes_field(100, wire.bytes_field(1, b"a") + field))
    assert read.read_net_binary(path).layer[0].name == "a"
    assert "fields 5, 106 of layers mean something else" in told[0]
