"""Nets whose memory is watched, and what they hold."""

import random

import numpy as np
from nets import conv, layer, random_net, source
from places import ROOT

import caffe
from fcn.prototxts import deploy, read_net, text_of

POOL = "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"


def net_with_everything():
    """Splits, a map that several layers read, layers in place, and layers that share memory."""
    text = source(30, 26) + conv("a", "data", 32, pad=9) + layer("a_relu", "ReLU", ["a"], "a")
    text += layer("p", "Pooling", ["a"], "p", POOL)
    text += conv("b", "p", 16) + layer("b_tanh", "TanH", ["b"], "b") + conv("c", "p", 16, 1, pad=0)
    text += layer("sum", "Eltwise", ["b", "c"], "sum")
    text += layer("one", "Concat", ["sum"], "one") + layer("norm", "LRN", ["one"], "norm")
    shape = "reshape_param { shape { dim: 0 dim: 4 dim: -1 } }"
    text += layer("flat", "Flatten", ["norm"], "flat") + layer(
        "shaped", "Reshape", ["flat"], "shaped", shape
    )
    text += conv("d", "norm", 8) + layer("both", "Concat", ["d", "c"], "both")
    text += layer("soft", "Softmax", ["both"], "soft") + layer("sig", "Sigmoid", ["shaped"], "sig")
    return text


def sample():
    """The net of the embedded task, which takes sizes 32 apart."""
    return text_of(deploy(read_net(ROOT / "voc-fcn8s/sample/deploy.prototxt"), 112, 144))


def caffenet():
    """CaffeNet's kinds of layers: groups, LRN, InnerProduct, Dropout."""
    text = source(67, 67, num=2) + conv("conv1", "data", 16, 11, 4, 0)
    text += layer("relu1", "ReLU", ["conv1"], "conv1")
    text += layer("pool1", "Pooling", ["conv1"], "pool1", POOL)
    text += layer("norm1", "LRN", ["pool1"], "norm1", "lrn_param { local_size: 5 }")
    text += conv("conv2", "norm1", 32, 5, pad=2, group=2) + layer("r2", "ReLU", ["conv2"], "conv2")
    filler = 'weight_filler { type: "gaussian" std: 0.1 }'
    for name, bottom in (("fc6", "conv2"), ("fc7", "fc6")):
        ip = f"inner_product_param {{ num_output: 12 {filler} }}"
        text += layer(name, "InnerProduct", [bottom], name, ip)
        text += layer(f"{name}_relu", "ReLU", [name], name)
        text += layer(f"{name}_drop", "Dropout", [name], name)
    return text + layer("prob", "Softmax", ["fc7"], "prob")


NETS = {
    "everything": net_with_everything,
    "sample of FCN-8s": sample,
    "CaffeNet's": caffenet,
    **{f"random {i}": lambda i=i: random_net(random.Random(i)) for i in range(12)},
}


def fill(net):
    """Weights that keep the maps' magnitude, where there are none."""
    rng = np.random.default_rng(7)
    for blobs in net.params.values():
        if not blobs[0].data.any():
            shape = list(blobs[0].shape)
            blobs[0].data[...] = rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5


def bytes_of(blobs, sides=("_data",)):
    """What blobs hold, memory that they share counted once."""
    memories = {id(m): m for blob in blobs for m in (getattr(blob, side) for side in sides)}
    flats = [flat for memory in memories.values() for flat in memory.sides.values()]
    return sum(flat.numel() * flat.element_size() for flat in flats)


LABELS = """layer { name: "label" type: "DummyData" top: "label"
  dummy_data_param { shape { dim: 2 dim: 1 dim: 30 dim: 26 } } }
"""


def training(folder, solver='type: "SGD" momentum: 0.9'):
    """A solver, and its net with every kind of sharing and a loss."""
    text = (
        source(30, 26, num=2)
        .replace('type: "Input"', 'type: "DummyData"')
        .replace("input_param {", 'dummy_data_param { data_filler { type: "gaussian" }')
    )
    text += LABELS + net_with_everything().partition("\n")[2]
    text += conv("e", "soft", 5) + layer("e_drop", "Dropout", ["e"], "e")
    text += layer("up", "Deconvolution", ["e"], "up", UP)
    text += layer("score", "Crop", ["up", "label"], "score", "crop_param { axis: 2 offset: 2 }")
    text += layer("loss", "SoftmaxWithLoss", ["score", "label"], "loss")
    text += layer("swallow", "Silence", ["sig"], "").replace('top: ""', "")
    (folder / "train.prototxt").write_text(text)
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/train.prototxt" base_lr: 0.01 lr_policy: "fixed" random_seed: 3 {solver}'
    )
    return caffe.get_solver(str(folder / "solver.prototxt"))


UP = """convolution_param { num_output: 5 kernel_size: 4 stride: 2
  weight_filler { type: "bilinear" } }"""


class Exhausted:
    """A layer's forward or backward that an allocator leaves in the lurch."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *args):
        raise self.error
