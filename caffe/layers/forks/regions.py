"""Pooling over regions of interest: ROIPooling of Fast R-CNN, PSROIPooling of R-FCN
(roi_pooling_layer.cu, psroi_pooling_layer.cu). Regions are rows (picture, x1, y1, x2, y2)."""

from __future__ import annotations

import torch

from ... import context
from ...blob import Blob
from ...layer import Layer, register


class Regions(Layer):
    """Bottom 0 holds maps (N, C, H, W), bottom 1 regions (R, 5) in pixels of the pictures; the top
    has an item a region. The regions' gradient is 0."""

    num_bottom, num_top = 2, 1
    deterministic = repeatable = True

    def allow_force_backward(self, bottom_index):
        return bottom_index == 0

    def check_regions(self, bottom: list[Blob]) -> None:
        """Raise ValueError for bottoms that are no maps and regions."""
        shape = list(bottom[1].shape)
        if bottom[0].num_axes != 4 or shape[1:2] != [5] or bottom[1].count != 5 * shape[0]:
            raise self.error(
                "needs maps (N, C, H, W) and regions (R, 5), the picture and x1, y1, x2, y2; got "
                f"shapes {list(bottom[0].shape)} and {shape}"
            )

    def pooled(self) -> tuple[int, int]:
        """The height and width that every region is pooled to."""
        size = self.param.pooled_h, self.param.pooled_w
        if min(size) < 1:
            raise self.error(f"pooled_h and pooled_w must be above 0, got {size}")
        return size

    def pictures(self, regions: torch.Tensor, num: int) -> torch.Tensor:
        """The picture of each region. ValueError, on a GPU deferred, for one that is not there."""
        picture = regions[:, 0].long()
        if picture.numel():
            self.check_range(picture, self.check_picture, num)
        return picture.clamp(0, num - 1) if context.on_gpu() else picture

    def check_picture(self, low: int, high: int, num: int) -> None:
        """Raise ValueError for a picture beyond the batch."""
        if low < 0 or high >= num:
            raise self.error(f"regions name pictures {low}..{high}, the batch has 0..{num - 1}")


def rounded(x: torch.Tensor) -> torch.Tensor:
    """The nearest integers, halves away from zero, as C's round; torch.round takes the even one."""
    return (x.abs() + 0.5).floor() * x.sign()


@register
class ROIPooling(Regions):
    """The maximum over each cell of a grid, pooled_h x pooled_w, on a region.

    The region's corners are scaled by spatial_scale and rounded, and both of them belong to it; cells
    overlap where they do not divide it. An empty cell, as of a region outside the map, gives 0.
    """

    fork = "Fast R-CNN"
    saved_for_backward = {"place": 8}

    def setup(self, bottom, top):
        self.size = self.pooled()

    def reshape(self, bottom, top):
        self.check_regions(bottom)
        top[0].set_shape([bottom[1].shape[0], bottom[0].shape[1], *self.size])

    def bounds(self, start: torch.Tensor, end: torch.Tensor, axis: int, length: int) -> list:
        """[(first, one behind the last)] of the cells along an axis, for each region."""
        start, end = (rounded(edge * self.param.spatial_scale) for edge in (start, end))
        extent = (end - start + 1).clamp(min=1)
        cells = torch.arange(self.size[axis], dtype=start.dtype, device=start.device)
        each = (extent / self.size[axis])[:, None]
        first = (cells * each).floor() + start[:, None]
        last = ((cells + 1) * each).ceil() + start[:, None]
        # the host has to know where to look: regions are few, and mostly come from it
        return torch.stack([first, last], 2).clamp(0, length).long().tolist()

    def forward(self, bottom, top):
        x, regions = bottom[0].x, bottom[1].x.view(-1, 5)
        y = top[0].x.zero_()
        self.place = torch.full_like(y, -1, dtype=torch.int64)
        pictures = self.pictures(regions, len(x)).tolist()
        rows = self.bounds(regions[:, 2], regions[:, 4], 0, x.shape[2])
        columns = self.bounds(regions[:, 1], regions[:, 3], 1, x.shape[3])
        for r, picture in enumerate(pictures):
            self.pool(x[picture], rows[r], columns[r], y[r], self.place[r])

    def pool(
        self, plane: torch.Tensor, rows: list, columns: list, y: torch.Tensor, place: torch.Tensor
    ) -> None:
        """Fill one region's y and place, both (C, pooled_h, pooled_w).

        Columns first: of equal maxima the one in the highest row wins, then the leftmost.
        """
        top, bottom = min(first for first, _ in rows), max(last for _, last in rows)
        for j, (left, right) in enumerate(columns):
            if right <= left or bottom <= top:
                continue
            best, column = plane[:, top:bottom, left:right].max(2)
            column += left
            for i, (first, last) in enumerate(rows):
                if last <= first:
                    continue
                value, row = best[:, first - top : last - top].max(1)
                y[:, i, j] = value
                at = column[:, first - top : last - top].gather(1, row[:, None])[:, 0]
                place[:, i, j] = (row + first) * plane.shape[2] + at

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:  # as of all that a layer with learned bottoms proposes
            bottom[1].dx.zero_()
        if not propagate_down[0]:
            return
        dx = bottom[0].dx.zero_()
        picture = self.pictures(bottom[1].x.view(-1, 5), len(dx))
        channel = torch.arange(dx.shape[1], device=dx.device)
        plane = (picture[:, None] * dx.shape[1] + channel)[:, :, None, None] * dx[0, 0].numel()
        pooled = self.place >= 0
        dx.view(-1).index_add_(
            0, (plane + self.place.clamp(min=0)).flatten(), (top[0].dx * pooled).flatten()
        )


@register
class PSROIPooling(Regions):
    """The mean over each cell of a grid, group_size x group_size, on a region, each cell from
    channels of its own: cell (i, j) of output channel c reads (c * group_size + i) * group_size + j.

    The corners are rounded, then scaled by spatial_scale. An empty cell gives 0.
    """

    fork = "R-FCN"
    capturable = True

    def setup(self, bottom, top):
        if self.param.group_size < 1 or self.param.output_dim < 1:
            raise self.error(
                "group_size and output_dim must be given, and above 0, got "
                f"{self.param.group_size} and {self.param.output_dim}"
            )

    def reshape(self, bottom, top):
        self.check_regions(bottom)
        group, channels = self.param.group_size, self.param.output_dim
        if bottom[0].shape[1] != channels * group * group:
            raise self.error(
                f"output_dim {channels} and group_size {group} need {channels * group * group} "
                f"channels, the bottom's shape is {list(bottom[0].shape)}"
            )
        top[0].set_shape([bottom[1].shape[0], channels, group, group])

    def corners(self, bottom: list[Blob]) -> tuple[torch.Tensor, torch.Tensor]:
        """(areas of the cells (R, 1, g, g), their four corners as indices into the sums).

        The sums are (N * C, H + 1, W + 1), flat; the indices are (4, R, output_dim, g, g), in the
        order of the signs +, -, -, + with which the corners count.
        """
        num, channels, height, width = bottom[0].shape
        regions, group = bottom[1].x.view(-1, 5), self.param.group_size
        edges = []
        for axis, length in ((2, height), (1, width)):
            start = rounded(regions[:, axis]) * self.param.spatial_scale
            end = (rounded(regions[:, axis + 2]) + 1) * self.param.spatial_scale
            each = ((end - start).clamp(min=0.1) / group)[:, None]
            cells = torch.arange(group, dtype=start.dtype, device=start.device)
            first = (cells * each + start[:, None]).floor().clamp(0, length)
            last = ((cells + 1) * each + start[:, None]).ceil().clamp(0, length)
            edges.append((first.long(), torch.maximum(first, last).long()))
        (top, below), (left, right) = edges
        area = (below - top)[:, None, :, None] * (right - left)[:, None, None, :]
        channel = torch.arange(channels, device=regions.device).view(-1, group, group)
        picture = self.pictures(regions, num)[:, None, None, None]
        plane = (picture * channels + channel) * ((height + 1) * (width + 1))
        corners = [
            plane + (row[:, None, :, None] * (width + 1) + column[:, None, None, :])
            for row, column in ((below, right), (top, right), (below, left), (top, left))
        ]
        return area, torch.stack(corners)

    def forward(self, bottom, top):
        area, corners = self.corners(bottom)
        # a cell's sum is a difference of sums from the map's corner on, which want the precision
        sums = torch.nn.functional.pad(bottom[0].x.double().cumsum(2).cumsum(3), (1, 0, 1, 0))
        a, b, c, d = sums.reshape(-1)[corners]
        top[0].x.copy_((a - b - c + d) / area.clamp(min=1))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:  # as of all that a layer with learned bottoms proposes
            bottom[1].dx.zero_()
        if not propagate_down[0]:
            return
        num, channels, height, width = bottom[0].shape
        area, corners = self.corners(bottom)
        share = top[0].dx.double() / area.clamp(min=1)
        sums = share.new_zeros(num * channels * (height + 1) * (width + 1))
        for corner, sign in zip(corners, (1, -1, -1, 1)):
            sums.index_add_(0, corner.flatten(), share.flatten(), alpha=sign)
        # a cell counts in every sum that ends behind it
        counted = sums.view(num, channels, height + 1, width + 1).flip(2, 3).cumsum(2).cumsum(3)
        bottom[0].dx.copy_(counted.flip(2, 3)[:, :, 1:, 1:])
