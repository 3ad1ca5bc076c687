"""The work: FCN-8s on pictures given as arrays, as nets of our engine and as files for everybody."""

import importlib.util
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn import prototxts, surgery

from . import peer_onnx, peer_torch

ROOT = Path(__file__).resolve().parent.parent
SOLVER = """net: "{net}" test_iter: 1 test_interval: 999999999 test_initialization: false
base_lr: 1e-14 lr_policy: "fixed" momentum: 0.99 weight_decay: 0.0005 random_seed: 1"""
SIZES = (  # height, width: those that VOC's pictures have most often
    (375, 500),
    (500, 375),
    (333, 500),
    (500, 333),
    (334, 500),
    (332, 500),
    (500, 334),
    (281, 500),
)


def read(name, narrow=1, model="voc-fcn8s"):
    """A model's train or val net, all widths but the scores' divided by `narrow`."""
    net = prototxts.read_net(ROOT / model / f"{name}.prototxt")
    for layer in net.layer:
        if layer.type == "Convolution" and "score" not in layer.name:
            layer.convolution_param.num_output //= narrow
    return net


def prototxt(name, height, width, narrow=1, dropout=True):
    """voc-fcn8s with Input layers where its data layer was."""
    fed = caffe_pb2.NetParameter(name=f"fcn8s-{name}")
    for top, channels in (("data", 3), ("label", 1)):
        layer = fed.layer.add(name=top, type="Input", top=[top])
        layer.input_param.shape.add(dim=[1, channels, height, width])
    skipped = {"Python"} if dropout else {"Python", "Dropout"}
    fed.layer.extend(layer for layer in read(name, narrow).layer if layer.type not in skipped)
    return text_format.MessageToString(fed)


def fill(params, seed=0):
    """He-scaled random weights, a hundredth in the score layers; bilinear upsampling."""
    rng = np.random.default_rng(seed)
    for name, blobs in params.items():
        weight = blobs[0].data
        if "up" in name:
            weight[...] = 0
            weight[range(len(weight)), range(len(weight))] = surgery.upsample_filt(weight.shape[2])
            continue
        scale = np.sqrt(2 / np.prod(weight.shape[1:])) * (0.01 if "score" in name else 1)
        rng.standard_normal(out=weight.reshape(-1), dtype=np.float32)
        weight *= np.float32(scale)
        blobs[1].data[...] = 0.1 * rng.standard_normal(blobs[1].shape[0])


def pictures(height, width, count, seed=0):
    """Random pictures less a mean (1, 3, H, W) and their labels (1, 1, H, W), void at a tenth."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        x = (rng.random((1, 3, height, width)) * 255 - 115).astype(np.float32)
        label = rng.integers(0, 21, (1, 1, height, width)).astype(np.float32)
        label[rng.random(label.shape) < 0.1] = 255
        yield x, label


def stream(each, seed=0):
    """`each` pictures of every size of SIZES, in a random order."""
    sizes = list(SIZES) * each
    random.Random(seed).shuffle(sizes)
    for i, (height, width) in enumerate(sizes):
        yield next(pictures(height, width, 1, [seed, i]))[0]


def net(height, width, narrow=1, like=None):
    """The deploy net, with weights: its own, or those of a net that it is to be like."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(deploy(height, width, narrow))
        made = caffe.Net(str(path), caffe.TEST)
    if like:
        made.share_with(like)
    else:
        fill(made.params)
    return made


def deploy(height, width, narrow=1):
    """The deploy net's prototxt."""
    return text_format.MessageToString(prototxts.deploy(read("val", narrow), height, width))


def solver(height, width, narrow=1):
    """The published solver on such nets, test net included."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("train", "val"):
            Path(folder, f"{name}.prototxt").write_text(prototxt(name, height, width, narrow))
        text = SOLVER.replace('net: "{net}"', f'train_net: "{folder}/train.prototxt"')
        Path(folder, "solver.prototxt").write_text(f'{text} test_net: "{folder}/val.prototxt"')
        made = caffe.SGDSolver(str(Path(folder, "solver.prototxt")))
    fill(made.net.params)
    return made


def write(folder, height, width, narrow=1):
    """The net in every contestant's format: fcn8s.prototxt, .caffemodel, .pt, and .onnx with onnx."""
    made = net(height, width, narrow)
    (folder / "fcn8s.prototxt").write_text(deploy(height, width, narrow))
    made.save(str(folder / "fcn8s.caffemodel"))
    model = peer_torch.FCN8s(narrow=narrow)
    model.load(made.params)
    torch.save(model.state_dict(), folder / "fcn8s.pt")
    if importlib.util.find_spec("onnx"):
        peer_onnx.write(made.params, folder / "fcn8s.onnx")
