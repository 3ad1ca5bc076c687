"""MAX pooling of TRAIN nets, in C. Windows start inside of the plane; the last may end outside."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from .library import address, native, written


def maxima_and_cells(
    x: torch.Tensor, y: torch.Tensor, kernel: Sequence[int], stride: Sequence[int]
) -> torch.Tensor:
    """Fill y with the MAX pooling of x; returns which cell of its window each maximum is from.

    uint8, counted row by row, 255 where nothing was larger than -FLT_MAX.
    """
    cells = torch.empty(y.shape, dtype=torch.uint8, device="cpu")
    native().maxima_and_cells(
        *(address(x), math.prod(x.shape[:-2]), *x.shape[-2:], *kernel, *stride),
        *(address(y), address(cells, dtype=torch.uint8), *y.shape[-2:]),
        torch.get_num_threads(),
    )
    written(y)
    return cells


def maxima_gradient(
    dy: torch.Tensor,
    cells: torch.Tensor,
    dx: torch.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
) -> None:
    """Fill dx with what dy sends to the cells that `maxima_and_cells` found."""
    native().maxima_gradient(
        *(address(dy), address(cells, tuple(dy.shape), torch.uint8)),
        *(math.prod(dx.shape[:-2]), *dx.shape[-2:], kernel[1], *stride),
        *(address(dx), *dy.shape[-2:]),
        torch.get_num_threads(),
    )
    written(dx)
