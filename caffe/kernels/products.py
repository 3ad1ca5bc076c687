"""Matrix products, in the precision that was asked for (`caffe.set_precision`)."""

from __future__ import annotations

import torch

from .. import context
from .library import address, native, workspace, written


def on_cpu(tensor: torch.Tensor) -> bool:
    """Whether the C kernels and oneDNN take a tensor: float32 on a CPU."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


def product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """X (N, C) times the transpose of weight (K, C), plus bias (K): (N, K), of x's dtype.

    In float32 by oneDNN where it is there: MKL takes twice the time on processors not Intel's.
    """
    kind, stored = context.multiply_dtype(), x.dtype
    if kind == stored and on_cpu(x) and x.numel() and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    bias = None if bias is None else bias.to(kind)
    return torch.nn.functional.linear(x.to(kind), weight.to(kind), bias).to(stored)


def add_outer(a: torch.Tensor, b: torch.Tensor, m: torch.Tensor) -> None:
    """M (R, C) += a (R, D) times the transpose of b (C, D), in C: for D of some hundreds, a large m."""
    (rows, depth), columns = a.shape, b.shape[0]
    size = native().outer_scratch(rows, columns, depth)
    native().add_outer(
        *(address(a), address(b, (columns, depth)), rows, columns, depth),
        *(address(m, (rows, columns)), address(workspace("maps", size)), torch.get_num_threads()),
    )
    written(m)
