"""Maps at another size, of FlowNet: Downsample and Resample (downsample_layer.cu, resample_layer.cu)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...layer import Blobs, Layer, register


class Resized(Layer):
    """A map of a stated size, or of a second bottom's; no gradient."""

    fork = "FlowNet"
    num_bottom, num_top = (1, 2), 1
    deterministic = capturable = True

    def stated_size(self) -> Sequence[int]:
        """Height and width as stated."""
        raise NotImplementedError

    def reshape(self, bottom, top):
        num, channels, *self.sides = self.legacy_shape(bottom[0])
        self.size = list(
            self.legacy_shape(bottom[1])[2:] if len(bottom) > 1 else self.stated_size()
        )
        if min(self.size) < 1:
            raise self.error(
                f"height and width must be given, or a second bottom of that size; got {self.size}"
            )
        top[0].set_shape([num, channels, *self.size])

    def planes(self, bottom: Blobs) -> torch.Tensor:
        """Bottom 0 as (N, C, H, W)."""
        return bottom[0].x.view(self.legacy_shape(bottom[0]))

    def backward(self, top, propagate_down, bottom):
        if len(bottom) > 1 and propagate_down[1]:
            bottom[1].dx.zero_()  # it gives a size and no values
        if propagate_down[0]:
            raise self.error(
                "has no gradient, but force_backward asks for one", NotImplementedError
            )


@register
class Downsample(Resized):
    """The mean around each position, weighted with a triangle as wide as the step from one to the next;
    corners stay on corners. NaNs do not count; where they outweigh half of the rest, NaN."""

    def stated_size(self) -> Sequence[int]:
        """Height and width as stated."""
        return self.param.top_height, self.param.top_width

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        if self.size != self.sides and min(self.size) < 2:
            raise self.error(f"height and width must be above 1, got {self.size}")

    def forward(self, bottom, top):
        x = self.planes(bottom)
        if self.size == self.sides:
            top[0].x.copy_(x)
            return
        rows, columns = (self.triangles(n, m, x) for n, m in zip(self.sides, self.size))
        missing = x.isnan()
        value, weight, gap = (
            rows @ part.to(x.dtype) @ columns.T
            for part in (x.masked_fill(missing, 0), ~missing, missing)
        )
        top[0].x.copy_(torch.where(gap / weight > 0.5, float("nan"), value / weight))

    def triangles(self, length: int, wanted: int, like: torch.Tensor) -> torch.Tensor:
        """The weights (wanted, length) along an axis."""
        step = (length - 1) / (wanted - 1)
        cells = torch.arange(length, dtype=like.dtype, device=like.device)
        at = torch.arange(wanted, dtype=like.dtype, device=like.device) * step
        return (1 - (cells - at[:, None]).abs() / max(step, 1e-30)).clamp(min=0)


@register
class Resample(Resized):
    """Resizing by type: NEAREST, LINEAR (a triangle) or CUBIC, widened where it shrinks, unless antialias
    is false. As in FlowNet half a cell is taken along the other axis' scale, which shifts maps
    whose two scales differ."""

    def setup(self, bottom, top):
        if self.param.type == self.param.AREA:
            raise self.error("type AREA is not there, in FlowNet either: NEAREST, LINEAR or CUBIC")

    def stated_size(self) -> Sequence[int]:
        """Height and width as stated."""
        return self.param.height, self.param.width

    def forward(self, bottom, top):
        x = self.planes(bottom)
        scales = [side / n for side, n in zip(self.sides, self.size)]
        rows, columns = (self.weights(axis, scales, x) for axis in (0, 1))
        total = rows.sum(1)[:, None] * columns.sum(1)
        y = rows @ x @ columns.T
        top[0].x.copy_(torch.where(total != 0, y / total, 0))

    def weights(self, axis: int, scales: list[float], like: torch.Tensor) -> torch.Tensor:
        """The weights (wanted, length) along an axis."""
        p, scale = self.param, scales[axis]
        cells = torch.arange(self.sides[axis], dtype=like.dtype, device=like.device)
        at = torch.arange(self.size[axis], dtype=like.dtype, device=like.device) * scale
        at = at + (scales[1 - axis] / 2 - 0.5)
        if p.type == p.NEAREST:
            nearest = (at.abs() + 0.5).floor() * at.sign()
            return (cells == nearest.clamp(0, len(cells) - 1)[:, None]).to(like.dtype)
        narrow = 1 / scale if p.antialias and max(scales) > 1 else 1.0
        away = (narrow * (at[:, None] - cells)).abs()
        if p.type == p.LINEAR:
            return (1 - away).clamp(min=0)
        inner = away**2 * (1.5 * away - 2.5) + 1
        outer = away * (away * (-0.5 * away + 2.5) - 4) + 2
        return torch.where(away <= 1, inner, torch.where(away < 2, outer, 0))
