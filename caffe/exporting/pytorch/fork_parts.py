"""Functions and classes that exported files hold a copy of, for the layers of Caffe's forks.

Each stands alone, or calls those that its writer names with it: it is copied as it is.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parts import batch_normalized


class UnscaledDropout(nn.Dropout):
    """Dropout that scales when it does not drop, as Fast R-CNN's."""

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, self.training) * (1 - self.p)


class BatchScale(nn.Module):
    """Scale and shift of a batch normalized by its own statistics, in every mode, or of x itself."""

    def __init__(self, channels: int, eps: float, normalizes: bool) -> None:
        super().__init__()
        self.eps, self.normalizes = eps, normalizes
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shape = [-1] + [1] * (x.dim() - 2)
        y = batch_normalized(x, self.eps) if self.normalizes else x
        return y * self.weight.view(shape) + self.bias.view(shape)


class FrozenBN(nn.Module):
    """Batch normalization by running statistics, in training, too."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.running_mean, self.running_var
        return F.batch_norm(x, *statistics, self.weight, self.bias, eps=self.eps)


class Normalize(nn.Module):
    """weight * x / sqrt(sum of x^2 + eps), summed over axes; one weight, or one a channel."""

    def __init__(self, weights: int, axes: list[int], eps: float) -> None:
        super().__init__()
        self.axes, self.eps = axes, eps
        self.weight = nn.Parameter(torch.ones(weights))

    def forward(self, x: Tensor) -> Tensor:
        length = (x.square().sum(self.axes, keepdim=True) + self.eps).sqrt()
        return x / length * self.weight.view([-1] + [1] * (x.dim() - 2))


class Fixed(nn.Module):
    """Values that depend on nothing."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.values: Tensor
        self.register_buffer("values", torch.zeros(shape))

    def forward(self) -> Tensor:
        return self.values


def interp(
    x: Tensor,
    size: list[int] | None = None,
    shrink: int = 1,
    zoom: int = 1,
    cut: tuple[int, int] = (0, 0),
    nearest: bool = False,
) -> Tensor:
    """Bilinear resizing with the corners' centres staying where they are, to a size or by factors."""
    x = x[..., cut[0] : x.shape[2] - cut[1], cut[0] : x.shape[3] - cut[1]]
    if size is None:
        shrunk = [(side - 1) // shrink + 1 for side in x.shape[2:]]
        size = [side + (side - 1) * (zoom - 1) for side in shrunk]
    if not nearest:
        return F.interpolate(x, list(size), mode="bilinear", align_corners=True)
    rows, columns = (
        (torch.arange(n, device=x.device) * ((m - 1) / (n - 1) if n > 1 else 0) + 0.5).long()
        for n, m in zip(size, x.shape[2:])
    )
    return x[:, :, rows[:, None], columns]


def upsample(x: Tensor, mask: Tensor, size: list[int]) -> Tensor:
    """x at the places h * width + w that the mask names, zeros elsewhere."""
    plane = x.new_zeros(*x.shape[:2], size[0] * size[1])
    return plane.scatter(2, mask.long().flatten(2), x.flatten(2)).unflatten(2, size)


def shuffle(x: Tensor, group: int) -> Tensor:
    """Channels as a matrix of `group` rows, transposed."""
    return x.unflatten(1, (group, -1)).transpose(1, 2).flatten(1, 2)


def reorg(x: Tensor, stride: int) -> Tensor:
    """(N, C, H, W) as (N, C * stride^2, H / stride, W / stride), in darknet's order."""
    n, c, h, w = x.shape
    parts = x.reshape(n, c // stride**2, h, stride, w, stride).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * stride**2, h // stride, w // stride)


def unreorg(x: Tensor, stride: int) -> Tensor:
    """The way back from darknet's order."""
    n, c, h, w = x.shape
    parts = x.reshape(n, stride, stride, c // stride**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(n, c // stride**2, h * stride, w * stride)


def round_away(x: float) -> int:
    """The nearest integer, halves away from zero."""
    return int(abs(x) + 0.5) * (1 if x >= 0 else -1)


def cell(start: int, end: int, at: int, cells: int, length: int) -> slice:
    """Where a cell of a region lies on an axis of the map."""
    each = max(end - start + 1, 1) / cells
    first, last = math.floor(at * each) + start, math.ceil((at + 1) * each) + start
    return slice(min(max(first, 0), length), min(max(last, 0), length))


def roi_pool(x: Tensor, regions: Tensor, size: list[int], scale: float) -> Tensor:
    """The maximum over each cell of a grid on a region (picture, x1, y1, x2, y2); 0 in empty cells."""
    pooled = []
    for picture, *corners in regions.detach().reshape(-1, 5).tolist():
        left, top, right, bottom = (round_away(corner * scale) for corner in corners)
        cells = []
        for i in range(size[0]):
            for j in range(size[1]):
                rows = cell(top, bottom, i, size[0], x.shape[2])
                columns = cell(left, right, j, size[1], x.shape[3])
                part = x[int(picture), :, rows, columns].flatten(1)
                cells.append(part.max(1).values if part.numel() else x.new_zeros(x.shape[1]))
        pooled.append(torch.stack(cells, 1).unflatten(1, size))
    return torch.stack(pooled)
