"""A small net, and its weights as other libraries keep them."""

import numpy as np
import torch
from nets import layer

SHAPE = "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } }"
DATA = f'layer {{ name: "data" type: "Input" top: "data" {SHAPE} }}\n'


def conv(name, bottom, outputs, kernel=3):
    text = f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} }}"
    return layer(name, "Convolution", [bottom], name, text)


def dense(name, bottom, outputs, more=""):
    return layer(
        name,
        "InnerProduct",
        [bottom],
        name,
        f"inner_product_param {{ num_output: {outputs} {more} }}",
    )


POOL = layer("pool", "Pooling", ["conv1_2"], "pool", "pooling_param { kernel_size: 2 stride: 2 }")
NET = DATA + conv("conv1_1", "data", 4) + conv("conv1_2", "conv1_1", 4) + POOL
NET += dense("fc2", "pool", 6) + dense("fc3", "fc2", 5)
LAYERS = ["conv1_1", "conv1_2", "fc2", "fc3"]


def arrays(net):
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def same(net, wanted):
    assert net.params.keys() == wanted.keys()
    for name, blobs in wanted.items():
        for blob, array in zip(net.params[name], blobs):
            assert np.array_equal(blob.data, array), name


def tensors(net, names=None):
    names = names or {name: name for name in net.params}
    return {
        f"{names[name]}.{part}": torch.from_numpy(blob.data.copy())
        for name, blobs in net.params.items()
        for part, blob in zip(("weight", "bias"), blobs)
    }
