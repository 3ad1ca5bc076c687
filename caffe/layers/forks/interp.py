"""Interp and Padding, of DeepLab and PSPNet (interp_layer.cpp, util/interp.cpp, padding_layer.cpp)."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate, pad

from ...layer import Blobs, Layer, register

aten = torch.ops.aten


@register
class Interp(Layer):
    """Bilinear resizing; the corners' centres stay where they are.

    The size: shrink_factor s alone gives (n - 1) / s + 1, zoom_factor z alone n + (n - 1)(z - 1);
    else height and width; else both factors, shrinking first; or that of a second bottom. pad_beg
    and pad_end, 0 or less, cut the bottom beforehand. interp_type: nearest_neighbor (SegStereo)
    takes the nearest cell, and has a gradient here.
    """

    fork = "DeepLab, PSPNet"
    num_bottom, num_top = (1, 2), 1
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        p = self.param
        if p.pad_beg > 0 or p.pad_end > 0:
            raise self.error(
                f"pad_beg and pad_end cut the bottom, and are 0 or less: {p.pad_beg}, {p.pad_end}"
            )
        if min(p.shrink_factor, p.zoom_factor) < 1:
            raise self.error(
                f"factors are 1 or more, got shrink_factor {p.shrink_factor}, zoom_factor "
                f"{p.zoom_factor}"
            )
        if p.interp_type not in ("bilinear", "nearest_neighbor"):
            raise self.error(f"interp_type is bilinear or nearest_neighbor, got '{p.interp_type}'")
        stated = p.HasField("shrink_factor") or p.HasField("zoom_factor")
        if not stated and not (p.HasField("height") and p.HasField("width")) and len(bottom) == 1:
            raise self.error(
                "the size must be stated: zoom_factor, shrink_factor, both height and width, or a "
                "second bottom of that size"
            )

    def reshape(self, bottom, top):
        num, channels, *sides = self.legacy_shape(bottom[0])
        p = self.param
        self.cut = slice(-p.pad_beg, sides[0] + p.pad_end), slice(-p.pad_beg, sides[1] + p.pad_end)
        inner = [side + p.pad_beg + p.pad_end for side in sides]
        self.size = self.sizes(inner, bottom) if min(inner) > 0 else inner
        if min(*inner, *self.size) < 1:
            raise self.error(
                f"nothing is left: a bottom of {sides}, cut by pad_beg {p.pad_beg} and pad_end "
                f"{p.pad_end}, to {self.size}"
            )
        self.inner = (num, channels, *inner)
        top[0].set_shape([num, channels, *self.size])

    def sizes(self, sides: list[int], bottom: Blobs) -> list[int]:
        """The top's height and width, by the first rule whose fields are stated."""
        p = self.param
        shrinks, zooms = p.HasField("shrink_factor"), p.HasField("zoom_factor")
        if shrinks and not zooms:
            return [(side - 1) // p.shrink_factor + 1 for side in sides]
        if zooms and not shrinks:
            return [side + (side - 1) * (p.zoom_factor - 1) for side in sides]
        if p.HasField("height") and p.HasField("width"):
            return [p.height, p.width]
        if shrinks:
            shrunk = [(side - 1) // p.shrink_factor + 1 for side in sides]
            return [side + (side - 1) * (p.zoom_factor - 1) for side in shrunk]
        return list(self.legacy_shape(bottom[1])[2:])

    def nearest(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """For each row and each column of the top, the bottom's nearest one."""
        rows, columns = (
            (torch.arange(n, device=device) * ((m - 1) / (n - 1) if n > 1 else 0) + 0.5).long()
            for n, m in zip(self.size, self.inner[2:])
        )
        return rows[:, None], columns

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.legacy_shape(bottom[0]))[(..., *self.cut)]
        if self.param.interp_type == "nearest_neighbor":
            top[0].x = x[(..., *self.nearest(x.device))]
        elif self.inner[2:] == tuple(self.size):
            top[0].x.copy_(x)
        else:
            top[0].x = interpolate(x, self.size, mode="bilinear", align_corners=True)

    def backward(self, top, propagate_down, bottom):
        if len(bottom) > 1 and propagate_down[1]:
            bottom[1].dx.zero_()  # it gives a size and no values
        if not propagate_down[0]:
            return
        dy, dx = top[0].dx, bottom[0].dx.zero_().view(self.legacy_shape(bottom[0]))
        inner = dx[(..., *self.cut)]
        if self.param.interp_type == "nearest_neighbor":
            rows, columns = self.nearest(dy.device)
            cell = (rows * self.inner[3] + columns).view(-1)
            flat = dy.new_zeros((*self.inner[:2], self.inner[2] * self.inner[3]))
            inner.copy_(flat.index_add_(2, cell, dy.flatten(2)).view(self.inner))
        elif self.inner[2:] == tuple(self.size):
            inner.copy_(dy)
        else:
            inner.copy_(aten.upsample_bilinear2d_backward(dy, self.size, list(self.inner), True))


@register
class Padding(Layer):
    """Zeros around each plane, pad_beg before and pad_end behind along both axes; if both are 0 or
    less, that many cells are cut off."""

    fork = "DeepLab"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        beg, end = self.param.pad_beg, self.param.pad_end
        if min(beg, end) < 0 < max(beg, end):
            raise self.error(f"pad_beg and pad_end must both pad or both cut, got {beg} and {end}")
        self.sides = (beg, end, beg, end)

    def reshape(self, bottom, top):
        num, channels, *sides = self.legacy_shape(bottom[0])
        padded = [side + sum(self.sides[:2]) for side in sides]
        if min(padded) < 1:
            raise self.error(
                f"cutting {-sum(self.sides[:2])} off a plane of {sides} leaves nothing"
            )
        top[0].set_shape([num, channels, *padded])

    def forward(self, bottom, top):
        top[0].x = pad(bottom[0].x.view(self.legacy_shape(bottom[0])), self.sides)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx = pad(top[0].dx, [-side for side in self.sides])
            bottom[0].dx = dx.reshape(tuple(bottom[0].shape))
