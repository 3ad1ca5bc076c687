"""State_dicts of PyTorch in a net, and what was exported coming back."""

import sys

import numpy as np
import pytest
import replay
import torch
from foreign import DATA, LAYERS, POOL, arrays, conv, dense, same, tensors
from narrow import build, filled, narrowed
from nets import layer
from places import GOLDEN, ROOT
from torch import nn

import caffe

sys.path.insert(0, str(ROOT / "examples"))
import known_nets


def test_a_state_dict_by_name(nets, tmp_path):
    net, other = nets
    torch.save(tensors(net), tmp_path / "net.pth")
    report = caffe.import_weights(other, tmp_path / "net.pth")
    same(other, arrays(net))
    assert (report.copied, report.coerced, report.missing, report.ignored) == (LAYERS, [], [], [])


def test_layers_that_torchvision_numbers(nets, tmp_path):
    net, other = nets
    names = dict(zip(LAYERS, ("features.0", "features.2", "classifier.0", "classifier.3")))
    torch.save(tensors(net, names), tmp_path / "net.pth")
    caffe.import_weights(other, tmp_path / "net.pth")
    same(other, arrays(net))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {"inner": state}, "optimizer": {}},
        lambda state: {f"module.{key}": tensor for key, tensor in state.items()},
        lambda state: {key: tensor.bfloat16().float().bfloat16() for key, tensor in state.items()},
    ],
)
def test_state_dicts_as_people_save_them(nets, tmp_path, wrap):
    net, other = nets
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = torch.from_numpy(blob.data).bfloat16().float().numpy()
    torch.save(wrap(tensors(net)), tmp_path / "net.pth")
    caffe.import_weights(other, tmp_path / "net.pth")
    same(other, arrays(net))


def test_a_classifier_in_fully_convolutional_form(nets, net_of, tmp_path):
    """Torchvision's VGG-16 in an FCN: the first inner product becomes a convolution, the last layer
    has no place, the scores' layers are not in the file."""
    net, _ = nets
    names = dict(zip(LAYERS, ("features.0", "features.2", "classifier.0", "classifier.3")))
    torch.save(tensors(net, names), tmp_path / "net.pth")
    text = DATA + conv("conv1_1", "data", 4) + conv("conv1_2", "conv1_1", 4) + POOL
    text += conv("fc2", "pool", 6, 4) + conv("score", "fc2", 2, 1)
    fcn = net_of(text)
    report = caffe.import_weights(fcn, tmp_path / "net.pth")
    assert report.copied == ["conv1_1", "conv1_2", "fc2"] and report.missing == ["score"]
    assert report.coerced == [("fc2", 0, [6, 64], [6, 4, 4, 4])] and report.ignored == [
        "classifier.3"
    ]
    assert np.array_equal(fcn.params["fc2"][0].data.ravel(), net.params["fc2"][0].data.ravel())


def test_batch_normalization_goes_to_two_layers(net_of, tmp_path):
    text = DATA + conv("conv", "data", 4) + layer("norm", "BatchNorm", ["conv"], "conv")
    text += layer("scale", "Scale", ["conv"], "conv", "scale_param { bias_term: true }")
    net = net_of(text)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
    x = torch.randn(5, 3, 8, 8)
    module(x)
    nn.init.normal_(module[1].weight), nn.init.normal_(module[1].bias)
    torch.save(module.state_dict(), tmp_path / "net.pth")
    report = caffe.import_weights(net, tmp_path / "net.pth")
    assert report.copied == ["conv", "norm", "scale"]
    net.blobs["data"].data[...] = x[:1]
    wanted = module.eval()(x[:1]).detach().numpy()
    assert np.allclose(net.forward()["conv"], wanted, atol=1e-5)


def test_a_factor_without_a_scale_has_no_place(net_of, tmp_path):
    net = net_of(DATA + layer("bn", "BatchNorm", ["data"], "bn"))
    module = nn.BatchNorm2d(3)
    torch.save({f"bn.{k}": v for k, v in module.state_dict().items()}, tmp_path / "plain.pth")
    assert caffe.import_weights(net, tmp_path / "plain.pth").copied == ["bn"]
    nn.init.normal_(module.weight)
    torch.save({f"bn.{k}": v for k, v in module.state_dict().items()}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="bn has a factor and a bias.*no Scale behind it"):
        caffe.import_weights(net, tmp_path / "net.pth")


@pytest.mark.parametrize("outputs", [6, 64])
def test_transposed_inner_products(net_of, tmp_path, outputs):
    """Square ones, too, of which shapes say nothing."""
    text = layer("flat", "Reshape", ["data"], "flat", "reshape_param { shape { dim: 0 dim: -1 } }")
    net = net_of(
        DATA.replace("dim: 3 ", "dim: 1 ") + text + dense("fc", "flat", outputs, "transpose: true")
    )
    linear = nn.Linear(64, outputs)
    torch.save({"fc.weight": linear.weight.data, "fc.bias": linear.bias.data}, tmp_path / "net.pth")
    caffe.import_weights(net, tmp_path / "net.pth")
    x = torch.randn(1, 1, 8, 8)
    net.blobs["data"].data[...] = x
    assert np.allclose(net.forward()["fc"], linear(x.flatten(1)).detach(), atol=1e-5)


@pytest.mark.parametrize("name", ["googlenet", "resnet50", "squeezenet"])
def test_what_was_exported_comes_back(name, tmp_path):
    param = narrowed(known_nets.net(name, 1, (64, 64)), 16)
    net = build(param, tmp_path)
    caffe.export(net, tmp_path / "net.py", gradients=False)
    other = filled(caffe.Net(str(tmp_path / "narrow.prototxt"), caffe.TEST), seed=5)
    report = caffe.import_weights(other, tmp_path / "net.pth")
    assert report.missing == report.ignored == report.coerced == []
    same(other, arrays(net))


@pytest.mark.parametrize(
    "case",
    [
        *("BatchNorm_test_scale_factor", "Bias_default", "Embed_bias", "InnerProduct_transpose"),
        *("LSTM_static", "PReLU_shared", "Parameter_alone", "RNN_static", "Scale_bias"),
    ],
)
def test_every_kind_of_parameter_comes_back(case, tmp_path):
    with replay.working_in(GOLDEN / "layers"):
        net, other = (caffe.Net(f"{case}.prototxt", caffe.TEST) for _ in range(2))
    replay.write(net, np.load(GOLDEN / "layers" / f"{case}.npz"), "param")
    caffe.export(net, tmp_path / "net.py", gradients=False)
    for blobs in other.params.values():
        for blob in blobs:
            blob.data[...] = 7
    assert caffe.import_weights(other, tmp_path / "net.pth").missing == []
    if case.startswith("BatchNorm"):  # the sums come back divided
        ((mean, variance, factor),) = net.params.values()
        wanted = mean.data / factor.data, variance.data / factor.data, [1]
        for blob, array in zip(next(iter(other.params.values())), wanted):
            assert np.allclose(blob.data, array, rtol=1e-6)
    else:
        same(other, arrays(net))
