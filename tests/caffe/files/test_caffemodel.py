"""Weights in binary files: every encoding is read, Caffe's own bytes are written."""

import os
import tracemalloc

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from stored import FORMATS, STATES, array_of, golden_values

from caffe.files import blob_proto, caffemodel, hdf5, wire
from caffe.files.read import read_net_binary
from caffe.proto import caffe_pb2

# -- reading --


@pytest.mark.parametrize(
    "path",
    sorted(FORMATS.glob("blob_shapes/*.caffemodel")) + sorted(FORMATS.glob("v[01]/*.caffemodel")),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_every_encoding_gives_the_samegolden_values(path):
    wanted, got = golden_values(path), {}
    for name, blobs in caffemodel.read_weights(path):
        for i, blob in enumerate(blobs):
            key = f"{name}/{i}"
            assert blob.matches(wanted[key].shape) and blob.count == wanted[key].size
            got[key] = array_of(blob).reshape(wanted[key].shape)
    assert got.keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(got[key], array.astype(np.float32), err_msg=key)


@pytest.mark.parametrize("path", sorted(FORMATS.glob("*/*.caffemodel")), ids=str)
def test_names_and_order_are_those_of_the_upgraded_net(path):
    net = read_net_binary(path)
    wanted = [(layer.name, len(layer.blobs)) for layer in net.layer if layer.type != "Input"]
    inputs = {layer.name for layer in net.layer if layer.type == "Input"}
    got = [(name, len(blobs)) for name, blobs in caffemodel.read_weights(path)]
    assert [row for row in got if row[0] not in inputs] == wanted


def _write(path, *blobs, **fields):
    layer = caffe_pb2.LayerParameter(name="a", blobs=blobs)
    path.write_bytes(caffe_pb2.NetParameter(layer=[layer], **fields).SerializeToString())
    return path


def test_stored_diffs(tmp_path):
    blob = caffe_pb2.BlobProto(data=[1, 2], diff=[3, 4], shape=dict(dim=[2]))
    only_data = caffe_pb2.BlobProto(double_data=[0.1], shape=dict(dim=[1]))
    ((_, (first, second)),) = caffemodel.read_weights(_write(tmp_path / "w", blob, only_data))
    assert first.has_diff and not second.has_diff
    assert array_of(first, diff=True).tolist() == [3, 4]
    wide = np.empty(1)
    second.read_into(wide)
    assert wide[0] == 0.1  # doubles stay doubles


@pytest.mark.parametrize(
    "legacy, fits, not_fits",
    [
        ((1, 1, 3, 60), [(3, 60), (1, 3, 60), (1, 1, 3, 60)], [(180,), (60, 3), (1, 1, 1, 3, 60)]),
        ((3, 60, 1, 1), [(3, 60, 1, 1)], [(3, 60)]),
        ((1, 1, 1, 3), [(3,), (1, 3)], [(3, 1), ()]),
        ((1, 1, 1, 1), [(), (1,)], [(2,)]),
    ],
)
def test_legacy_shapes_are_compared_from_the_right(legacy, fits, not_fits, tmp_path):
    n, c, h, w = legacy
    blob = caffe_pb2.BlobProto(num=n, channels=c, height=h, width=w, data=np.zeros(n * c * h * w))
    blob.shape.dim.extend([7])  # loses
    ((_, (stored,)),) = caffemodel.read_weights(_write(tmp_path / "w", blob))
    assert stored.legacy and stored.shape == list(legacy)
    assert all(stored.matches(shape) for shape in fits)
    assert not any(stored.matches(shape) for shape in not_fits)


def test_a_shape_must_be_equal(tmp_path):
    blob = caffe_pb2.BlobProto(data=np.zeros(6), shape=dict(dim=[1, 6]))
    ((_, (stored,)),) = caffemodel.read_weights(_write(tmp_path / "w", blob))
    assert stored.matches((1, 6)) and not stored.matches((6,))


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1000])
def test_unpacked_values_of_any_number(count, tmp_path):
    values = np.arange(count, dtype="<f4")
    raw = b"".join(b"\x2d" + value.tobytes() for value in values) + b"\x3a\x03\x0a\x01"
    raw = raw + (bytes([count]) if count < 128 else bytes([count & 127 | 128, count >> 7]))
    raw = raw if count < 128 else raw.replace(b"\x3a\x03\x0a\x01", b"\x3a\x04\x0a\x02")
    blob = caffe_pb2.BlobProto.FromString(raw)  # protobuf agrees that this is a blob
    assert len(blob.data) == count and list(blob.shape.dim) == [count]
    layer = caffe_pb2.LayerParameter(name="a").SerializeToString()
    layer += b"\x3a" + wire.encode_varint(len(raw)) + raw
    path = tmp_path / "w"
    path.write_bytes(b"\xa2\x06" + wire.encode_varint(len(layer)) + layer)
    ((_, (stored,)),) = caffemodel.read_weights(path)
    np.testing.assert_array_equal(array_of(stored), values)


def test_empty_file_has_no_layers(tmp_path):
    path = tmp_path / "w"
    path.touch()
    assert caffemodel.read_weights(path) == []
    assert not hdf5.is_hdf5(path)


def test_packed_floats_are_read_without_a_second_copy(tmp_path):
    values = np.random.default_rng(0).standard_normal(1 << 20, dtype=np.float32)
    layer = caffe_pb2.LayerParameter(name="a")
    caffemodel.write_weights(tmp_path / "w", "n", [(layer, [((1 << 20,), values, None)])])
    target = np.zeros_like(values)
    tracemalloc.start()
    try:
        ((_, (stored,)),) = caffemodel.read_weights(tmp_path / "w")
        stored.read_into(target)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(target, values)
    assert peak < values.nbytes / 16


def test_arrays_that_cannot_be_filled(tmp_path):
    blob = caffe_pb2.BlobProto(data=np.zeros(6), shape=dict(dim=[2, 3]))
    ((_, (stored,)),) = caffemodel.read_weights(_write(tmp_path / "w", blob))
    with pytest.raises(ValueError, match="layer 'a': blob 0: 6 data values stored, 4 wanted"):
        stored.read_into(np.empty((2, 2), np.float32))
    with pytest.raises(ValueError, match="C-contiguous"):
        stored.read_into(np.empty((3, 2), np.float32).T)


# -- damage --


def _read_all(path):
    for _, blobs in caffemodel.read_weights(path):
        for blob in blobs:
            array_of(blob)


def _protobuf_takes(raw):
    try:
        return caffe_pb2.NetParameter.FromString(raw)
    except DecodeError:
        return None


def _small():
    """A net of three layers in 190 bytes, so that every byte can be tried."""
    net = caffe_pb2.NetParameter(name="n")
    for name in "abc":
        blob = caffe_pb2.BlobProto(data=[1, 2, 3], diff=[4, 5, 6], shape={"dim": [3]})
        old = caffe_pb2.BlobProto(data=[1], num=1, channels=1, height=1, width=1)
        net.layer.add(name=name, type="T", bottom=["x"], phase=1, blobs=[blob, old])
    return net.SerializeToString(deterministic=True)


def test_every_truncation_is_noticed(tmp_path):
    """Cut at any byte, a file is refused, unless it is cut between two fields of the net itself."""
    raw, path, taken = _small(), tmp_path / "w", []
    for size in range(1, len(raw)):
        path.write_bytes(raw[:size])
        try:
            _read_all(path)
            taken.append(size)
        except ValueError as error:
            assert str(path) in str(error)
    assert taken == [size for size in range(1, len(raw)) if _protobuf_takes(raw[:size])]
    assert len(taken) == 3  # after the name and after each layer but the last


def test_damage_is_refused_or_harmless(tmp_path):
    """Any byte changed: never an error of another kind, and nothing protobuf refuses is taken."""
    raw, path, refused = _small(), tmp_path / "w", 0
    for at in range(len(raw)):
        for value in (0, 1, 7, 0x0C, 0x7F, 0x80, 0xFF):
            path.write_bytes(raw[:at] + bytes([value]) + raw[at + 1 :])
            try:
                _read_all(path)
            except ValueError:
                refused += 1
            else:
                assert _protobuf_takes(path.read_bytes()) is not None, (at, value)
    assert refused > len(raw)


@pytest.mark.parametrize(
    "content, says",
    [
        (b'name: "net"\nlayer { name: "a" }', "it looks like text"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", "a zip or .npz file"),
        (b"<html><body>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "HDF5"),
        (b"\x0a\x05abc", "field 1 is 2 bytes longer than what is left"),
        (b"\xa2\x06\x02\x0a\x07", "at byte 3: field 1 is 7 bytes longer"),
        (b"\xff" * 12, "a number of more than ten bytes"),
    ],
)
def test_what_is_no_caffemodel(content, says, tmp_path):
    path = tmp_path / "w.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says) as caught:
        caffemodel.read_weights(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "blob",
    [
        caffe_pb2.BlobProto(data=[1, 2, 3], shape=dict(dim=[2, 2])),
        caffe_pb2.BlobProto(shape=dict(dim=[2])),
        caffe_pb2.BlobProto(data=[1, 2, 3], num=1, channels=1, height=1, width=2),
        caffe_pb2.BlobProto(data=[1, 2]),
    ],
)
def test_values_that_contradict_their_shape(blob, tmp_path):
    with pytest.raises(ValueError, match=r"layer 'a': blob 0: \d values for shape \["):
        caffemodel.read_weights(_write(tmp_path / "w", blob))


def test_both_formats_in_one_file(tmp_path):
    path = _write(tmp_path / "w", layers=[caffe_pb2.V1LayerParameter(name="b")])
    with pytest.raises(ValueError, match="both 'layer' and 'layers'"):
        caffemodel.read_weights(path)


# -- writing --


def _parts(net):
    """What write_weights takes, from a message with weights."""
    for layer in net.layer:
        blobs = [
            (list(b.shape.dim), np.array(b.data, np.float32), np.array(b.diff, np.float32))
            for b in layer.blobs
        ]
        bare = caffe_pb2.LayerParameter()
        bare.CopyFrom(layer)
        bare.ClearField("blobs")
        yield bare, [(shape, data, diff if diff.size else None) for shape, data, diff in blobs]


@pytest.mark.parametrize(
    "path", [FORMATS / "saved/weights.caffemodel", STATES / "snap_iter_4.caffemodel"]
)
def test_bytes_of_a_caffemodel_are_caffes(path, tmp_path):
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    caffemodel.write_weights(tmp_path / "w", net.name, _parts(net))
    assert (tmp_path / "w").read_bytes() == path.read_bytes()


def test_written_diffs_doubles_and_late_fields(tmp_path):
    layer = caffe_pb2.LayerParameter(name="ä", type="T", phase=1, bottom=["b"], loss_weight=[1])
    layer.inner_product_param.num_output = 2
    data, diff = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2], np.ones((2, 2), np.float32)
    blobs = [((2, 2), data, diff), ((), np.float64(0.1), None), ((0, 3), np.zeros((0, 3)), None)]
    caffemodel.write_weights(tmp_path / "w", "", [(layer, blobs)])
    layer.blobs.add(data=[0, 2, 3, 5], diff=[1] * 4).shape.dim.extend([2, 2])
    layer.blobs.add(double_data=[0.1])
    layer.blobs.add().shape.dim.extend([0, 3])
    net = caffe_pb2.NetParameter(name="", layer=[layer])
    assert (tmp_path / "w").read_bytes() == net.SerializeToString(deterministic=True)


def test_nothing_is_begun_beyond_two_gigabytes(tmp_path):
    big = np.broadcast_to(np.float32(1), (1 << 29,))
    pieces = [b"", np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (1 << 29,), (0,))]
    assert wire.byte_count(pieces) == big.nbytes == 1 << 31
    with pytest.raises(ValueError, match="2147483648 bytes.*write HDF5"):
        blob_proto.write_pieces(tmp_path / "w", pieces)
    assert os.listdir(tmp_path) == []
