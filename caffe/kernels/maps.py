"""What goes over maps at memory speed, in C: pooling of TEST nets, normalization, sums."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import torch

from .library import Windows, address, native, workspace, written
from .products import on_cpu

ALONE = 2**15  # values that one thread goes over sooner than a second wakes


def threads_for(*tensors: torch.Tensor) -> int:
    """How many threads go over maps."""
    return min(torch.get_num_threads(), 1 + sum(t.numel() for t in tensors) // ALONE)


def pool_windows(
    x: torch.Tensor,
    y: torch.Tensor,
    geometry: Sequence[Sequence[int]],
    window: Sequence[int],
    mean: bool = False,
) -> None:
    """Write a window (top, bottom, left, right) of the MAX or AVE pooling of x (..., H, W) into y.

    `geometry` is kernel, stride and padding, each of rows and columns.
    """
    flat = [n for pair in geometry for n in pair]
    case = Windows(
        *(math.prod(x.shape[:-2]), *x.shape[-2:], *flat, *y.shape[-2:], *window),
        *(address(x), address(y, (*x.shape[:-2], *y.shape[-2:])), mean),
    )
    threads, here = threads_for(x, y), ctypes.byref(case)
    scratch = workspace("maps", native().windows_scratch(here, threads))
    native().pool_windows(here, address(scratch), threads)
    written(y)


def normalize_channels(x: torch.Tensor, y: torch.Tensor, size: int, alpha: float, k: float) -> None:
    """Y = x (k + alpha times the sum of squares over `size` channels) ** -0.75, of (N, C, H, W)."""
    count, channels, *plane = x.shape
    shape = count, channels, math.prod(plane)
    native().normalize_channels(
        address(x), *shape, size, alpha, k, address(y, tuple(x.shape)), threads_for(x)
    )
    written(y)


def add_maps(
    a: torch.Tensor, b: torch.Tensor, y: torch.Tensor, factor: float = 1.0, slope: float = 1.0
) -> None:
    """Y = a + factor * b; where that is not above 0, times the slope, as a ReLU has it."""
    shape = tuple(a.shape)
    addresses = address(a), address(b, shape)
    native().add_maps(*addresses, factor, slope, a.numel(), address(y, shape), threads_for(a))
    written(y)


def takes(*tensors: torch.Tensor) -> bool:
    """Whether the kernels take tensors: float32 on a CPU, contiguous, none empty."""
    return all(on_cpu(t) and t.is_contiguous() and t.numel() for t in tensors)
