"""3x3 convolutions of stride 1 by Winograd's filtering, in C: a quarter of the multiplications."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from .library import Convolution, address, native, workspace, written

BLOCK_BYTES = 2**23  # of a block's transformed inputs and products, unless the weights are many
SPAN = 32  # tiles that a thread works on alone, where the channels are few
SPAN_CHANNELS = 256  # in and out, up to which a thread's second cache holds a span
TILE_FLOATS = 36  # of a transformed tile of one channel


def transform_weights(
    weight: torch.Tensor, transposed: bool = False, keep: bool = True
) -> torch.Tensor:
    """Weights (outputs, inputs, 3, 3) in the form that `convolve` multiplies by.

    `transposed` is for the gradient of the bottom: outputs and inputs change places and every kernel
    is turned by 180 degrees. Without `keep` the result holds until the next call: training makes it
    afresh every time.
    """
    outs, ins = weight.shape[:2]
    steps = ins * 9, 9
    if transposed:
        outs, ins, steps = ins, outs, steps[::-1]
    size = native().winograd_weights_size(outs, ins)
    transformed = (
        torch.empty(size, device="cpu", dtype=torch.float32) if keep else workspace("weights", size)
    )
    source = address(weight, (*weight.shape[:2], 3, 3))
    threads = torch.get_num_threads()
    native().winograd_weights(source, *steps, outs, ins, transposed, address(transformed), threads)
    return transformed


def convolve(
    x: torch.Tensor,
    weights: torch.Tensor,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    pad: Sequence[int],
    window: Sequence[int],
    slope: float | None = None,
) -> None:
    """Write a window (top, bottom, left, right) of the convolution of x (C, H, W) into y (K, h, w).

    `weights` are those of `transform_weights`; `pad` (rows, columns) may be negative. With a `slope`
    negative results are multiplied by it, as by a ReLU.
    """
    ins, outs = x.shape[0], y.shape[0]
    top, bottom, left, right = window
    if not (0 <= top <= bottom <= y.shape[1] and 0 <= left <= right <= y.shape[2]):
        raise ValueError(f"window {tuple(window)} is outside of a map of shape {tuple(y.shape)}")
    threads = torch.get_num_threads()
    rows, tiles = (bottom - top + 3) // 4, (right - left + 3) // 4
    block = _block_rows(rows, (ins + outs) * tiles, ins * outs)
    span = SPAN if ins + outs <= SPAN_CHANNELS else 0
    size = native().winograd_scratch(ins, outs, tiles, block, span, threads)
    convolution = Convolution(
        *(ins, *x.shape[1:], *pad, outs, *y.shape[1:], *window, block, span),
        address(x),
        address(weights),
        address(bias),
        address(y),
        address(workspace("maps", size)),
        slope is not None,
        slope or 0.0,
    )
    native().winograd_convolve(ctypes.byref(convolution), threads)
    written(y)


def add_weight_gradient(
    x: torch.Tensor, dy: torch.Tensor, dw: torch.Tensor, pad: Sequence[int]
) -> None:
    """Dw (K, C, 3, 3) += the weights' gradient, from bottoms x (N, C, H, W) and the tops' diffs dy."""
    threads, ins, outs = torch.get_num_threads(), x.shape[1], dy.shape[1]
    height, width = dy.shape[2:]
    tiles, rows = (width + 3) // 4, (height + 3) // 4
    block = _block_rows(rows, (ins + outs) * tiles, ins * outs)
    size = native().winograd_gradient_scratch(ins, outs, tiles, block, threads)
    target, scratch = address(dw, (outs, ins, 3, 3)), address(workspace("maps", size))
    for n, (picture, diff) in enumerate(zip(x, dy)):
        native().winograd_gradient(
            *(address(picture), *picture.shape, *pad),
            *(address(diff), *diff.shape),
            *(n == 0, n == len(x) - 1),
            *(target, block, scratch, threads),
        )
    written(dw)


def _block_rows(rows: int, tiles_per_row: int, weights: int) -> int:
    """How many tile rows are worked on at a time, in blocks of about equal size.

    Every block reads all weights: it should have several times as many numbers of its own.
    """
    room = max(BLOCK_BYTES, 4 * TILE_FLOATS * 4 * weights)
    blocks = -(-rows // max(1, room // (TILE_FLOATS * 4 * tiles_per_row)))
    return -(-rows // blocks) if blocks else 0
