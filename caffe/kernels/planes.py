"""Convolutions of any kernel and stride straight on Caffe's planes, in C: no columns of the whole picture."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from .cases import Geometry
from .library import Planes, address, native, workspace, written

ALONE = 2**19  # multiply-adds that one thread does sooner than a second wakes


def lay_out(weight: torch.Tensor, group: int, scale: torch.Tensor | None = None) -> torch.Tensor:
    """Weights (outputs, inputs / group, h, w), times a scale of each output, as `convolve` takes them."""
    outs, depth = weight.shape[0] // group, weight[0].numel()
    size = native().planes_weights_size(group, outs, depth)
    packed = torch.empty(size, device="cpu", dtype=torch.float32)
    native().planes_weights(address(weight), address(scale), group, outs, depth, address(packed))
    return packed


def convolve(
    x: torch.Tensor,
    weights: torch.Tensor,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    geometry: Geometry,
    rows: Sequence[int],
    slope: float | None = None,
) -> None:
    """Write the rows (first, end) of the convolution of x (N, C, H, W) into y (N, K, h, w).

    `weights` are those of `lay_out`. With a `slope` negative results are multiplied by it, as by a ReLU.
    """
    group, (pictures, channels, *sizes), outs = geometry.group, x.shape, y.shape[1]
    case = Planes(
        *(pictures, group, channels // group, *sizes, outs // group, *y.shape[2:]),
        *(*geometry.kernel, *geometry.stride, *geometry.pad, *geometry.dilation, *rows),
        *(address(x), address(weights), address(bias), address(y), None),
        slope is not None,
        slope or 0.0,
    )
    work = pictures * (rows[1] - rows[0]) * y.shape[3] * weights.numel()
    threads = min(torch.get_num_threads(), 1 + work // ALONE)
    here = ctypes.byref(case)
    case.scratch = address(workspace("maps", native().planes_scratch(here, threads)))
    native().planes_convolve(here, threads)
    written(y)
