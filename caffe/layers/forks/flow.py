"""Layers of FlowNet: L1Loss, Correlation, FlowWarp, ChannelNorm (their .cu files in flownet2, which has
no CPU code for most)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...layer import Layer, register
from ..loss import Loss


@register
class L1Loss(Loss):
    """sum |a - b|, or with l2_per_location the sum of each position's length, sqrt(sum d^2 + epsilon).

    One bottom alone is the difference. l2_prescale_by_channels divides each d^2 by the channels. NaNs
    do not count, and differences below plateau are 0; divided by the number of items, or with
    normalize_by_num_entries by the entries that are no NaNs, over channels. All bottoms get a gradient.
    """

    fork = "FlowNet"
    num_bottom = (1, 2)
    capturable = True

    def allow_force_backward(self, bottom_index):
        return True

    def reshape(self, bottom, top):
        if any(blob.count != bottom[0].count for blob in bottom):
            raise self.error(
                "both bottoms must hold as many values, got shapes "
                f"{[list(blob.shape) for blob in bottom]}"
            )
        self.shape = self.legacy_shape(bottom[0])
        top[0].set_shape([])

    def forward(self, bottom, top):
        p, (num, channels, *_) = self.param, self.shape
        difference = bottom[0].x.view(self.shape)
        for blob in bottom[1:]:
            difference = difference - blob.x.view(self.shape)
        there = ~difference.isnan()
        counts = there & (difference.abs() >= p.plateau)
        self.difference = difference.masked_fill(~counts, 0)
        self.divisor = (there.sum() / channels).clamp(min=1) if p.normalize_by_num_entries else num
        if not p.l2_per_location:
            top[0].x.copy_(self.difference.abs().sum() / self.divisor)
            return
        share = 1 / channels if p.l2_prescale_by_channels else 1.0
        squares = self.difference.square().sum(1, keepdim=True) * share
        self.length = (squares + p.epsilon).sqrt_()
        self.difference.mul_(share)
        top[0].x.copy_(self.length.sum() / self.divisor)

    def backward(self, top, propagate_down, bottom):
        d = self.difference
        slope = d / self.length if self.param.l2_per_location else d.sign()
        slope = slope * (top[0].dx / self.divisor)
        for blob, propagates, sign in zip(bottom, propagate_down, (1, -1)):
            if propagates:
                torch.mul(slope.view(-1), sign, out=blob.dx.view(-1))


@register
class Correlation(Layer):
    """How like each other patches of two maps are, for displacements on a grid: a channel for each.

    With padding and stride_1 the top's positions are those where every displacement, up to
    max_displacement in steps of stride_2, and the whole kernel lie inside; x is fastest. A value is the
    mean over kernel and channels of the products, or of the absolute differences (SUBTRACT).
    do_abs and single_direction make no difference, as in FlowNet's Correlation.
    """

    fork = "FlowNet"
    num_bottom, num_top = 2, 1
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        p = self.param
        if p.kernel_size % 2 == 0:
            raise self.error(f"kernel_size must be given, and odd, got {p.kernel_size}")
        if min(p.stride_1, p.stride_2) < 1 or not p.HasField("max_displacement"):
            raise self.error("max_displacement must be given, and strides above 0")
        reach = p.max_displacement // p.stride_2
        steps = [step * p.stride_2 for step in range(-reach, reach + 1)]
        self.displacements = [(down, across) for down in steps for across in steps]

    def reshape(self, bottom, top):
        p, shapes = self.param, [list(blob.shape) for blob in bottom]
        if len(shapes[0]) != 4 or shapes[0] != shapes[1]:
            raise self.error(f"both bottoms must have one shape (N, C, H, W), got {shapes}")
        border = p.max_displacement + p.kernel_size // 2
        inner = [side + 2 * p.pad - 2 * border for side in shapes[0][2:]]
        if min(inner) < 1:
            raise self.error(
                f"displacements of {p.max_displacement} and a kernel of {p.kernel_size} do not fit into "
                f"{shapes[0][2:]} with pad {p.pad}"
            )
        self.size = [-(-side // p.stride_1) for side in inner]
        self.total = p.kernel_size**2 * shapes[0][1]
        top[0].set_shape([shapes[0][0], len(self.displacements), *self.size])

    def padded(self, x: torch.Tensor) -> torch.Tensor:
        """A map with the zeros around it."""
        return torch.nn.functional.pad(x, [self.param.pad] * 4)

    def cells(self) -> Iterator[tuple[int, list, list]]:
        """(channel of the top, window of the first padded map, of the second) of all products."""
        p = self.param

        def window(down: int, across: int) -> list:
            starts = p.max_displacement + down, p.max_displacement + across
            ends = [start + (n - 1) * p.stride_1 + 1 for start, n in zip(starts, self.size)]
            return [..., *(slice(a, b, p.stride_1) for a, b in zip(starts, ends))]

        for channel, (down, across) in enumerate(self.displacements):
            for j in range(p.kernel_size):
                for i in range(p.kernel_size):
                    yield channel, window(j, i), window(j + down, i + across)

    def forward(self, bottom, top):
        a, b = (self.padded(blob.x) for blob in bottom)
        y = top[0].x.zero_()
        for channel, here, there in self.cells():
            first, second = a[tuple(here)], b[tuple(there)]
            if self.param.correlation_type == self.param.SUBTRACT:
                y[:, channel] += (first - second).abs().sum(1)
            else:
                y[:, channel] += (first * second).sum(1)
        y.div_(self.total)

    def backward(self, top, propagate_down, bottom):
        a, b = (self.padded(blob.x) for blob in bottom)
        da, db = torch.zeros_like(a), torch.zeros_like(b)
        for channel, here, there in self.cells():
            dy = top[0].dx[:, channel : channel + 1] / self.total
            first, second = a[tuple(here)], b[tuple(there)]
            if self.param.correlation_type == self.param.SUBTRACT:
                sign = (first - second).sign() * dy
                da[tuple(here)] += sign
                db[tuple(there)] -= sign
            else:
                da[tuple(here)] += dy * second
                db[tuple(there)] += dy * first
        pad = self.param.pad
        for blob, propagates, diff in zip(bottom, propagate_down, (da, db)):
            if propagates:
                height, width = blob.shape[2:]
                blob.dx.copy_(diff[:, :, pad : pad + height, pad : pad + width])


@register
class FlowWarp(Layer):
    """Bottom 0 read at each position plus the flow there, bottom 1 (N, 2, H, W: x, y), bilinearly;
    positions outside give 0, or NaN with fill_value: NOT_A_NUMBER. Both get a gradient."""

    fork = "FlowNet"
    num_bottom, num_top = 2, 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        maps, flow = list(bottom[0].shape), list(bottom[1].shape)
        if len(maps) != 4 or flow != [maps[0], 2, *maps[2:]]:
            raise self.error(
                f"needs maps (N, C, H, W) and a flow (N, 2, H, W), got shapes {maps} and {flow}"
            )
        top[0].set_shape(maps)

    def corners(self, flow: torch.Tensor) -> tuple:
        """(whether inside, [(cell, weight by x, weight by y, their slopes)] of the four corners).

        All are (N, 1, H * W).
        """
        _, _, height, width = flow.shape
        at, found = [], []
        inside = torch.ones_like(flow[:, 0], dtype=torch.bool)
        for axis, side in ((0, width), (1, height)):
            steps = torch.arange(side, dtype=flow.dtype, device=flow.device)
            here = flow[:, axis] + (steps if axis == 0 else steps[:, None])
            within = (here >= 0) & (here < side)
            inside = inside & within
            here = torch.where(within, here, 0)  # NaN, too
            low = here.floor()
            at.append((low.long(), (low.long() + 1).clamp(max=side - 1), here - low))
        for right in (0, 1):
            for below in (0, 1):
                cell = at[1][below] * width + at[0][right]
                by_x = at[0][2] if right else 1 - at[0][2]
                by_y = at[1][2] if below else 1 - at[1][2]
                parts = (cell, by_x, by_y)
                found.append(
                    (*(part.flatten(1)[:, None] for part in parts), 2 * right - 1, 2 * below - 1)
                )
        return inside.flatten(1)[:, None], found

    def forward(self, bottom, top):
        x = bottom[0].x.flatten(2)
        inside, corners = self.corners(bottom[1].x)
        y = torch.zeros_like(x)
        for cell, by_x, by_y, _, _ in corners:
            y += x.gather(2, cell.expand_as(x)) * (by_x * by_y)
        fill = 0.0 if self.param.fill_value == self.param.ZERO else float("nan")
        top[0].x.copy_(torch.where(inside, y, fill).view(tuple(top[0].shape)))

    def backward(self, top, propagate_down, bottom):
        x, dy = bottom[0].x.flatten(2), top[0].dx.flatten(2)
        inside, corners = self.corners(bottom[1].x)
        dy = torch.where(inside, dy, 0)
        if propagate_down[0]:
            dx = bottom[0].dx.zero_().flatten(2)
            for cell, by_x, by_y, _, _ in corners:
                dx.scatter_add_(2, cell.expand_as(x), dy * (by_x * by_y))
        if propagate_down[1]:
            flow = bottom[1].dx.zero_().flatten(2)
            for cell, by_x, by_y, right, below in corners:
                along = (x.gather(2, cell.expand_as(x)) * dy).sum(1)
                flow[:, 0] += along * by_y[:, 0] * right
                flow[:, 1] += along * by_x[:, 0] * below


@register
class ChannelNorm(Layer):
    """The length of each position's channels: sqrt(sum of x^2), (N, 1, H, W)."""

    fork = "FlowNet"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        self.shape = self.legacy_shape(bottom[0])
        top[0].set_shape([self.shape[0], 1, *self.shape[2:]])

    def forward(self, bottom, top):
        squares = bottom[0].x.view(self.shape).square().sum(1, keepdim=True)
        torch.sqrt(squares, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x = bottom[0].x.view(self.shape)
            # FlowNet's guard of the division
            torch.mul(x, top[0].dx / (top[0].x + 1e-9), out=bottom[0].dx.view(self.shape))
