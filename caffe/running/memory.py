"""How much memory a net needs, how much there is, and what to do where that is too little."""

import functools
import os
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import torch

from .. import context
from ..blob import Blob, Memory
from ..layers import conv, select
from ..proto import caffe_pb2
from .sparing import Recompute, Reuse, Whole, built_in

# Messages of allocators that raise no type of their own
EXHAUSTED = ("can't allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
GIB = 2**30
WAYS = {
    caffe_pb2.TEST: ("net.reuse_memory()", Reuse),
    caffe_pb2.TRAIN: ("net.recompute(), --recompute of solve.py,", Recompute),
}
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

    For a TRAIN net: forward, backward and update. `way`: of a net that keeps its maps as that object
    (Reuse, Recompute) does; default: as it does.
    """
    blobs = net._blobs if blobs is None else blobs
    way = way or net._reuse or Whole(net)
    value = torch.finfo(context.dtype()).bits // 8
    sizes = [blob._count * value for blob in blobs]
    params = {id(p._data): p._count * value for layer in net.layers for p in layer.blobs}
    weights, learned = sum(params.values()), sum(p._count * value for p in net.learnable_params)
    if net.phase == caffe_pb2.TEST:
        work = _layouts(net, value) + _largest(net, sizes)
        return Need(weights, way.maps(sizes), work=work)
    diffs, history = learned + way.diffs(sizes), net._histories * learned
    work = way.left([blob._count for blob in blobs]) + 2 * _largest(net, sizes)
    return Need(weights, way.maps(sizes), diffs, history, work)


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


# ---- other sizes


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
        net = getattr(self, "net", self)
        text = explanation(net)
        traceback.clear_frames(reason.__traceback__)  # they hold what was allocated for the pass
        release(net)
        raise OutOfMemory(text) from reason

    return explaining


def release(net):
    """Let go of all maps of a pass that failed, so that a smaller one fits; the next makes them anew."""
    fixed = Whole(net).fixed.difference(net._outputs)
    net._changes.forget()
    if isinstance(net._reuse, Reuse):
        net._reuse.pool.free.clear()
    for i, blob in enumerate(net._blobs):
        if i in fixed or blob._data.held or blob._diff.held:
            continue
        blob._data = Memory(0, blob._data.pool)
        if not net._blob_loss_weights[i]:  # which stands in the diff
            blob._diff = Memory(0)


def check(net):
    """OutOfMemory where a pass would end in one for sure; seen to once for every shape of the inputs."""
    shapes = [blob._shape for blob in _sources(net)], net._reuse, net._histories
    if shapes == net._checked:
        return
    net._checked = shapes
    needed = need_of_pass(net)
    certain = needed.weights + needed.maps
    if net._histories:  # a solver's: there will be a backward
        certain += needed.diffs + needed.history
    if certain > device_memory(context.device())[0]:
        net._checked = None
        raise OutOfMemory(explanation(net))


def need_of_pass(net):
    """`need` at the shapes that a pass would give the maps, where its inputs alone decide on them."""
    try:
        return need(net, shapes_if(net, tuple) if foreseeable(net) else None)
    except ValueError:  # the layer that cannot take a shape will say so
        return need(net)


def explanation(net):
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
        f"net {net.name!r} with {sizes or 'no input'} needs {need_of_pass(net)}; {name} has "
        f"{total / GIB:.2f} GiB, of which {room / GIB:.2f} are to be had"
    ]
    size = picture_that_fits(net, room)
    if size:
        lines.append(f"a picture of {size[0]}x{size[1]} (height x width) fits")
    if not net._reuse:
        call, way = WAYS[net.phase]
        less = need(net, way=way(net)).total
        lines.append(f"{call} makes do with about {less / GIB:.2f} GiB")
    return "; ".join(lines)
