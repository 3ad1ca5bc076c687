"""Nets that make do with less memory: a TEST net's maps take over each other's."""

import torch

from .blob import Memory
from .layers import (
    conv,
    eltwise,
    inner_product,
    lrn,
    neuron,
    norm,
    pooling,
    scale,
    shape,
    softmax,
)

# Layers that can compute their tops a second time, without a trace, and what their forward leaves on
# them for backward: attribute -> bytes a value of the top. (What is drawn at random needs the
# generator as it was.)
REPEATABLE = {
    **dict.fromkeys((conv.Convolution, conv.Deconvolution, inner_product.InnerProduct), {}),
    **dict.fromkeys((shape.Split, shape.Concat, shape.Slice, shape.Crop, shape.Tile), {}),
    **dict.fromkeys((shape.Flatten, shape.Reshape, scale.Bias, softmax.Softmax), {}),
    **dict.fromkeys((neuron.ReLU, neuron.ELU, neuron.Sigmoid, neuron.TanH, neuron.Power), {}),
    **dict.fromkeys((neuron.AbsVal, neuron.BNLL, neuron.Clip, neuron.Exp, neuron.Log), {}),
    neuron.Swish: {"gate": 4},
    neuron.PReLU: {"before": 4},
    neuron.Dropout: {"mask": 4},
    pooling.Pooling: {"position": 8},
    lrn.LRN: {"scale": 4},
    norm.MVN: {"std": 0},
    scale.Scale: {"before": 4},
    eltwise.Eltwise: {"winner": 8},
}


class Pool:
    """Memory that maps have given back, for later maps: the smallest block that fits.

    On the CPU, where fresh memory costs about as much as computing a map does; PyTorch has a pool of
    its own for GPUs.
    """

    def __init__(self):
        self.free = []  # (device, block)
        self.wanted = 0  # values of the largest map of this pass

    def take(self, size, dtype, device):
        self.wanted = max(self.wanted, size)
        mine = [
            (block.numel(), i)
            for i, (where, block) in enumerate(self.free)
            if where == device and block.dtype == dtype
        ]
        fitting = [entry for entry in mine if entry[0] >= size]
        if fitting:
            return self.free.pop(min(fitting)[1])[1]
        if mine:  # a larger one takes its place
            self.free.pop(max(mine)[1])
        block = torch.empty(size, dtype=dtype, device=device)
        block.pool = self
        return block

    def give(self, block, device):
        # what a layer made itself it will make again: that would pile up here
        if device.type == "cpu" and getattr(block, "pool", None) is self:
            self.free.append((device, block))

    def trim(self):
        """Forget blocks that are larger than any map was since the last call."""
        self.free = [entry for entry in self.free if entry[1].numel() <= self.wanted]
        self.wanted = 0


class Reuse:
    """What `Net.reuse_memory` asked for: after its last reader has run, a map gives up its memory.

    Blobs may share memory (Split, Reshape and others): it is given up when none of them is needed.
    """

    def __init__(self, net, keep):
        self.net = net
        self.keep = keep
        self.asked = set()  # names that the pass's caller wants returned
        self.pool = Pool()
        self.first, self.last = lifetimes(net)
        self.fixed = {*net._inputs, *net._outputs} | fixed_tops(net)
        for index in range(len(net.layers)):
            self.after_forward(index)

    def begin(self, start, end):
        """Before a pass over layers start..end: what they make gets memory anew."""
        self.pool.trim()
        for blob, first in zip(self.net._blobs, self.first):
            if start <= first <= end and blob._data.lost:
                blob._data = Memory(0, self.pool)  # of the size that the layer's reshape says

    def after_forward(self, index):
        ended = (i for i, last in enumerate(self.last) if last == index)
        for memory in {id(m): m for m in (self.net._blobs[i]._data for i in ended)}.values():
            sharing = [i for i, blob in enumerate(self.net._blobs) if blob._data is memory]
            if all(self.last[i] <= index and not self.stays(i) for i in sharing):
                memory.give_up(self.reason(sharing))
        layer = self.net.layers[index]
        for name in REPEATABLE.get(type(layer), ()):
            setattr(layer, name, None)

    def stays(self, i):
        name = self.net._blob_names[i]
        return i in self.fixed or name in self.keep or name in self.asked

    def reason(self, sharing):
        names = [self.net._blob_names[i] for i in sharing]
        one = " and ".join(map(repr, names))
        return (
            f"blob {one}: its memory was reused, as reuse_memory() of net {self.net.name!r} wants it; to "
            f"read it after a forward: reuse_memory(keep=[{names[0]!r}]), or forward(blobs=[{names[0]!r}])"
        )


def lifetimes(net):
    """Of each blob the first and the last layer that has it as top or bottom."""
    first, last = [None] * len(net._blobs), [None] * len(net._blobs)
    for index, (bottoms, tops) in enumerate(zip(net._bottom_index, net._top_index)):
        for i in (*bottoms, *tops):
            first[i] = index if first[i] is None else first[i]
            last[i] = index
    return first, last


def fixed_tops(net):
    """Tops that a layer may count on finding as it left them: a source's and a Python layer's."""
    return {
        i
        for layer, tops in zip(net.layers, net._top_index)
        for i in tops
        if not layer.layer_param.bottom or not type(layer).__module__.startswith("caffe.layers.")
    }
