"""What is said, and done, where there is not enough memory for a net."""

from __future__ import annotations

import torch

from .. import context
from ..proto import caffe_pb2
from . import memory
from .hooks import Hooks
from .lifetimes import KeepAll
from .memory import GIB, MemoryUse
from .recompute import Recompute
from .reuse import Reuse

# Messages of allocators that raise no type of their own
EXHAUSTED = ("can't allocate memory", "not enough memory", "out of memory", "STATUS_ALLOC_FAILED")
# The memory policy that takes less, of each phase, and how to ask for it
THRIFTIER: dict[int, tuple[type[KeepAll], str]] = {
    caffe_pb2.TEST: (Reuse, "net.reuse_memory()"),
    caffe_pb2.TRAIN: (Recompute, "net.recompute() (--recompute on the command line)"),
}


class OutOfMemory(MemoryError, RuntimeError):
    """There is not enough memory for a net: how much it needs, and what would fit."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception is an allocator's, of whatever type."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in EXHAUSTED)


def explanation(use: MemoryUse) -> str:
    """One line: what the net needs, what there is, which picture would fit, what takes less."""
    net, where = use.net, context.device()
    total, room = memory.device_memory(where)
    name = "this machine" if where.type == "cpu" else context.name_of(where)
    sizes = ", ".join(
        f"{net.blob_names[i]} {'x'.join(map(str, net.blobs[i].shape))}" for i in net.sources()
    )
    parts = [
        f"net {net.name!r} with {sizes or 'no input'} needs {use.need_of_pass()}; "
        f"{name} has {total / GIB:.2f} GiB, of which {room / GIB:.2f} are to be had"
    ]
    size = use.picture_that_fits(room)
    if size:
        parts.append(f"a picture of {size[0]}x{size[1]} (height x width) fits")
    policy, call = THRIFTIER[net.phase]
    if not isinstance(use.policy, policy):
        less = use.need(policy=policy(net)).total
        parts.append(f"{call} makes do with about {less / GIB:.2f} GiB")
    return "; ".join(parts)


class FitCheck(Hooks):
    """Raises OutOfMemory before a pass that cannot fit; checked once for every shape of the inputs."""

    def __init__(self, use: MemoryUse):
        self.use = use
        self.checked: tuple | None = None

    def begin_forward(self, start: int, end: int) -> None:
        use = self.use
        case = [use.net.blobs[i]._shape for i in use.net.sources()], use.histories
        if case == self.checked:
            return
        need = use.need_of_pass()
        certain = need.weights + need.maps
        if use.histories:  # a solver's net: there will be a backward and an update
            certain += need.diffs + need.history
        if certain > memory.device_memory(context.device())[0]:
            raise OutOfMemory(explanation(use))
        self.checked = case
