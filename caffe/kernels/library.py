"""Compiles the C kernels at first use, for the machine that runs them, and loads them by ctypes.

Without a C compiler, or with CAFFE_KERNELS=0 in the environment, `available()` is False.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

from ..glog import warning

SOURCES = Path(__file__).parent
FLAGS = ["-O3", "-march=native", "-std=gnu11", "-fopenmp", "-fPIC", "-shared"]
UNUSED_DAYS = 30  # after which a library of other sources or another compiler is deleted

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
    "maxima": ([_POINTER, *[_LONG] * 7, _POINTER, *[_LONG] * 6, _INT], None),
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
        loaded = ctypes.CDLL(os.fspath(_compiled()))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:  # no home, no compiler
        reason = getattr(error, "stderr", "") or error
        warning(
            "kernels:0",
            f"the C kernels could not be compiled ({reason}): forward takes over twice as long. Install a "
            "C compiler with OpenMP (gcc), or name it in CC; CAFFE_KERNELS=0 silences this",
        )
        return None
    for name, (arguments, result) in SIGNATURES.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, result
    return loaded


def _compiled() -> Path:
    """The library, from the cache if this machine's compiler has compiled these sources before."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("gcc", "cc", "clang")), "gcc")
    digest = hashlib.sha256(repr((compiler, FLAGS, platform.machine(), _processor())).encode())
    digest.update(_version_of(compiler))
    for path in sorted(SOURCES.glob("*.[ch]")):
        digest.update(path.read_bytes())
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fcn-caffe")
    target = folder / f"kernels-{digest.hexdigest()[:16]}.so"
    if target.exists():
        _require_own(target)
        os.utime(target)  # used today: `_prune` spares it
        return target
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _require_own(folder)
    with tempfile.TemporaryDirectory(dir=folder) as work:  # several processes may be at it
        built = Path(work, target.name)
        sources = map(str, sorted(SOURCES.glob("*.c")))
        command = [*compiler.split(), *FLAGS, *sources, "-o", str(built)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        os.replace(built, target)
    _prune(folder, target)
    return target


def _version_of(compiler: str) -> bytes:
    """The first line of what a compiler says of its version; nothing if it does not run."""
    try:
        done = subprocess.run([*compiler.split(), "--version"], capture_output=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout.partition(b"\n")[0]


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() + sys.platform
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _require_own(path: Path) -> None:
    """Raise RuntimeError if somebody else could have put code there."""
    status = path.stat()
    mine = status.st_uid == os.getuid()
    if not mine or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RuntimeError(
            f"{path} belongs to another user or may be written by others: chmod go-w it, or set "
            "XDG_CACHE_HOME to a folder of your own"
        )


def _prune(folder: Path, keep: Path) -> None:
    """Delete libraries that were not used for UNUSED_DAYS."""
    oldest = time.time() - UNUSED_DAYS * 86400
    for path in folder.glob("kernels-*.so"):
        if path != keep and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)


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
