"""Blob: an N-d array of values and one of their derivatives (src/caffe/blob.cpp)."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from . import context, views
from .syncedmem import Memory

MAX_AXES = 32
INT_MAX = 2**31 - 1


class IntVec(list[int]):
    """A blob's shape, as pycaffe returns it: a sequence of ints that never equals a tuple."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return IntVec(item) if isinstance(index, slice) else item

    def __setitem__(self, index, value):
        """Raises TypeError: this is a copy of the blob's shape."""
        raise TypeError("a blob's shape is changed by blob.reshape(*shape), not in this list")


class BoolVec(list[bool]):
    """Flags, one a bottom: what `backward` gets as propagate_down."""


def checked_blob(value: Any, label: str = "a blob") -> Blob:
    """The value itself if it is a blob. TypeError, which says how an array goes into one, if not."""
    if not isinstance(value, Blob):
        raise TypeError(
            f"{label} is written into, not replaced by a value of type {type(value).__name__}: "
            "write blob.data[...] = array"
        )
    return value


class VectorOfBlobs(list["Blob"]):
    """A list that takes blobs and nothing else: an array goes into a blob. TypeError for others."""

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            value = [checked_blob(each) for each in value]
        else:
            checked_blob(value, self[index]._label)
        super().__setitem__(index, value)

    def __iadd__(self, values: Any) -> VectorOfBlobs:  # type: ignore[misc, override]
        self.extend(values)
        return self

    def append(self, value: Any) -> None:
        """Add a blob at the end."""
        super().append(checked_blob(value))

    def insert(self, index: Any, value: Any) -> None:
        """Put a blob in front of the one at `index`."""
        super().insert(index, checked_blob(value))

    def extend(self, values: Any) -> None:
        """Add blobs at the end."""
        super().extend([checked_blob(each) for each in values])


class RawBlobVec(VectorOfBlobs):
    """A layer's bottoms or tops."""


class BlobVec(VectorOfBlobs):
    """A layer's parameters."""

    def _repr_html_(self) -> str:
        rows = views.named_rows({blob._name: blob for blob in self})
        return views.html_table(["blob", "shape", "size"], rows)

    def add_blob(self, *shape: int) -> None:
        """Append a zero blob of the shape; for use in a layer's setup."""
        self.append(Blob(shape))


class Blob:
    """Values (`data`) and derivatives (`diff`) of one shape.

    `data` and `diff` are writable NumPy views, for users; `x` and `dx` are the same values as tensors
    on the device that computes, for layers. Reading `x` and writing into it are both allowed;
    assigning (`blob.x = y`) replaces the values, and may take over the tensor's memory.
    """

    def __init__(self, shape: Iterable[int] | None = None, name: str = "") -> None:
        self._name = name  # in its net
        self._shape: tuple[int, ...] = ()
        self._count = 0
        self._capacity = 0
        self._data = self._diff = Memory(0)
        if shape is not None:
            self.set_shape(shape)

    def __repr__(self) -> str:
        return views.blob_text(self)

    def _repr_html_(self) -> str:
        return views.html_table(["blob", "shape", "size"], views.named_rows({self._name: self}))

    @property
    def _label(self) -> str:
        """What messages call it."""
        return f"blob '{self._name}'" if self._name else "a blob"

    # ---- shape

    @property
    def shape(self) -> IntVec:
        """The dimensions."""
        return IntVec(self._shape)

    @property
    def count(self) -> int:
        """The number of values."""
        return self._count

    @property
    def num_axes(self) -> int:
        """The number of dimensions."""
        return len(self._shape)

    def reshape(self, *dims: int, **kwargs: object) -> None:
        """Change the shape; memory that is large enough stays, with its values in flat order.

        Raises TypeError unless every dimension is a whole number, ValueError for a negative one.
        """
        if kwargs:
            raise RuntimeError("Blob.reshape takes no kwargs")
        if len(dims) == 1 and isinstance(dims[0], (list, tuple, np.ndarray)):
            given = np.ravel(dims[0]).tolist()
            raise TypeError(
                f"{self._label}: reshape takes its dimensions one by one: "
                f"reshape({', '.join(map(str, given))}), or reshape(*shape); got {dims[0]!r}"
            )
        self.set_shape(dims)

    def set_shape(self, shape: Iterable[int]) -> None:
        """`reshape` for engine code: any sequence of integers."""
        try:
            shape = tuple(map(operator.index, shape))
        except TypeError:
            raise TypeError(
                f"{self._label}: dimensions are whole numbers, got {tuple(shape)}"
            ) from None
        if shape == self._shape and self._capacity:
            return
        if len(shape) > MAX_AXES:
            raise ValueError(f"{self._label}: at most {MAX_AXES} axes, got {len(shape)}")
        if any(d < 0 for d in shape):
            raise ValueError(
                f"{self._label}: no dimension can be negative, got shape {list(shape)}"
            )
        count = math.prod(shape)
        if count > INT_MAX:
            raise ValueError(
                f"{self._label}: shape {list(shape)} holds {count} values, a blob at most {INT_MAX}"
            )
        self._shape, self._count = shape, count
        if count > self._capacity:
            self._capacity = count
            self._data, self._diff = self._data.resized(count), self._diff.resized(count)

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
        num, channels, height, width = self._shape + (1,) * (4 - len(self._shape))
        return num, channels, height, width

    @property
    def num(self) -> int:
        """The first of four dimensions: items of the batch."""
        return self.legacy_shape()[0]

    @property
    def channels(self) -> int:
        """The second of four dimensions."""
        return self.legacy_shape()[1]

    @property
    def height(self) -> int:
        """The third of four dimensions."""
        return self.legacy_shape()[2]

    @property
    def width(self) -> int:
        """The fourth of four dimensions."""
        return self.legacy_shape()[3]

    # ---- values

    @property
    def data(self) -> np.ndarray:
        """The values as a writable NumPy view."""
        return self._data.array(self._count).reshape(self._shape)

    @data.setter
    def data(self, values: object) -> None:
        self._refuse_another("data", self.data, values)

    @property
    def diff(self) -> np.ndarray:
        """The derivatives as a writable NumPy view."""
        return self._diff.array(self._count).reshape(self._shape)

    @diff.setter
    def diff(self, values: object) -> None:
        self._refuse_another("diff", self.diff, values)

    def _refuse_another(self, side: str, own: np.ndarray, values: object) -> None:
        """Raise AttributeError unless the values are the blob's own: `blob.data *= 2` assigns them."""
        mine = isinstance(values, np.ndarray) and values.shape == own.shape
        if not mine or values.ctypes.data != own.ctypes.data:  # type: ignore[attr-defined]
            raise AttributeError(
                f"{self._label}: {side} is written into, not replaced: blob.{side}[...] = array"
            )

    @property
    def x(self) -> torch.Tensor:
        """The values as a tensor on the device that computes."""
        return self._data.tensor(self._count, context.device()).view(self._shape)

    @x.setter
    def x(self, values: torch.Tensor) -> None:
        self._assign(self._data, values)

    @property
    def dx(self) -> torch.Tensor:
        """The derivatives as a tensor on the device that computes."""
        return self._diff.tensor(self._count, context.device()).view(self._shape)

    @dx.setter
    def dx(self, values: torch.Tensor) -> None:
        self._assign(self._diff, values)

    def _assign(self, memory: Memory, values: torch.Tensor) -> None:
        if values.numel() != self._count:
            raise ValueError(
                f"cannot hold values of shape {list(values.shape)} in a blob of shape {self._shape}"
            )
        where = context.device()
        side = memory.sides.get(where)
        if side is None or side.data_ptr() != values.data_ptr() or not values.numel():
            memory.assign(values.contiguous(), where)

    def clear_diff(self) -> None:
        """Zero the derivatives; memory never touched is zero already, and stays untouched."""
        if self._diff.newest is not None:
            self.dx.zero_()

    # ---- copies

    def copied_data(self) -> np.ndarray | None:
        """A copy of the values, which changes nothing; None of a blob that no one has touched."""
        values = self._data.copied(self._count)
        return None if values is None else values.reshape(self._shape)

    def __reduce__(self):
        """For copy and pickle: shape, values and derivatives."""
        return _blob_of, (
            self._name,
            self._shape,
            self.copied_data(),
            self._diff.copied(self._count),
        )

    # ---- sharing

    def share_data(self, other: Blob) -> None:
        """Hold the same values as `other`, in the same memory. Counts must be equal."""
        self._check_shared(other)
        self._data = other._data

    def share_diff(self, other: Blob) -> None:
        """Hold the same derivatives as `other`, in the same memory. Counts must be equal."""
        self._check_shared(other)
        self._diff = other._diff

    def _check_shared(self, other: Blob) -> None:
        if other._count != self._count:
            raise ValueError(
                f"blobs of shapes {list(self._shape)} and {list(other._shape)} cannot share memory"
            )


def _blob_of(
    name: str, shape: tuple[int, ...], data: np.ndarray | None, diff: np.ndarray | None
) -> Blob:
    """A blob of its own memory, as one was when it was copied."""
    blob = Blob(shape, name)
    for memory, values in ((blob._data, data), (blob._diff, diff)):
        if values is not None:
            memory.dtype = torch.from_numpy(values).dtype
            memory.array(values.size)[...] = values.reshape(-1)
    return blob
