"""Upsample: with a mask as SegNet and ENet, or by repetition as the nets of darknet in Caffe
(upsample_layer.cpp of caffe-segnet and of MobileNet-YOLO)."""

from __future__ import annotations

import math

import torch

from ... import context
from ...layer import Layer, meaning, register
from .meanings import SeveralMeanings, given


@register
class Upsample(SeveralMeanings):
    """A larger plane: values at the places that a mask names, or each value repeated."""

    fork = "SegNet, MobileNet-YOLO"


@meaning("Upsample")
class MaskUpsample(Layer):
    """Bottom 0's values at the places h * width + w that bottom 1 names, zeros elsewhere.

    The mask is the second top of a MAX Pooling. The size is upsample_h, upsample_w, or the bottom's
    times scale, less 1 where pad_out_h or pad_out_w. Of values for one place the last stays; each
    gets that place's gradient. Unlike SegNet, the size follows a bottom that is reshaped.
    """

    fork = "SegNet"
    told_by = "two bottoms, the values and a mask"
    param_type = "Upsample"
    num_bottom, num_top = 2, 1
    deterministic = repeatable = capturable = True
    saved_for_backward = {"place": 8}

    @classmethod
    def means(cls, layer_param):
        return len(layer_param.bottom) == 2

    def allow_force_backward(self, bottom_index):
        return bottom_index == 0

    def setup(self, bottom, top):
        p = self.param
        self.scales = (p.scale_h, p.scale_w) if p.HasField("scale_h") else (p.scale, p.scale)
        exact = p.HasField("upsample_h"), p.HasField("upsample_w")
        if any(exact) != all(exact) or p.HasField("scale_h") != p.HasField("scale_w"):
            raise self.error(
                "state both upsample_h and upsample_w, or scale, or scale_h and scale_w"
            )
        if not all(exact) and min(self.scales) < 2:
            raise self.error(f"a scale is 2 or more, got {self.scales}")
        for odd, scale in zip((p.pad_out_h, p.pad_out_w), self.scales):
            if odd and scale != 2:
                raise self.error(f"pad_out_h and pad_out_w go with scale 2, got {self.scales}")

    def reshape(self, bottom, top):
        if bottom[0].num_axes != 4 or bottom[0].shape != bottom[1].shape:
            raise self.error(
                f"values and mask must have one shape (N, C, H, W), got {list(bottom[0].shape)} and "
                f"{list(bottom[1].shape)}"
            )
        p, (num, channels, *sides) = self.param, bottom[0].shape
        if p.HasField("upsample_h"):
            size = [p.upsample_h, p.upsample_w]
        else:
            odd = p.pad_out_h, p.pad_out_w
            size = [side * scale - less for side, scale, less in zip(sides, self.scales, odd)]
        top[0].set_shape([num, channels, *size])

    def forward(self, bottom, top):
        self.place = bottom[1].x.long().flatten(2)
        last = math.prod(top[0].shape[2:]) - 1
        if self.place.numel():
            self.check_range(self.place, self.check_extremes, last)
        if context.on_gpu():  # the error is deferred: until then nothing may be written elsewhere
            self.place.clamp_(0, last)
        y = top[0].x.zero_().flatten(2)
        y.scatter_(2, self.place, bottom[0].x.flatten(2))

    def check_extremes(self, low: int, high: int, last: int) -> None:
        """Raise ValueError for a place outside the top's plane."""
        if low < 0 or high > last:
            raise self.error(
                f"the mask names places {low}..{high}, a plane of the top has 0..{last}: give "
                "upsample_h and upsample_w the size of what was pooled"
            )

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:  # as every top of a layer that learns; places have no gradient
            bottom[1].dx.zero_()
        if propagate_down[0]:
            torch.gather(top[0].dx.flatten(2), 2, self.place, out=bottom[0].dx.flatten(2))


@meaning("Upsample")
class RepeatUpsample(Layer):
    """Each value `scale` times along both axes of the plane."""

    fork = "MobileNet-YOLO"
    told_by = "one bottom, and `scale` alone"
    param_type = "Upsample"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    @classmethod
    def means(cls, layer_param):
        return len(layer_param.bottom) < 2 and given(layer_param.upsample_param) <= {"scale"}

    def reshape(self, bottom, top):
        num, channels, height, width = self.legacy_shape(bottom[0])
        scale = self.param.scale
        if scale < 1:
            raise self.error(f"scale must be 1 or more, got {scale}")
        self.spread = (num, channels, height, scale, width, scale)
        top[0].set_shape([num, channels, height * scale, width * scale])

    def forward(self, bottom, top):
        num, channels, height, _, width, _ = self.spread
        x = bottom[0].x.view(num, channels, height, 1, width, 1)
        top[0].x.view(self.spread).copy_(x.expand(self.spread))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].dx = top[0].dx.view(self.spread).sum((3, 5)).view(tuple(bottom[0].shape))
