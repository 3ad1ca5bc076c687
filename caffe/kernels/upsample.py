"""Deconvolutions that mix no channels, as interpolation does, in C."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .library import address, native, workspace, written


def upsample(
    x: torch.Tensor,
    filters: torch.Tensor,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    stride: Sequence[int],
    pad: Sequence[int],
) -> None:
    """Write the deconvolution of x (C, H, W) with one kernel a channel, filters (C, h, w), into y."""
    threads = torch.get_num_threads()
    size = native().upsample_scratch(x.shape[2], filters.shape[2], stride[1], threads)
    native().upsample(
        *(address(x), *x.shape),
        *(address(filters, (x.shape[0], *filters.shape[1:])), *filters.shape[1:], *stride, *pad),
        *(address(bias), address(y, (x.shape[0], *y.shape[1:])), *y.shape[1:]),
        *(address(workspace("rows", size)), threads),
    )
    written(y)
