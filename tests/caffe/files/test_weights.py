"""Files whose names are no UTF-8 text: they are loaded, or refused in a sentence that names them.

Caffe's C++ writes and reads any bytes; protobuf's Python returns such strings as bytes.
"""

import h5py
import numpy as np
import pytest

import caffe
from caffe.files import caffemodel, hdf5, solverstate
from caffe.files.read import read_net_binary
from caffe.files.stored import BlobValues
from caffe.proto import caffe_pb2

NET = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 1 } }
"""
LATIN = "f\xfcnf".encode("latin-1")
SHOWN = r"f\xfcnf"


def latin(path, message):
    """Write a message, the name "f_nf" replaced by bytes that are no UTF-8."""
    path.write_bytes(message.SerializeToString().replace(b"f_nf", LATIN))
    return path


def blob(*values):
    return caffe_pb2.BlobProto(data=values, shape={"dim": [len(values)]})


@pytest.fixture
def warnings(monkeypatch):
    texts = []
    monkeypatch.setattr("caffe.files.weights.warning", lambda where, text: texts.append(text))
    return texts


def test_a_caffemodel_of_other_layers_with_names_of_any_bytes(net_of, tmp_path, warnings):
    net = net_of(NET)
    layers = [caffe_pb2.LayerParameter(name=name, blobs=[blob(1)]) for name in ("f_nf", "other")]
    path = latin(tmp_path / "w.caffemodel", caffe_pb2.NetParameter(layer=layers))
    net.copy_from(path)
    assert len(warnings) == 1
    assert rf"none of its layers with weights ({SHOWN}, other) has the name of" in warnings[0]


@pytest.mark.parametrize("v0", [False, True])
def test_old_layers_with_names_of_any_bytes(net_of, tmp_path, warnings, v0):
    net = net_of(NET)
    old = caffe_pb2.V1LayerParameter(name="f_nf", blobs=[blob(1)])
    if v0:
        inner = caffe_pb2.V0LayerParameter(name="f_nf", type="conv", blobs=[blob(1)])
        old = caffe_pb2.V1LayerParameter(layer=inner)
    path = latin(tmp_path / "w.caffemodel", caffe_pb2.NetParameter(layers=[old]))
    net.copy_from(path)
    assert f"({SHOWN})" in warnings[0]


def test_an_hdf5_file_of_other_layers_with_names_of_any_bytes(net_of, tmp_path, warnings):
    net = net_of(NET)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("data").create_group(LATIN).create_dataset("0", data=np.ones(1))
    net.copy_from(tmp_path / "w.h5")
    assert f"({SHOWN})" in warnings[0]
    warnings[0].encode("utf-8")


def test_damaged_weights_of_a_layer_with_a_name_of_any_bytes(tmp_path):
    layer = caffe_pb2.LayerParameter(name="f_nf", blobs=[blob(1, 2)])
    layer.blobs[0].shape.dim[0] = 3
    path = latin(tmp_path / "w.caffemodel", caffe_pb2.NetParameter(layer=[layer]))
    with pytest.raises(ValueError) as caught:
        caffemodel.read_weights(path)
    assert f"layer '{SHOWN}': blob 0: 2 values for shape [3]" in str(caught.value)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("data").create_group(LATIN).create_dataset(LATIN, data=np.ones(1))
    with pytest.raises(ValueError) as caught:
        hdf5.read_weights(tmp_path / "w.h5")
    assert f"layer '{SHOWN}' has datasets" in str(caught.value)
    str(caught.value).encode("utf-8")


def test_an_old_net_whose_names_are_no_text_is_refused_with_the_file(tmp_path):
    old = caffe_pb2.V1LayerParameter(name="f_nf", type=caffe_pb2.V1LayerParameter.RELU)
    path = latin(tmp_path / "w.caffemodel", caffe_pb2.NetParameter(layers=[old]))
    with pytest.raises(ValueError, match=r"w.caffemodel: b'f\\xfcnf' is not UTF-8 text"):
        read_net_binary(path)


@pytest.mark.parametrize("module", [solverstate, hdf5])
def test_a_state_may_name_weights_in_a_folder_of_any_bytes(module, tmp_path):
    path = LATIN.decode("utf-8", "surrogateescape") + "/w.caffemodel"
    module.write_state(tmp_path / "s", 3, path, 0, [])
    assert module.read_state(tmp_path / "s").learned_net == path
    assert LATIN in (tmp_path / "s").read_bytes()


def test_weights_of_another_shape_are_refused_with_a_way_out(net_of, tmp_path):
    """The engine's own words: it knows nothing of FCN's transplant."""
    net = net_of(NET)
    layer = caffe_pb2.LayerParameter(name="ip")
    values = [BlobValues((1, 1, 1, 2), np.ones(2)), BlobValues((1,), np.ones(1))]
    caffemodel.write_weights(tmp_path / "w.caffemodel", "", [(layer, values)])
    before = net.params["ip"][0].data.copy()
    with pytest.raises(ValueError, match=r"the file \[1, 1, 1, 2\]: rename the layer") as caught:
        net.copy_from(tmp_path / "w.caffemodel")
    assert "net.params['ip'][0].data.flat = other.params['ip'][0].data.flat" in str(caught.value)
    assert "surgery" not in str(caught.value)
    assert (net.params["ip"][0].data == before).all()


def test_shapes_are_read_without_values(net_of, tmp_path):
    net = net_of(
        """layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }
        layer { name: "c" type: "Convolution" bottom: "d" top: "c"
                convolution_param { num_output: 3 kernel_size: 2 } }
        layer { name: "r" type: "ReLU" bottom: "c" top: "c" }"""
    )
    wanted = {"c": [[3, 2, 2, 2], [3]]}
    net.save(str(tmp_path / "net.caffemodel"))
    net.save_hdf5(str(tmp_path / "net.caffemodel.h5"))
    for name in ("net.caffemodel", "net.caffemodel.h5"):
        assert caffe.weight_shapes(tmp_path / name) == wanted
    (tmp_path / "net.caffemodel").write_bytes((tmp_path / "net.caffemodel").read_bytes()[:-3])
    with pytest.raises(ValueError, match="truncated"):
        caffe.weight_shapes(tmp_path / "net.caffemodel")
    with pytest.raises(RuntimeError):
        caffe.weight_shapes(tmp_path / "nowhere.caffemodel")
