"""Net: what a user gets told, what stays whole when something fails, who needs backward."""

import numpy as np
import pytest

import caffe
from caffe.proto import caffe_pb2

DATA = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
IP = """layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 4 weight_filler { type: "gaussian" } } }\n"""


def test_partial_forward_and_backward(net_of):
    net = net_of(
        "force_backward: true\n"
        + DATA
        + IP
        + 'layer { name: "tanh" type: "TanH" bottom: "ip" top: "y" }'
    )
    net.blobs["data"].data[...] = 1
    net.forward(end="ip")
    assert net.blobs["ip"].data.any() and not net.blobs["y"].data.any()
    net.blobs["ip"].data[...] = 0.5
    with pytest.raises(ValueError, match="no layer 'tahn'.*the nearest known is 'tanh'"):
        net.forward(start="tahn")
    out = net.forward(start="tanh")
    np.testing.assert_allclose(out["y"], np.tanh(0.5), rtol=1e-6)
    net.blobs["y"].diff[...] = 1
    net.backward(end="tanh")
    np.testing.assert_allclose(net.blobs["ip"].diff, 1 - np.tanh(0.5) ** 2, rtol=1e-5)
    assert not net.blobs["data"].diff.any()


def test_an_unknown_layer_names_the_nearest_known_one(net_of):
    with pytest.raises(ValueError, match=r"layer 'c' \(Convolutoin\).*did you mean Convolution\?"):
        net_of(DATA + 'layer { name: "c" type: "Convolutoin" bottom: "data" top: "c" }')


def test_a_prototxt_that_does_not_parse_names_file_and_line(net_of):
    with pytest.raises(ValueError, match=r"net\.prototxt:3:"):
        net_of(DATA + 'layer { name: "ip"\n  tipe: "InnerProduct" }')


def test_weights_of_another_shape_name_both_shapes_and_change_nothing(net_of, tmp_path):
    def inner_product(name, bottom, outputs):
        return (
            f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}"'
            f" inner_product_param {{ num_output: {outputs} }} }}\n"
        )

    first = DATA + inner_product("a", "data", 4)
    giver = net_of(first + inner_product("b", "a", 5))
    for blobs in giver.params.values():
        blobs[0].data[...] = 7
    path = str(tmp_path / "w.caffemodel")
    giver.save(path)
    taker = net_of(first + inner_product("b", "a", 6))
    with pytest.raises(ValueError, match=r"layer 'b'.*\[6, 4\].*\[5, 4\]"):
        taker.copy_from(path)
    assert not taker.params["a"][0].data.any()


def test_a_file_cut_before_its_first_weights_is_refused(net_of, tmp_path):
    """A cut between two layers leaves a whole file; with no weights in it, it is still none."""
    net = net_of(DATA + IP)
    message = caffe_pb2.NetParameter(name="cut", layer=[caffe_pb2.LayerParameter(name="data")])
    path = tmp_path / "cut.caffemodel"
    path.write_bytes(message.SerializeToString())
    with pytest.raises(ValueError, match="cut.caffemodel: no weights in it"):
        net.copy_from(path)


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_truncated_weights_are_refused_whole(keep, net_of, tmp_path):
    path = tmp_path / "w.caffemodel"
    net = net_of(DATA + IP)
    net.save(str(path))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    before = net.params["ip"][0].data.copy()
    with pytest.raises(ValueError, match="w.caffemodel"):
        net.copy_from(str(path))
    assert (net.params["ip"][0].data == before).all()


def test_weights_without_a_matching_layer_are_warned_about(net_of, tmp_path, monkeypatch):
    path, said = str(tmp_path / "w.caffemodel"), []
    net_of(DATA + IP).save(path)
    monkeypatch.setattr("caffe.files.weights.warning", lambda where, text: said.append(text))
    net_of(DATA + IP.replace('name: "ip"', 'name: "other"')).copy_from(path)
    assert len(said) == 1 and "nothing was loaded" in said[0]


def test_saving_over_a_file_is_whole_or_not_at_all(net_of, tmp_path, monkeypatch):
    path = tmp_path / "w.caffemodel"
    net = net_of(DATA + IP)
    net.save(str(path))
    before = path.read_bytes()

    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        net.save(str(path))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if "caffemodel" in p.name] == ["w.caffemodel"]


def test_a_label_branch_needs_no_backward(net_of):
    net = net_of(
        DATA
        + IP
        + 'layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }',
        caffe.TRAIN,
    )
    needs = dict(zip(net._layer_names, net._topology.layer_need_backward))
    assert needs == {"data": False, "ip": True, "label": False, "loss": True}
    net.blobs["data"].data[...] = 1
    net.forward()
    net.backward()
    assert net.params["ip"][0].diff.any() and not net.blobs["data"].diff.any()


def test_no_gpu_says_what_to_do():
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match="set_mode_cpu"):
        caffe.set_mode_gpu()
