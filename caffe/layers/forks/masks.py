"""Layers of MNC, which segments instances: ROIWarping, MaskPooling, MaskResize
(roi_warping_layer.cu, mask_pooling_layer.cu, mask_resize_layer.cu of caffe-mnc)."""

from __future__ import annotations

import math
from typing import TypeAlias

import torch

from ...layer import Blobs, Layer, register
from .regions import Regions, rounded

# of the samples along an axis: shares of the region, weights, slopes, whether inside
Line: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def weights_at(at: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """How samples at positions `at` (S) read a line of `length` values by linear interpolation.

    (weights (S, length), their derivatives by the position, whether the sample lies on the line).
    Half a cell beyond both ends belongs to the line, with the end's value.
    """
    inside = (at >= -0.5) & (at <= length - 0.5)
    at = at.clamp(0, length - 1)
    low = at.floor().clamp(max=max(length - 2, 0))
    cells = torch.arange(length, dtype=at.dtype, device=at.device)
    near = (1 - (at[:, None] - cells).abs()).clamp(min=0)
    moves = ((at > 0) & (at < length - 1))[:, None]
    slope = (
        (cells == low[:, None] + 1).to(at.dtype) - (cells == low[:, None]).to(at.dtype)
    ) * moves
    return near, slope, inside


@register
class ROIWarping(Regions):
    """A region warped to pooled_h x pooled_w: of each cell the largest of bilinear samples.

    A cell has as many steps a side as map cells fall on it, and samples at both ends. The regions'
    diff, as in MNC, is of their centres and sizes in map cells: (0, xc, yc, width, height).
    MNC passes it none from samples in the map's last row or column; here it is the slope itself.
    """

    fork = "MNC"
    saved_for_backward = {"best": 8}

    def allow_force_backward(self, bottom_index):
        return True

    def setup(self, bottom, top):
        self.size = self.pooled()

    def reshape(self, bottom, top):
        self.check_regions(bottom)
        top[0].set_shape([bottom[1].shape[0], bottom[0].shape[1], *self.size])

    def samples(self, start: float, end: float, axis: int, like: torch.Tensor) -> torch.Tensor:
        """Where a region's cells sample an axis: (cells, steps + 1), as shares of the region."""
        extent = max(end - start, 0.0)
        steps = math.ceil(extent / self.size[axis])
        inner = torch.arange(steps + 1, dtype=like.dtype, device=like.device) / max(steps, 1)
        cells = torch.arange(self.size[axis], dtype=like.dtype, device=like.device)
        return (cells[:, None] + inner) / self.size[axis]

    def lines(self, bottom: Blobs, region: list[float]) -> list[Line]:
        """(shares, weights, slopes, inside) of the samples of a region, for rows and columns."""
        x, found = bottom[0].x, []
        for axis, length in ((0, x.shape[2]), (1, x.shape[3])):
            start, end = region[2 - axis], region[4 - axis]
            share = self.samples(start, end, axis, x)
            at = start + share.flatten() * max(end - start, 0.0)
            found.append((share, *weights_at(at, length)))
        return found

    def regions_in_cells(self, bottom: Blobs) -> list[list[float]]:
        """The regions, their corners in map cells; the host computes how many samples they need."""
        regions = bottom[1].x.view(-1, 5)
        self.pictures(regions, bottom[0].shape[0])
        scaled = rounded(regions[:, 1:] * self.param.spatial_scale)
        return torch.cat([regions[:, :1], scaled], 1).tolist()

    def forward(self, bottom, top):
        x, y = bottom[0].x, top[0].x
        self.best = torch.full_like(y, -1, dtype=torch.int64)
        for r, region in enumerate(self.regions_in_cells(bottom)):
            rows, columns = self.lines(bottom, region)
            values = rows[1] @ x[int(region[0])] @ columns[1].T
            values.masked_fill_(~(rows[3][:, None] & columns[3]), -math.inf)
            cells = self.by_cell(values, rows[0], columns[0])
            value, best = cells.max(3)
            empty = value == -math.inf
            y[r] = value.masked_fill(empty, 0)
            self.best[r] = best.masked_fill(empty, -1)

    def by_cell(
        self, values: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
    ) -> torch.Tensor:
        """(C, samples down, samples across) as (C, pooled_h, pooled_w, samples of a cell)."""
        split = values.view(-1, *rows.shape, *columns.shape)
        return split.permute(0, 1, 3, 2, 4).flatten(3)

    def backward(self, top, propagate_down, bottom):
        x, dx = bottom[0].x, bottom[0].dx.zero_() if propagate_down[0] else None
        dregions = bottom[1].dx.view(-1, 5).zero_() if propagate_down[1] else None
        for r, region in enumerate(self.regions_in_cells(bottom)):
            rows, columns = self.lines(bottom, region)
            picture, best = int(region[0]), self.best[r]
            dy = top[0].dx[r] * (best >= 0)
            if dx is not None:
                shape = (len(x[0]), *rows[0].shape, *columns[0].shape)
                chosen = dy.new_zeros((*dy.shape, shape[2] * shape[4]))
                chosen.scatter_(3, best.clamp(min=0)[..., None], dy[..., None])
                spread = chosen.view(*dy.shape, shape[2], shape[4]).permute(0, 1, 3, 2, 4)
                spread = spread.reshape(len(x[0]), shape[1] * shape[2], -1)
                dx[picture] += rows[1].T @ spread @ columns[1]
            if dregions is not None:
                self.region_backward(x[picture], rows, columns, best, dy, dregions[r])

    def region_backward(
        self,
        plane: torch.Tensor,
        rows: Line,
        columns: Line,
        best: torch.Tensor,
        dy: torch.Tensor,
        diff: torch.Tensor,
    ) -> None:
        """Write one region's diff: of its centre, and of its size by the share where samples lie."""
        down = self.by_cell(rows[2] @ plane @ columns[1].T, rows[0], columns[0])
        across = self.by_cell(rows[1] @ plane @ columns[2].T, rows[0], columns[0])
        best = best.clamp(min=0)[..., None]
        share_down = rows[0][:, None, :, None].expand(*self.size, -1, columns[0].shape[1])
        share_across = columns[0][None, :, None, :].expand(*self.size, rows[0].shape[1], -1)
        for slopes, shares, at in ((across, share_across, 1), (down, share_down, 2)):
            gradient = slopes.gather(3, best)[..., 0] * dy
            share = shares.flatten(2).expand(len(dy), -1, -1, -1).gather(3, best)[..., 0]
            diff[at] = gradient.sum()
            diff[at + 2] = (gradient * (share - 0.5)).sum()


@register
class MaskPooling(Layer):
    """Maps (N, C, H, W) times masks (N, 1, H, W). Both get a gradient."""

    fork = "MNC"
    num_bottom, num_top = 2, 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        maps, masks = list(bottom[0].shape), list(bottom[1].shape)
        if len(maps) != 4 or masks != [maps[0], 1, *maps[2:]]:
            raise self.error(
                f"needs maps (N, C, H, W) and masks (N, 1, H, W), got shapes {maps} and {masks}"
            )
        top[0].set_shape(maps)

    def forward(self, bottom, top):
        torch.mul(bottom[0].x, bottom[1].x, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            torch.mul(top[0].dx, bottom[1].x, out=bottom[0].dx)
        if propagate_down[1]:
            torch.sum(top[0].dx * bottom[0].x, 1, keepdim=True, out=bottom[1].dx)


@register
class MaskResize(Layer):
    """Bilinear resizing to output_height x output_width: cell i reads position i * in / out."""

    fork = "MNC"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        self.size = self.param.output_height, self.param.output_width
        if min(self.size) < 1:
            raise self.error(
                f"output_height and output_width must be given, and above 0, got {self.size}"
            )

    def reshape(self, bottom, top):
        num, channels, *sides = self.legacy_shape(bottom[0])
        self.shape = (num, channels, *sides)
        top[0].set_shape([num, channels, *self.size])

    def lines(self, like: torch.Tensor) -> list[torch.Tensor]:
        """The weights with which rows and columns are read."""
        found = []
        for length, wanted in zip(self.shape[2:], self.size):
            at = torch.arange(wanted, dtype=like.dtype, device=like.device) * (length / wanted)
            weights, _, inside = weights_at(at, length)
            found.append(weights * inside[:, None])
        return found

    def forward(self, bottom, top):
        rows, columns = self.lines(bottom[0].x)
        top[0].x = rows @ bottom[0].x.view(self.shape) @ columns.T

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            rows, columns = self.lines(top[0].dx)
            bottom[0].dx = (rows.T @ top[0].dx @ columns).view(tuple(bottom[0].shape))
