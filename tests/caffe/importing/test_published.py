"""State_dicts that torchvision and pytorch-fcn publish, by their names and shapes; the weights are random."""

import numpy as np
import pytest
import torch
from foreign import DATA, LAYERS, NET, arrays, same, tensors
from narrow import build, filled, narrowed
from nets import layer
from places import ROOT
from torch import nn

import caffe
from caffe.exporting import deploy
from caffe.files import read

VGG = (2, 2, 3, 3, 3)  # convolutions between poolings


def vgg16_keys():
    """torchvision's names of VGG-16's layers, and Caffe's."""
    found, at = [], 0
    for block, count in enumerate(VGG, 1):
        for i in range(1, count + 1):
            found.append((f"features.{at}", f"conv{block}_{i}"))
            at += 2
        at += 1
    return found + [(f"classifier.{3 * k}", f"fc{6 + k}") for k in range(3)]


def saved(net, path, names):
    """A state_dict of the net's weights under other names, in the order of the names."""
    shapes = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    state = {
        f"{theirs}.{role}": torch.from_numpy(array)
        for theirs, own in names
        for role, array in zip(("weight", "bias"), shapes[own])
    }
    torch.save(state, path)
    return state


def test_torchvisions_vgg16(tmp_path):
    param = narrowed(read.read_net(ROOT / "ilsvrc-nets/vgg16.prototxt"), 16)
    param.layer[0].input_param.shape[0].dim[2:] = (32, 32)
    net = build(param, tmp_path)
    other = filled(caffe.Net(str(tmp_path / "narrow.prototxt"), caffe.TEST), seed=1)
    saved(net, tmp_path / "vgg16.pth", vgg16_keys())
    report = caffe.import_weights(other, tmp_path / "vgg16.pth")
    assert len(report.copied) == 16 and not (report.missing or report.ignored or report.coerced)
    same(other, arrays(net))


# FCN-8s, -16s, -32s of pytorch-fcn: what is behind VGG-16's layers
HEADS = {
    "voc-fcn32s": ["score_fr", "upscore"],
    "voc-fcn16s": ["score_fr", "score_pool4", "upscore2", "upscore16"],
    "voc-fcn8s": [
        "score_fr",
        "score_pool3",
        "score_pool4",
        "upscore2",
        "upscore8",
        "upscore_pool4",
    ],
}


@pytest.mark.parametrize("model", HEADS)
def test_pytorch_fcns_published_weights(model, tmp_path):
    """Its layers have Caffe's names; transposed convolutions have no bias."""
    body = [name for _, name in vgg16_keys()[:-1]]
    param = narrowed(read.read_net(ROOT / model / "val.prototxt"), 64)
    (tmp_path / "net.prototxt").write_text(str(param))
    shapes = {"data": [1, 3, 32, 32]}
    net, other = (
        filled(deploy.of_file(tmp_path / "net.prototxt", shapes=shapes)[0], seed) for seed in (0, 1)
    )
    state = saved(net, tmp_path / "fcn.pth", [(name, name) for name in [*body, *HEADS[model]]])
    assert not [key for key in state if key.startswith("upscore") and key.endswith("bias")]
    report = caffe.import_weights(other, tmp_path / "fcn.pth")
    assert not (report.missing or report.ignored or report.coerced)
    same(other, arrays(net))


class Block(nn.Module):
    """A block of torchvision's ResNets, of three layers; its shortcut is registered last."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        sizes = (inputs, width, 1, 1, 0), (width, width, 3, stride, 1), (width, 2 * width, 1, 1, 0)
        for i, (before, after, kernel, step, pad) in enumerate(sizes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(before, after, kernel, step, pad, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(after))
        self.downsample = nn.Sequential(
            nn.Conv2d(inputs, 2 * width, 1, stride, bias=False), nn.BatchNorm2d(2 * width)
        )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet(nn.Module):
    """Two blocks; in the first the shortcut and the last layer are of one shape."""

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(Block(4, 4, 1))
        self.layer2 = nn.Sequential(Block(8, 6, 2))
        self.fc = nn.Linear(12, 3)

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


def normalized(name, bottom, outputs, kernel=1, stride=1):
    """Convolution, BatchNorm and Scale, as Caffe's ResNets have them."""
    settings = f"num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} stride: {stride}"
    text = layer(
        f"res{name}",
        "Convolution",
        [bottom],
        f"res{name}",
        f"convolution_param {{ {settings} bias_term: false }}",
    )
    text += layer(f"bn{name}", "BatchNorm", [f"res{name}"], f"res{name}")
    return text + layer(
        f"scale{name}", "Scale", [f"res{name}"], f"res{name}", "scale_param { bias_term: true }"
    )


def block(name, bottom, width, strides):
    """A block whose shortcut comes first."""
    text = normalized(f"{name}_branch1", bottom, 2 * width, stride=max(strides))
    for part, outputs, kernel, stride in zip("abc", (width, width, 2 * width), (1, 3, 1), strides):
        text += normalized(f"{name}_branch2{part}", bottom, outputs, kernel, stride)
        bottom = f"res{name}_branch2{part}"
        text += layer(f"{name}{part}", "ReLU", [bottom], bottom) if part != "c" else ""
    text += layer(f"res{name}", "Eltwise", [f"res{name}_branch1", bottom], f"res{name}")
    return text + layer(f"{name}_relu", "ReLU", [f"res{name}"], f"res{name}")


def resnet(strides):
    text = DATA.replace("dim: 3 ", "dim: 4 ") + block("2a", "data", 4, (1, 1, 1))
    text += block("3a", "res2a", 6, strides)
    text += layer(
        "pool", "Pooling", ["res3a"], "pool", "pooling_param { pool: AVE global_pooling: true }"
    )
    return text + layer(
        "fc", "InnerProduct", ["pool"], "fc", "inner_product_param { num_output: 3 }"
    )


@pytest.fixture
def torchvisions(tmp_path):
    """A ResNet with statistics, saved under torchvision's names."""
    torch.manual_seed(0)
    module = ResNet()
    with torch.no_grad():
        module(torch.randn(9, 4, 8, 8))
        for values in module.parameters():
            values.add_(torch.randn_like(values) / 4)
    torch.save(module.state_dict(), tmp_path / "resnet.pth")
    return module.eval(), tmp_path / "resnet.pth"


def test_shortcuts_come_first_in_caffes_resnets(net_of, torchvisions):
    module, path = torchvisions
    net, x = net_of(resnet((1, 2, 1))), torch.randn(1, 4, 8, 8)
    report = caffe.import_weights(net, path)
    assert len(report.copied) == 25 and not (report.missing or report.ignored or report.coerced)
    net.blobs["data"].data[...] = x
    with torch.no_grad():
        assert np.allclose(net.forward()["fc"], module(x).numpy(), rtol=1e-4, atol=1e-5)


def test_strides_in_other_layers_are_said(net_of, torchvisions, monkeypatch):
    said = []
    monkeypatch.setattr("caffe.importing.warning", lambda source, text: said.append(text))
    caffe.import_weights(net_of(resnet((1, 2, 1))), torchvisions[1])
    assert not said
    caffe.import_weights(net_of(resnet((2, 1, 1))), torchvisions[1])
    assert "halve maps in a block's 3 x 3 layer, this one in res3a_branch2a" in said[0]


def test_another_net_is_refused_unless_asked_for(net_of, tmp_path):
    """One for pictures of five channels: what is behind the first layer fits by chance."""
    net = filled(net_of(NET))
    names = dict(zip(LAYERS, ("features.0", "features.2", "classifier.0", "classifier.3")))
    torch.save(tensors(net, names), tmp_path / "net.pth")
    other = filled(net_of(NET.replace("dim: 3 ", "dim: 5 ")), seed=1)
    before = arrays(other)
    with pytest.raises(ValueError, match=r"another net's: conv1_1 of the net has \[4, 5, 3, 3\]"):
        caffe.import_weights(other, tmp_path / "net.pth")
    same(other, before)
    report = caffe.import_weights(other, tmp_path / "net.pth", by="order")
    assert (report.missing, report.ignored) == (["conv1_1"], ["features.0"])


def test_statistics_under_the_name_of_a_scale(net_of, tmp_path):
    """As brocolli names a BatchNorm's two layers, and a state_dict the one."""
    text = DATA + layer("norm_bn", "BatchNorm", ["data"], "norm")
    text += layer("norm", "Scale", ["norm"], "norm", "scale_param { bias_term: true }")
    module, x = nn.BatchNorm2d(3), torch.randn(5, 3, 8, 8) * 2 + 1
    module(x)
    nn.init.normal_(module.weight), nn.init.normal_(module.bias)
    torch.save(
        {f"norm.{key}": value for key, value in module.state_dict().items()}, tmp_path / "net.pth"
    )
    net = net_of(text)
    assert caffe.import_weights(net, tmp_path / "net.pth").copied == ["norm_bn", "norm"]
    net.blobs["data"].data[...] = x[:1]
    assert np.allclose(net.forward()["norm"], module.eval()(x[:1]).detach(), atol=1e-5)
    alone = DATA + layer("norm", "Scale", ["data"], "norm", "scale_param { bias_term: true }")
    with pytest.raises(
        ValueError, match=r"norm holds running statistics, which norm of the net \(Scale\)"
    ):
        caffe.import_weights(net_of(alone), tmp_path / "net.pth")
