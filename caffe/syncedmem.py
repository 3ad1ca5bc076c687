"""Memory: numbers that NumPy, the CPU and GPUs see as one (src/caffe/syncedmem.cpp)."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xxhash

from . import context


class Pool:
    """Blocks of memory that maps have given back, for later maps: the smallest that fits is taken.

    For the CPU, where fresh memory costs about as much as computing a map does. For GPUs PyTorch
    has a pool of its own.
    """

    def __init__(self) -> None:
        self.free: list[tuple[torch.device, torch.Tensor]] = []
        self.largest = 0  # values of the largest map since the last `trim`

    def take(self, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A flat tensor of at least `size` values; what is in them is undefined."""
        self.largest = max(self.largest, size)
        usable = [
            (block.numel(), i)
            for i, (where, block) in enumerate(self.free)
            if where == device and block.dtype == dtype
        ]
        fitting = [entry for entry in usable if entry[0] >= size]
        if fitting:
            return self.free.pop(min(fitting)[1])[1]
        if usable:  # a larger block takes the place of the largest
            self.free.pop(max(usable)[1])
        block = torch.empty(size, dtype=dtype, device=device)
        block.pool = weakref.ref(self)  # type: ignore[attr-defined]
        return block

    def give(self, block: torch.Tensor, device: torch.device) -> None:
        """Take a block back. Tensors that layers made themselves are not pooled: they would pile up."""
        if device.type == "cpu" and getattr(block, "pool", lambda: None)() is self:
            self.free.append((device, block))

    def trim(self) -> None:
        """Free blocks that are larger than any map was since the last call."""
        self.free = [entry for entry in self.free if entry[1].numel() <= self.largest]
        self.largest = 0


class Memory:
    """Numbers with a copy, a "side", on every device that needed them.

    Whoever touched the memory last, NumPy or a device, has the newest values. A side is allocated,
    zeroed, when it is first touched; with a `pool` it comes from there, with undefined values.
    """

    __slots__ = (
        "size",
        "dtype",
        "sides",
        "newest",
        "pool",
        "released",
        "_writes",
        "_views",
        "_uploaded",
        "_wait_for_upload",
    )

    def __init__(self, size: int, pool: Pool | None = None):
        self.size = size
        self.pool = pool
        self.released: str | None = None  # why the values are gone: the text of an error
        self.dtype = context.dtype()
        self.sides: dict[torch.device, torch.Tensor] = {}
        self.newest: torch.device | None = None
        self._writes = 0  # that PyTorch does not count: views given out, tensors taken over
        self._views: list[weakref.ref[np.ndarray]] = []  # NumPy arrays that were given out
        self._uploaded: int | None = None  # version of the device's side while the host's equals it
        self._wait_for_upload: Callable[[], None] | None = (
            None  # until no copy reads the host's side
        )

    # ---- values

    def tensor(self, count: int, where: torch.device) -> torch.Tensor:
        """The first `count` values as a flat tensor on a device, whose side becomes the newest.

        Raises RuntimeError if the values were released.
        """
        flat = self.sides.get(where)
        if flat is None or where != self.newest or flat.numel() < count:
            flat = self._update(where, max(count, self.size))
        return flat if flat.numel() == count else flat[:count]

    def _update(self, where: torch.device, size: int) -> torch.Tensor:
        """Bring the side of a device up to date, and to `size` values at least."""
        if self.released:
            raise RuntimeError(self.released)
        newest = None if self.newest is None else self.sides[self.newest]
        flat = self.sides.get(where)
        if newest is not None and self.newest == context.CPU != where and newest.numel() >= size:
            flat, wait = upload(newest, where)
            if wait and self.has_views:  # who holds a view may write before the copy has read
                wait()
                wait = None
            self._wait_for_upload = wait
            self.sides[where], self.newest = flat, where
            self._uploaded = _version(flat)
            return flat
        if where == context.CPU and self._wait_for_upload:
            self._wait_for_upload()
            self._wait_for_upload = None
        equal = self._uploaded is not None and _version(newest) == self._uploaded
        if flat is None or flat.numel() < size:
            equal = False
            if where == context.CPU and context.on_gpu():
                flat = host_memory(size, self.dtype)
            else:
                make = self.pool.take if self.pool else torch.zeros
                flat = make(size, dtype=self.dtype, device=where)
            self.sides[where] = flat
        if newest is not None and newest is not flat and not equal:
            flat[: newest.numel()].copy_(newest)
        self.newest, self._uploaded = where, None
        return flat

    def array(self, count: int) -> np.ndarray:
        """The first `count` values as a writable NumPy view, live as long as somebody holds it."""
        array = self.tensor(count, context.CPU).numpy()
        self._writes += 1
        self._views = [view for view in self._views if view() is not None]
        self._views.append(weakref.ref(array))  # an array made from it keeps it alive
        return array

    def copied(self, count: int) -> np.ndarray | None:
        """A copy of the first `count` values; None of memory that no one has touched.

        Unlike `array` it leaves all as it is: what is newest, and what counts as written. Raises
        RuntimeError if the values were released.
        """
        if self.released:
            raise RuntimeError(self.released)
        if self.newest is None:
            return None
        values = torch.zeros(count, dtype=self.dtype, device=context.CPU)
        held = self.sides[self.newest][:count]
        values[: held.numel()] = held  # it may be shorter: a blob that has grown is zero there
        return values.numpy()

    def assign(self, values: torch.Tensor, where: torch.device) -> None:
        """Hold the values of a contiguous tensor; take over its memory unless somebody would notice."""
        self.released = None
        noticed = where == context.CPU and self.has_views
        if noticed or values._base is not None or values.dtype != self.dtype:
            self.tensor(values.numel(), where).copy_(values.view(-1))
        else:
            self.adopt(values.view(-1), where)

    def adopt(self, side: torch.Tensor, where: torch.device) -> None:
        """Use a flat tensor as the side of a device and as the newest."""
        self.sides[where], self.newest, self._uploaded = side, where, None
        self._writes += 1

    def release(self, reason: str) -> None:
        """Free the memory, or give it to the pool; reading the values raises `reason` from now on.

        A NumPy view that somebody holds keeps its values.
        """
        if self.pool and not self.has_views:
            for where, flat in self.sides.items():
                self.pool.give(flat, where)
        self.sides, self.newest, self.released = {}, None, reason
        self._uploaded = None
        self._writes += 1

    def resized(self, size: int) -> Memory:
        """Memory of another size to replace this one; released if this one is."""
        memory = Memory(size, self.pool)
        memory.released = self.released
        return memory

    # ---- versions

    @property
    def has_views(self) -> bool:
        """Whether somebody holds a NumPy view and may write at any time, unseen."""
        return any(view() is not None for view in self._views)

    def version(self) -> tuple[Any, ...] | None:
        """While two versions are equal the values are. None, equal to nothing, while a view is held."""
        return None if self.has_views else self.version_despite_views()

    def version_despite_views(self) -> tuple[Any, ...] | None:
        """`version` without regard to NumPy views."""
        flat = None if self.newest is None else self.sides[self.newest]
        if flat is None:
            return self._writes, None
        if flat.is_inference():  # made under torch.inference_mode(): PyTorch does not count writes
            return None
        return self._writes, self.newest, flat.data_ptr(), flat._version

    def digest(self) -> bytes | None:
        """128 bits that tell values apart by content; None of memory that no one has touched."""
        flat = None if self.newest is None else self.sides[self.newest]
        return None if flat is None else xxhash.xxh3_128_digest(flat.cpu().numpy().data)


def _version(tensor: torch.Tensor | None) -> int | None:
    """A number that every write to the tensor changes; None where PyTorch does not count."""
    return None if tensor is None or tensor.is_inference() else tensor._version


# ---- copies from the host to a GPU


def host_memory(size: int, dtype: torch.dtype) -> torch.Tensor:
    """Zeros on the host; page-locked while a GPU computes, so that it can fetch them by itself."""
    locked = context.device().type == "cuda"
    return torch.zeros(size, dtype=dtype, device=context.CPU, pin_memory=locked)


def upload(
    host: torch.Tensor, where: torch.device
) -> tuple[torch.Tensor, Callable[[], None] | None]:
    """Copy to a device, on a stream beside the one that computes.

    Returns the copy and a function that waits until `host` may be written again, or None if it may
    at once. What computes on the device from now on waits for the copy; the host does not. The copy
    is a new tensor because the GPU may still compute from the one before.
    """
    if where.type != "cuda" or not host.is_pinned():
        return host.to(where, copy=True), None
    beside, computing = _upload_stream(where), torch.cuda.current_stream(where)
    with torch.cuda.stream(beside):
        copy = host.to(where, non_blocking=True)
        done = torch.cuda.Event()
        done.record(beside)
    computing.wait_event(done)
    copy.record_stream(computing)  # its memory is not reused before `computing` gets there
    return copy, done.synchronize


@functools.cache
def _upload_stream(where: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(where)
