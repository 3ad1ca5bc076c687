"""Blob: an N-d array of values and one of their derivatives (src/caffe/blob.cpp, syncedmem.cpp)."""

import math
import weakref

import numpy as np
import torch
import xxhash

from . import context, transfer

MAX_AXES = 32
INT_MAX = 2**31 - 1


class IntVec(list):
    """A blob's shape, as pycaffe returns it: a sequence of ints that never equals a tuple."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return IntVec(item) if isinstance(index, slice) else item


class BoolVec(list):
    """Flags, one a bottom: what `backward` gets as propagate_down."""


class RawBlobVec(list):
    """A layer's bottoms or tops."""


class BlobVec(list):
    """A layer's parameters."""

    def add_blob(self, *shape):
        """Append a zero blob of the shape; for use in a layer's setup."""
        self.append(Blob(shape))


class Memory:
    """A run of numbers with a side on every device it was needed on.

    Whoever touched it last, NumPy or a device, holds the newest values. Memory is allocated, zeroed,
    when it is first touched; with a `pool` (memory.py) it comes from there, as it was left.
    """

    __slots__ = (
        "size",
        "dtype",
        "sides",
        "newest",
        "pool",
        "lost",
        "_changes",
        "_views",
        "_uploaded",
        "_settle",
    )

    def __init__(self, size: int, pool=None):
        self.size = size
        self.pool = pool
        self.lost: str | None = None  # why there are no values to be had
        self.dtype = context.dtype()
        self.sides: dict[torch.device, torch.Tensor] = {}
        self.newest: torch.device | None = None
        self._changes = 0
        self._views: list[weakref.ref] = []  # NumPy arrays that were given out
        self._uploaded = None  # version of the newest side while the host's has the same values
        self._settle = None  # returns when no copy reads the host's side any more

    def tensor(self, count: int, where: torch.device) -> torch.Tensor:
        """The first `count` values as a flat tensor on a device, which is the newest side from now on."""
        flat = self.sides.get(where)
        if flat is None or where != self.newest or flat.numel() < count:
            flat = self._bring(where, max(count, self.size))
        return flat if flat.numel() == count else flat[:count]

    def _bring(self, where, size):
        if self.lost:
            raise RuntimeError(self.lost)
        newest, flat = self.sides.get(self.newest), self.sides.get(where)
        if self.newest == context.CPU != where and newest.numel() >= size:
            flat, self._settle = transfer.upload(newest, where)
            self.sides[where], self.newest = flat, where
            self._uploaded = _version(flat)
            return flat
        if where == context.CPU and self._settle:
            self._settle()
            self._settle = None
        equal = self._uploaded is not None and _version(newest) == self._uploaded
        if flat is None or flat.numel() < size:
            equal = False
            if where == context.CPU and context.is_apart():
                flat = transfer.host_memory(size, self.dtype)
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
        self._changes += 1
        self._views = [view for view in self._views if view() is not None]
        self._views.append(weakref.ref(array))  # an array made from it keeps it alive
        return array

    @property
    def held(self) -> bool:
        """Whether somebody holds a NumPy view, who may write at any time, unseen."""
        return any(view() is not None for view in self._views)

    def take(self, values: torch.Tensor, where: torch.device):
        """Hold the values of a contiguous tensor; take over its memory where nobody would notice."""
        self.lost = None
        noticed = where == context.CPU and self.held
        if noticed or values._base is not None or values.dtype != self.dtype:
            self.tensor(values.numel(), where).copy_(values.view(-1))
        else:
            self.sides[where] = values.view(-1)
            self.newest, self._uploaded = where, None
            self._changes += 1

    def hold(self, side: torch.Tensor, where: torch.device):
        """`side` has the values, written without a trace in its version."""
        self.sides[where], self.newest, self._uploaded = side, where, None
        self._changes += 1

    def give_up(self, reason: str):
        """Let the values go, and their memory to the pool; who asks for them is told the reason.

        A NumPy view that somebody holds keeps what it shows.
        """
        if self.pool and not self.held:
            for where, flat in self.sides.items():
                self.pool.give(flat, where)
        self.sides, self.newest, self.lost = {}, None, reason
        self._uploaded = None
        self._changes += 1

    def grown(self, size: int) -> "Memory":
        """Memory of another size in its place, whose values are lost as these are."""
        memory = Memory(size, self.pool)
        memory.lost = self.lost
        return memory

    def count_write(self):
        """Take note of a write that PyTorch did not see."""
        self._changes += 1

    def state(self):
        """While two states are equal the values are; None, equal to nothing, while a view is held.

        Whoever writes behind PyTorch's back (a C kernel into a top) calls `count_write`.
        """
        return None if self.held else self.written()

    def written(self):
        """`state`, whoever holds a view."""
        flat = self.sides.get(self.newest)
        if flat is None:
            return self._changes, None
        if flat.is_inference():  # made under torch.inference_mode(): PyTorch does not count writes
            return None
        return self._changes, self.newest, flat.data_ptr(), flat._version

    def digest(self) -> bytes | None:
        """128 bits that tell values apart by content; None of memory that no one has touched."""
        flat = self.sides.get(self.newest)
        return None if flat is None else xxhash.xxh3_128_digest(flat.cpu().numpy())


def _version(tensor):
    """A number that every write to the tensor changes; None where PyTorch does not count."""
    return None if tensor.is_inference() else tensor._version


class Blob:
    """Values (`data`) and derivatives (`diff`) of one shape.

    `data` and `diff` are writable NumPy views, for users; `x` and `dx` are the same values as tensors
    on the device that computes, for layers. Reading `x` and writing into it are both allowed;
    assigning (`blob.x = y`) replaces the values, and may take over the tensor's memory.
    """

    def __init__(self, shape=None):
        self._shape: tuple[int, ...] = ()
        self._count = 0
        self._capacity = 0
        self._data = self._diff = Memory(0)
        if shape is not None:
            self.set_shape(shape)

    # ---- shape

    @property
    def shape(self) -> IntVec:
        return IntVec(self._shape)

    @property
    def count(self) -> int:
        return self._count

    @property
    def num_axes(self) -> int:
        return len(self._shape)

    def reshape(self, *dims, **kwargs):
        """Change the shape; memory that is large enough stays, with its values in flat order.

        Raises TypeError unless every dimension is an int, ValueError for a negative one.
        """
        if kwargs:
            raise RuntimeError("Blob.reshape takes no kwargs")
        if not all(type(d) is int for d in dims):
            raise TypeError(
                f"Blob.reshape takes plain ints, as in reshape(1, 3, 500, 500), got {dims}"
            )
        self.set_shape(dims)

    def set_shape(self, shape):
        """`reshape` for engine code: any sequence of integers."""
        shape = tuple(int(d) for d in shape)
        if shape == self._shape and self._capacity:
            return
        if len(shape) > MAX_AXES:
            raise ValueError(f"a blob has at most {MAX_AXES} axes, got {len(shape)}")
        if any(d < 0 for d in shape):
            raise ValueError(f"a blob's dimensions cannot be negative, got shape {list(shape)}")
        count = math.prod(shape)
        if count > INT_MAX:
            raise ValueError(f"shape {list(shape)} holds {count} values, a blob at most {INT_MAX}")
        self._shape, self._count = shape, count
        if count > self._capacity:
            self._capacity = count
            self._data, self._diff = self._data.grown(count), self._diff.grown(count)

    def axis(self, index: int) -> int:
        """Canonical axis: negative ones count from the end. Raises ValueError when out of range."""
        n = len(self._shape)
        if not -n <= index < n:
            raise ValueError(f"axis {index} out of range for a blob of shape {list(self._shape)}")
        return index % n

    def legacy_shape(self) -> tuple[int, int, int, int]:
        """(num, channels, height, width): missing axes count as 1; more than four raise ValueError."""
        if len(self._shape) > 4:
            raise ValueError(
                f"a blob of at most four axes is needed, got shape {list(self._shape)}"
            )
        return self._shape + (1,) * (4 - len(self._shape))

    @property
    def num(self) -> int:
        return self.legacy_shape()[0]

    @property
    def channels(self) -> int:
        return self.legacy_shape()[1]

    @property
    def height(self) -> int:
        return self.legacy_shape()[2]

    @property
    def width(self) -> int:
        return self.legacy_shape()[3]

    # ---- values

    @property
    def data(self) -> np.ndarray:
        return self._data.array(self._count).reshape(self._shape)

    @property
    def diff(self) -> np.ndarray:
        return self._diff.array(self._count).reshape(self._shape)

    @property
    def x(self) -> torch.Tensor:
        return self._data.tensor(self._count, context.device()).view(self._shape)

    @x.setter
    def x(self, values):
        self._assign(self._data, values)

    @property
    def dx(self) -> torch.Tensor:
        return self._diff.tensor(self._count, context.device()).view(self._shape)

    @dx.setter
    def dx(self, values):
        self._assign(self._diff, values)

    def _assign(self, memory, values):
        if values.numel() != self._count:
            raise ValueError(
                f"cannot hold values of shape {list(values.shape)} in a blob of shape {self._shape}"
            )
        where = context.device()
        side = memory.sides.get(where)
        if side is None or side.data_ptr() != values.data_ptr() or not values.numel():
            memory.take(values.contiguous(), where)

    def clear_diff(self):
        """Zero the derivatives; memory never touched is zero already, and stays untouched."""
        if self._diff.newest is not None:
            self.dx.zero_()

    # ---- sharing

    def share_data(self, other: "Blob"):
        """Hold the same values as `other`, in the same memory. Counts must be equal."""
        self._check_shared(other)
        self._data = other._data

    def share_diff(self, other: "Blob"):
        """Hold the same derivatives as `other`, in the same memory. Counts must be equal."""
        self._check_shared(other)
        self._diff = other._diff

    def _check_shared(self, other):
        if other._count != self._count:
            raise ValueError(
                f"blobs of shapes {list(self._shape)} and {list(other._shape)} cannot share memory"
            )
