"""Loads the C kernels by ctypes; compiling.py compiles them at first use.

Without a C compiler, or with CAFFE_KERNELS=0 in the environment, `available()` is False.
"""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import threading

import torch

from ..glog import warning
from . import compiling

_INT, _LONG, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_float, ctypes.c_void_p


class Convolution(ctypes.Structure):
    """`struct convolution` of winograd.c: what a 3x3 convolution is given."""

    _fields_ = [
        *((name, _LONG) for name in ("ins", "height", "width", "pad_h", "pad_w")),
        *((name, _LONG) for name in ("outs", "out_height", "out_width")),
        *((name, _LONG) for name in ("top", "bottom", "left", "right", "block", "span")),
        *((name, _POINTER) for name in ("x", "weights", "bias", "y", "scratch")),
        ("relu", _INT),
        ("slope", _FLOAT),
    ]


class Planes(ctypes.Structure):
    """`struct planes` of planes.c: what a convolution on planes is given."""

    _fields_ = [
        *((name, _LONG) for name in ("pictures", "groups", "ins", "height", "width")),
        *((name, _LONG) for name in ("outs", "out_height", "out_width", "kernel_h", "kernel_w")),
        *((name, _LONG) for name in ("stride_h", "stride_w", "pad_h", "pad_w")),
        *((name, _LONG) for name in ("dilation_h", "dilation_w", "top", "bottom")),
        *((name, _POINTER) for name in ("x", "weights", "bias", "y", "scratch")),
        ("relu", _INT),
        ("slope", _FLOAT),
    ]


class Windows(ctypes.Structure):
    """`struct windows` of windows.c: what pooling is given."""

    _fields_ = [
        *((name, _LONG) for name in ("planes", "height", "width", "kernel_h", "kernel_w")),
        *((name, _LONG) for name in ("stride_h", "stride_w", "pad_h", "pad_w")),
        *((name, _LONG) for name in ("out_height", "out_width", "top", "bottom", "left", "right")),
        *(("x", _POINTER), ("y", _POINTER), ("mean", _INT)),
    ]


class Space(ctypes.Structure):
    """`struct space` of lattice.c: points among which a lattice is made."""

    _fields_ = [
        *(("points", _LONG), ("d", _LONG), ("features", _POINTER)),
        *(("least", _LONG * 9), ("radix", _LONG * 9)),
    ]


class Filter(ctypes.Structure):
    """`struct filter` of lattice_filter.c: a lattice that filters."""

    _fields_ = [
        *((name, _LONG) for name in ("points", "d", "vertices")),
        *((name, _POINTER) for name in ("vertex", "lines", "weight")),
        *((name, _POINTER) for name in ("start", "member", "share")),
    ]


# function -> (types of its arguments, type of its result), as the C files declare them
SIGNATURES: dict[str, tuple[list[type], type | None]] = {
    "winograd_weights_size": ([_LONG] * 2, _LONG),
    "winograd_weights": ([_POINTER, *[_LONG] * 4, _INT, _POINTER, _INT], None),
    "winograd_scratch": ([*[_LONG] * 5, _INT], _LONG),
    "winograd_convolve": ([ctypes.POINTER(Convolution), _INT], None),
    "winograd_gradient_scratch": ([*[_LONG] * 4, _INT], _LONG),
    "winograd_gradient": (
        [
            _POINTER,
            *[_LONG] * 5,
            _POINTER,
            *[_LONG] * 3,
            _INT,
            _INT,
            _POINTER,
            _LONG,
            _POINTER,
            _INT,
        ],
        None,
    ),
    "planes_weights_size": ([_LONG] * 3, _LONG),
    "planes_weights": ([_POINTER, _POINTER, *[_LONG] * 3, _POINTER], None),
    "planes_scratch": ([ctypes.POINTER(Planes), _INT], _LONG),
    "planes_convolve": ([ctypes.POINTER(Planes), _INT], None),
    "windows_scratch": ([ctypes.POINTER(Windows), _INT], _LONG),
    "pool_windows": ([ctypes.POINTER(Windows), _POINTER, _INT], None),
    "normalize_channels": ([_POINTER, *[_LONG] * 4, _FLOAT, _FLOAT, _POINTER, _INT], None),
    "add_maps": ([_POINTER, _POINTER, _FLOAT, _FLOAT, _LONG, _POINTER, _INT], None),
    "maxima_and_cells": ([_POINTER, *[_LONG] * 7, _POINTER, _POINTER, *[_LONG] * 2, _INT], None),
    "maxima_gradient": ([_POINTER, _POINTER, *[_LONG] * 6, _POINTER, *[_LONG] * 2, _INT], None),
    "upsample_scratch": ([*[_LONG] * 3, _INT], _LONG),
    "upsample": (
        [
            _POINTER,
            *[_LONG] * 3,
            _POINTER,
            *[_LONG] * 6,
            _POINTER,
            _POINTER,
            *[_LONG] * 2,
            _POINTER,
            _INT,
        ],
        None,
    ),
    "outer_scratch": ([_LONG] * 3, _LONG),
    "lattice_extent": ([_POINTER, _LONG, _LONG, _POINTER, _POINTER], None),
    "lattice_simplices": ([ctypes.POINTER(Space), _POINTER, _POINTER, _INT], None),
    "lattice_number": ([_POINTER, _LONG, _LONG, _POINTER], _LONG),
    "lattice_lines": ([_POINTER, _LONG, _LONG, _POINTER, _POINTER, _INT], _INT),
    "lattice_members": ([*[_POINTER] * 2, *[_LONG] * 3, *[_POINTER] * 3], None),
    "lattice_filter": (
        [ctypes.POINTER(Filter), *[_POINTER] * 4, _LONG, _INT, _POINTER, _INT],
        None,
    ),
    "add_outer": ([_POINTER, _POINTER, *[_LONG] * 3, _POINTER, _POINTER, _INT], None),
}

_workspaces = threading.local()  # what kernels work in: new memory at every call costs page faults


def available() -> bool:
    """Whether the C kernels can be used."""
    return library() is not None


@functools.cache
def library() -> ctypes.CDLL | None:
    """The loaded kernels, or None; why there are none is logged once."""
    if os.environ.get("CAFFE_KERNELS") == "0":
        return None
    try:
        loaded = _loaded()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # no home, no compiler
        reason = getattr(error, "stderr", "") or error
        warning(
            "kernels:0",
            f"the C kernels could not be compiled ({reason}): forward takes over twice as long. Install a "
            "C compiler with OpenMP (gcc), or name it in CC; CAFFE_KERNELS=0 silences this",
        )
        return None
    return declared(loaded)


def _loaded() -> ctypes.CDLL:
    path = compiling.compiled()
    try:
        return ctypes.CDLL(os.fspath(path))
    except OSError:  # a damaged file in the cache
        path.unlink(missing_ok=True)
        return ctypes.CDLL(os.fspath(compiling.compiled()))


def declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    """A library of the kernels, with the types of its functions."""
    for name, (arguments, result) in SIGNATURES.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, result
    return loaded


# ---- what every kernel's Python side needs


def native() -> ctypes.CDLL:
    """The loaded kernels. Raises RuntimeError if there are none: ask `available()` first."""
    loaded = library()
    if loaded is None:
        raise RuntimeError("the C kernels are not available: see caffe.kernels.library.available()")
    return loaded


def address(
    tensor: torch.Tensor | None,
    shape: tuple[int, ...] | None = None,
    dtype: torch.dtype = torch.float32,
) -> int | None:
    """The address of a tensor's values; None of None.

    Raises ValueError unless it is contiguous, on the CPU, of that dtype and, if given, shape.
    """
    if tensor is None:
        return None
    if tensor.dtype != dtype or tensor.device.type != "cpu" or not tensor.is_contiguous():
        raise ValueError(
            f"a C kernel needs contiguous {dtype} on the CPU, got {tensor.dtype} on {tensor.device}, "
            f"strides {tensor.stride()} for shape {tuple(tensor.shape)}"
        )
    if shape is not None and tuple(tensor.shape) != shape:
        raise ValueError(f"a C kernel needs shape {shape}, got {tuple(tensor.shape)}")
    return tensor.data_ptr()


def written(tensor: torch.Tensor) -> None:
    """Let PyTorch count a write to a tensor that it has not seen."""
    if not tensor.is_inference():
        torch.autograd.graph.increment_version(tensor)


def workspace(name: str, size: int) -> torch.Tensor:
    """At least `size` floats to compute in, kept for later calls; each thread has its own."""
    space = getattr(_workspaces, name, None)
    if space is None or space.numel() < size:
        space = torch.zeros(size, dtype=torch.float32, device="cpu")
        setattr(_workspaces, name, space)
    return space
