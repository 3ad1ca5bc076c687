"""How much memory a net needs, before and after there was none left; TEST nets whose maps take over
each other's."""

import functools
import os
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from . import context
from .blob import Blob, Memory
from .layer import LAYER_TYPES
from .layers import (
    conv,
    eltwise,
    inner_product,
    lrn,
    neuron,
    norm,
    pooling,
    scale,
    select,
    shape,
    softmax,
)
from .proto import caffe_pb2

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


# Messages of allocators that raise no type of their own
EXHAUSTED = ("can't allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
GIB = 2**30
SMALLEST = 0.05  # of a picture's sides, where the search for a size that fits ends


class OutOfMemory(MemoryError, RuntimeError):
    """There is not enough memory for a net: how much it needs, and what would fit."""


class Need(NamedTuple):
    """Bytes that a net needs; `work`, what layers keep for backward or compute in, is an estimate."""

    weights: int
    maps: int
    diffs: int = 0
    history: int = 0
    work: int = 0

    @property
    def total(self):
        return sum(self)

    def __str__(self):
        parts = ", ".join(
            f"{part} {size / GIB:.2f}" for part, size in self._asdict().items() if size
        )
        return f"about {self.total / GIB:.2f} GiB ({parts})"


def need(net, blobs=None, way=None) -> Need:
    """What a net needs at its present shapes, or at those of `blobs`; nothing is allocated.

    For a TRAIN net: forward, backward and update. `way`: of a net with the maps kept as that object
    (Reuse) keeps them; default: as the net does.
    """
    blobs = net._blobs if blobs is None else blobs
    way = way or net._reuse
    value = torch.finfo(context.dtype()).bits // 8
    sizes = [blob._count * value for blob in blobs]
    params = {id(p._data): p._count * value for layer in net.layers for p in layer.blobs}
    weights, learned = sum(params.values()), sum(p._count * value for p in net.learnable_params)
    if net.phase == caffe_pb2.TEST:
        maps = way.peak(sizes) if way else _distinct(net, sizes, "data", range(len(sizes)))
        return Need(weights, maps, work=_layouts(net, value) + _largest(net, sizes))
    maps = _distinct(net, sizes, "data", range(len(sizes)))
    wanted = set()  # tops, whose diffs are read, and bottoms, whose are written
    rows = zip(
        net._layer_need_backward, net._top_index, net._bottom_index, net._bottom_need_backward
    )
    for needed, tops, bottoms, flags in rows:
        if needed:
            wanted.update(tops, (i for i, flag in zip(bottoms, flags) if flag))
    diffs = learned + _distinct(net, sizes, "diff", wanted)
    left = sum(
        sum(REPEATABLE.get(type(layer), {}).values()) * blobs[ids[0]]._count
        for layer, ids in zip(net.layers, net._top_index)
        if ids
    )
    return Need(weights, maps, diffs, net._histories * learned, left + 2 * _largest(net, sizes))


def _distinct(net, sizes, side, ids):
    """Bytes of blobs, memory that they share counted once."""
    roots = shared(net, side)
    largest = {}
    for i in ids:
        largest[roots[i]] = max(largest.get(roots[i], 0), sizes[i])
    return sum(largest.values())


def _largest(net, sizes):
    """The bottoms and tops of the largest layer that computes: a copy of them, laid out otherwise."""
    return max(
        (
            sum(sizes[i] for i in (*bottoms, *tops))
            for layer, bottoms, tops in zip(net.layers, net._bottom_index, net._top_index)
            if isinstance(layer, conv.Convolving)
        ),
        default=0,
    )


def _layouts(net, value):
    """Weights that a TEST net on the CPU keeps a second time, as its kernels read them."""
    if context.device() != context.CPU:
        return 0
    layers = [layer for layer in net.layers if isinstance(layer, conv.Convolution)]
    counts = [(4 if layer.kernel == [3, 3] else 1) * layer.blobs[0]._count for layer in layers]
    return value * (sum(counts) + max(counts, default=0))  # the largest while it is made


def shared(net, side):
    """For each blob the first of those whose data ("data") or diffs ("diff") it shares."""
    roots = list(range(len(net._blobs)))
    for layer, bottoms, tops in zip(net.layers, net._bottom_index, net._top_index):
        alone = len(bottoms) == len(tops) == 1
        if (
            isinstance(layer, (shape.Flatten, shape.Reshape))
            or (isinstance(layer, shape.AlongAxis) and alone)
            or (isinstance(layer, shape.Split) and side == "data")
        ):
            for i in tops:
                roots[i] = roots[bottoms[0]]
    return roots


# ---- other sizes


def built_in(layer):
    return LAYER_TYPES.get(layer.type) is type(layer) and type(layer).__module__.startswith(
        f"{__package__}.layers."
    )


def foreseeable(net):
    """Whether a net's shapes follow from its inputs' alone, without running anybody's code."""
    return all(
        built_in(layer) and not isinstance(layer, select.Filter) or not layer.layer_param.bottom
        for layer in net.layers
    )


def shapes_if(net, change):
    """Blobs without memory, of the shapes that the net's would have after change(shape) of what its
    sources give; ValueError where a layer cannot take them."""
    blobs = [Blob(blob._shape) for blob in net._blobs]
    indices = list(zip(net.layers, net._bottom_index, net._top_index))
    changed = []
    try:
        for layer, bottoms, tops in indices:
            if layer.layer_param.bottom:
                changed.append((layer, bottoms, tops))
                layer.reshape([blobs[i] for i in bottoms], [blobs[i] for i in tops])
            else:
                for i in tops:
                    blobs[i].set_shape(change(blobs[i]._shape))
    finally:
        for layer, bottoms, tops in changed:  # what a reshape leaves on the layer
            layer.reshape([net._blobs[i] for i in bottoms], [net._blobs[i] for i in tops])
    return blobs


def picture_that_fits(net, room):
    """(height, width) of the largest pictures, of the present shape, with which the net needs no
    more than `room` bytes; None where there are none, or it cannot be told."""
    source = next((b for b in _sources(net) if b.num_axes == 4 and min(b._shape[2:]) > 1), None)
    if source is None or not foreseeable(net):
        return None
    scale = 1.0
    while (scale := scale * 0.98) > SMALLEST:

        def smaller(shape, scale=scale):
            if len(shape) != 4 or min(shape[2:]) <= 1:
                return shape
            return [*shape[:2], *(max(1, round(size * scale)) for size in shape[2:])]

        try:
            fits = need(net, shapes_if(net, smaller)).total <= room
        except ValueError:  # not all nets take all sizes
            continue
        if fits:
            return tuple(smaller(source._shape)[2:])
    return None


def _sources(net):
    return [
        blob
        for layer, tops in zip(net.layers, net._tops)
        if not layer.layer_param.bottom
        for blob in tops
    ]


# ---- what there is


def device_memory(where) -> tuple[int, int]:
    """(bytes that a device has, bytes of them that this process has or could have)."""
    if where.type == "cuda":
        free, total = torch.cuda.mem_get_info(where)
        return total, free + torch.cuda.memory_reserved(where)
    if not hasattr(os, "sysconf"):  # Windows
        return sys.maxsize, sys.maxsize
    import resource

    lines = _read("/proc/meminfo").splitlines()
    known = {
        name: int(text.split()[0]) * 1024 for name, _, text in (x.partition(":") for x in lines)
    }
    swap = known.get("SwapTotal", 0)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") + swap
    limits = [resource.getrlimit(resource.RLIMIT_AS)[0]]
    limits += [int(text) for text in map(_read, LIMITS) if text.strip().isdigit()]
    total = min(total, *(limit for limit in limits if limit > 0), total)
    mine = int((_read("/proc/self/statm").split() or [0, 0])[1]) * os.sysconf("SC_PAGE_SIZE")
    return total, min(total, known.get("MemAvailable", total) + mine)


LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # containers'


def _read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""


# ---- errors


def explains(method):
    """Decorator of a net's or solver's method: an allocator's error becomes an OutOfMemory."""

    @functools.wraps(method)
    def explaining(self, *args):
        try:
            return method(self, *args)
        except OutOfMemory:
            raise
        except (MemoryError, RuntimeError) as error:
            exhausted = isinstance(error, (MemoryError, torch.OutOfMemoryError))
            if not exhausted and not any(text in str(error) for text in EXHAUSTED):
                raise
            reason = error
        # outside of the handler: its frames hold what was allocated for the pass
        raise OutOfMemory(explanation(getattr(self, "net", self))) from reason

    return explaining


def check(net):
    """OutOfMemory where a pass would end in one for sure; seen to once for every shape of the inputs."""
    shapes = [blob._shape for blob in _sources(net)], net._reuse, net._histories
    if shapes == net._checked:
        return
    net._checked = shapes
    try:
        blobs = shapes_if(net, tuple) if foreseeable(net) else net._blobs
    except ValueError:
        return  # the layer that cannot take the shape will say so
    needed = need(net, blobs)
    certain = needed.weights + needed.maps
    if net._histories:  # a solver's: there will be a backward
        certain += needed.diffs + needed.history
    if certain > device_memory(context.device())[0]:
        net._checked = None
        raise OutOfMemory(explanation(net, needed))


def explanation(net, needed=None):
    where = context.device()
    total, room = device_memory(where)
    sizes = ", ".join(
        f"{net._blob_names[i]} {'x'.join(map(str, net._blobs[i]._shape))}"
        for layer, ids in zip(net.layers, net._top_index)
        if not layer.layer_param.bottom
        for i in ids
    )
    name = "this machine" if where.type == "cpu" else context._name_of(where)
    lines = [
        f"net {net.name!r} with {sizes or 'no input'} needs {needed or need(net)}; {name} has "
        f"{total / GIB:.2f} GiB, of which {room / GIB:.2f} are to be had"
    ]
    size = picture_that_fits(net, room)
    if size:
        lines.append(f"a picture of {size[0]}x{size[1]} (height x width) fits")
    if net.phase == caffe_pb2.TEST and not net._reuse:
        less = need(net, way=Reuse(net, ())).total
        lines.append(f"net.reuse_memory() makes do with about {less / GIB:.2f} GiB")
    return "; ".join(lines)


# ---- maps that take over each other's memory


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

    def start(self):
        """Take what is there from a net that kept it."""
        for index in range(len(self.net.layers)):
            self.after_forward(index)

    def peak(self, sizes):
        """Bytes of the maps that are there at once, from the bytes of each."""
        spans = {}  # of each memory: size, first and last layer, whether it stays
        for i, root in enumerate(shared(self.net, "data")):
            size, first, last, stays = spans.get(root, (0, self.first[i], 0, False))
            ends = max(last, self.last[i]), stays or self.stays(i)
            spans[root] = (max(size, sizes[i]), min(first, self.first[i]), *ends)
        return max(
            sum(size for size, first, last, stays in spans.values() if stays or first <= at <= last)
            for at in range(len(self.net.layers))
        )

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
        if not layer.layer_param.bottom or not built_in(layer)
    }
