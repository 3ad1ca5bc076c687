"""Pooling over the windows of a plane: where Caffe puts them, and what computes over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
from torch.nn.functional import pad as pad_around

from .. import context
from . import library, maps
from .products import on_cpu

aten = torch.ops.aten
FLT_MAX = torch.finfo(torch.float32).max
FLT_MIN = torch.finfo(torch.float32).tiny


class PoolWindows:
    """Where the windows lie on a plane, by Caffe's rules of rounding (PyTorch's differ)."""

    def __init__(self, size, kernel, stride, pad, floor=False):
        self.size, self.kernel, self.stride, self.pad = size, kernel, stride, pad
        reach = [s + 2 * p - k for s, k, p in zip(size, kernel, pad)]
        self.counts = [(r // s if floor else -(-r // s)) + 1 for r, s in zip(reach, stride)]
        if any(pad):
            # The last window must start inside; without any padding Caffe never looks
            self.counts = [
                n - (n > 0 and (n - 1) * s >= length + p)
                for n, s, length, p in zip(self.counts, stride, size, pad)
            ]
        native = [(r if floor else r + s - 1) // s + 1 for r, s in zip(reach, stride)]
        native = [
            n - (not floor and (n - 1) * s >= length + p)
            for n, s, length, p in zip(native, stride, size, pad)
        ]
        # whether PyTorch's pooling has the same windows
        self.native = (
            native == self.counts
            and min(self.counts) > 0
            and min(reach) >= 0
            and all(2 * p <= k for p, k in zip(pad, kernel))
        )
        self.geometry = (list(kernel), list(stride), list(pad))
        self.ceil = not floor

    def padded(self, x: torch.Tensor, fill: float) -> torch.Tensor:
        """The plane with room for every window around it."""
        near, far = zip(*self.margins())
        return pad_around(x, (near[1], far[1], near[0], far[0]), value=fill)

    def margins(self) -> Iterator[tuple[int, int]]:
        """The cells before and after the plane, along each axis, that windows reach."""
        for n, s, k, size, pad in zip(self.counts, self.stride, self.kernel, self.size, self.pad):
            yield pad, max(0, (n - 1) * s + k - size - pad)

    def inside(self, padded: torch.Tensor) -> torch.Tensor:
        """The plane itself, within its padded form."""
        rows, columns = (slice(p, p + size) for p, size in zip(self.pad, self.size))
        return padded[..., rows, columns]

    def cells(self, padded: torch.Tensor) -> Iterator[tuple[tuple[int, ...], torch.Tensor]]:
        """For every cell of the kernel: its row and column, and what it meets in all windows."""
        for at in product(*map(range, self.kernel)):
            rows, columns = (
                slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(at, self.counts, self.stride)
            )
            yield at, padded[..., rows, columns]

    def starts(self, axis: int, device: torch.device) -> torch.Tensor:
        """Where the windows begin along an axis, in cells of the plane."""
        return torch.arange(self.counts[axis], device=device) * self.stride[axis] - self.pad[axis]

    def areas(self, like: torch.Tensor) -> torch.Tensor:
        """How many cells of the padded plane each window covers: what AVE divides by."""
        sides = []
        for axis in (0, 1):
            start = self.starts(axis, like.device)
            end = start + self.kernel[axis]
            sides.append(end.clamp(max=self.size[axis] + self.pad[axis]) - start)
        return (sides[0][:, None] * sides[1]).to(like.dtype)


def max_pool(x: torch.Tensor, windows: PoolWindows) -> tuple[torch.Tensor, torch.Tensor]:
    """Maxima and their positions h * width + w in the plane; the first of equal maxima wins."""
    if windows.native and context.on_gpu():
        return max_pool_unseen(x, windows)
    if windows.native:
        y, position = aten.max_pool2d_with_indices(x, *windows.geometry, [1, 1], windows.ceil)
        if math.isfinite(y.sum()):
            return y, position
    # Caffe starts from -FLT_MAX and asks for more: NaN, and windows outside the plane, never win
    y = x.new_full((*x.shape[:2], *windows.counts), -FLT_MAX)
    position = torch.full_like(y, -1, dtype=torch.int64)
    top = windows.starts(0, x.device)[:, None] * windows.size[1] + windows.starts(1, x.device)
    for (row, column), value in windows.cells(windows.padded(x, -math.inf)):
        wins = value > y
        y = torch.where(wins, value, y)
        position = torch.where(wins, top + (row * windows.size[1] + column), position)
    return y, position


def max_pool_unseen(x: torch.Tensor, windows: PoolWindows) -> tuple[torch.Tensor, torch.Tensor]:
    """`max_pool` where the host would have to wait to see whether any value never wins: such values
    are put last beforehand, in a pass that is shorter than the wait."""
    x = torch.nan_to_num(x, nan=-math.inf, posinf=math.inf, neginf=-math.inf)
    y, position = aten.max_pool2d_with_indices(x, *windows.geometry, [1, 1], windows.ceil)
    position.masked_fill_(y <= -FLT_MAX, -1)
    return y.clamp_(min=-FLT_MAX), position


def maxima(x: torch.Tensor, windows: PoolWindows) -> torch.Tensor:
    """The maxima of `max_pool` without their positions.

    For the 2x2 windows of most nets, comparing the kernel's cells plane by plane takes a third of
    the time that PyTorch's kernel takes with positions; for larger ones it takes longer.
    """
    small = math.prod(windows.kernel) <= 4 and not any(windows.pad) and windows.native
    if not small or context.on_gpu():
        return max_pool(x, windows)[0]
    cells = windows.cells(x)
    y = next(cells)[1].clone(memory_format=torch.contiguous_format)
    for _, value in cells:
        part = y[..., : value.shape[-2], : value.shape[-1]]  # the last windows may overhang
        torch.maximum(part, value, out=part)
    return y if math.isfinite(y.sum()) else max_pool(x, windows)[0]


def by_kernel(x: torch.Tensor, windows: PoolWindows) -> bool:
    """Whether the engine's own kernels compute the maxima; in training they keep a byte a window."""
    return (
        on_cpu(x)
        and x.numel() > 0
        and not any(windows.pad)
        and windows.native
        and math.prod(windows.kernel) < 255
        and library.available()
    )


def pool_window(
    x: torch.Tensor, windows: PoolWindows, y: torch.Tensor, window: Sequence[int], mean: bool
) -> None:
    """A window (top, bottom, left, right) of `maxima`, or of `ave_pool`, written into y."""
    if maps.takes(x, y) and library.available():
        maps.pool_windows(x, y, windows.geometry, window, mean)
    else:
        rows, columns = slice(*window[:2]), slice(*window[2:])
        whole = (ave_pool if mean else maxima)(x, windows)
        y[..., rows, columns].copy_(whole[..., rows, columns])


def max_pool_backward(
    dy: torch.Tensor, x: torch.Tensor, windows: PoolWindows, position: torch.Tensor
) -> torch.Tensor:
    """The bottom's gradient from the positions that `max_pool` found."""
    if windows.native:  # PyTorch's kernels pass by a position of -1, too
        return aten.max_pool2d_with_indices_backward(
            dy, x, *windows.geometry, [1, 1], windows.ceil, position
        )
    won = position >= 0
    dx = torch.zeros_like(x)
    dx.flatten(2).scatter_add_(2, position.clamp(min=0).flatten(2), (dy * won).flatten(2))
    return dx


def stochastic_pool(
    x: torch.Tensor, windows: PoolWindows, draw: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One cell of each window, drawn with its value as weight, and its position; x is not negative.

    `draw` (0 < draw <= 1, of the top's shape) picks the first cell at which the sum so far, in
    order of rows, reaches that share of the window's sum (pooling_layer.cu).
    """
    padded = windows.padded(x, 0.0)
    threshold = draw * sum(value for _, value in windows.cells(padded))
    y, total = torch.zeros_like(draw), torch.zeros_like(draw)
    position = torch.full_like(y, -1, dtype=torch.int64)
    top = windows.starts(0, x.device)[:, None] * windows.size[1] + windows.starts(1, x.device)
    for (row, column), value in windows.cells(padded):
        total = total + value
        drawn = (position < 0) & (total >= threshold)
        y = torch.where(drawn, value, y)
        position = torch.where(drawn, top + (row * windows.size[1] + column), position)
    return y, position


def weighted_mean_pool(x: torch.Tensor, windows: PoolWindows) -> torch.Tensor:
    """What STOCHASTIC pooling does when testing: the mean of each window, weighted by itself."""
    padded = windows.padded(x, 0.0)
    squares: Any = sum(value * value for _, value in windows.cells(padded))
    return squares / (FLT_MIN + sum(value for _, value in windows.cells(padded)))


def ave_pool(x: torch.Tensor, windows: PoolWindows) -> torch.Tensor:
    """Sum over each window, by the number of its cells within the padded plane."""
    if windows.native:
        return aten.avg_pool2d(x, *windows.geometry, windows.ceil, True)
    return sum(value for _, value in windows.cells(windows.padded(x, 0.0))) / windows.areas(x)


def ave_pool_backward(dy: torch.Tensor, x: torch.Tensor, windows: PoolWindows) -> torch.Tensor:
    """The bottom's gradient of `ave_pool`."""
    if windows.native:
        return aten.avg_pool2d_backward(dy, x, *windows.geometry, windows.ceil, True, None)
    padded = windows.padded(torch.zeros_like(x), 0.0)
    share = dy / windows.areas(x)
    for _, cell in windows.cells(padded):
        cell += share
    return windows.inside(padded).contiguous()
