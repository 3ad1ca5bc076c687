"""Matrix products in the precision that was asked for (`caffe.set_precision`)."""

import torch

from .. import context


def on_cpu(tensor) -> bool:
    """Whether the engine's own kernels and oneDNN take it: float32 on a CPU."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32


def product(x, weight, bias=None):
    """x (N, C) times the transpose of weight (K, C), plus bias (K): (N, K), as stored.

    In float32 by oneDNN where it is there: MKL takes twice the time on processors not Intel's.
    """
    kind, stored = context.multiply_dtype(), x.dtype
    if kind == stored and on_cpu(x) and x.numel() and torch.backends.mkldnn.is_available():
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    bias = None if bias is None else bias.to(kind)
    return torch.nn.functional.linear(x.to(kind), weight.to(kind), bias).to(stored)
