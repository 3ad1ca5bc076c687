"""Normalize, of SSD and of caffe-windows, each its normalize_layer.cpp."""

from __future__ import annotations

import torch

from ...filler import add_filled
from ...layer import Layer, meaning, register
from ...proto.caffe_pb2 import FillerParameter
from .meanings import SeveralMeanings


@register
class Normalize(SeveralMeanings):
    """x by its length: of an item, or of a position's channels."""

    fork = "SSD, caffe-windows"


@meaning("Normalize")
class SSDNormalize(Layer):
    """scale * x / sqrt(sum of x^2 + eps), summed over an item, or with across_spatial: false over the
    channels of each position.

    Blob: the scale, of all channels (shape ()) or with channel_shared: false of each (C). Its
    gradient is exact, also where SSD's is not: with scales that differ from channel to channel.
    """

    fork = "SSD"
    told_by = "norm_param, or a param for its scale"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True
    saved_for_backward = {"norm": 4}

    @classmethod
    def means(cls, layer_param):
        return not layer_param.HasField("normalize_param")

    def setup(self, bottom, top):
        if bottom[0].num_axes < 2:
            raise self.error(f"needs two axes at least, got shape {list(bottom[0].shape)}")
        p = self.param
        one = FillerParameter(type="constant", value=1)
        shape = [] if p.channel_shared else [bottom[0].shape[1]]
        add_filled(self, shape, p.scale_filler if p.HasField("scale_filler") else one)

    def reshape(self, bottom, top):
        num, channels = bottom[0].shape[:2]
        if self.blobs[0].num_axes and channels != self.blobs[0].count:
            raise self.error(
                f"the scales are of {self.blobs[0].count} channels, the bottom's shape is now "
                f"{list(bottom[0].shape)}"
            )
        self.rows = (num, channels, -1)
        self.axes = (1, 2) if self.param.across_spatial else (1,)
        top[0].set_shape(bottom[0].shape)

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.rows)
        self.norm = (x.square().sum(self.axes, keepdim=True) + self.param.eps).sqrt_()
        y = torch.div(x, self.norm, out=top[0].x.view(self.rows))
        y.mul_(self.blobs[0].x.view(-1, 1))

    def backward(self, top, propagate_down, bottom):
        dy, normed = top[0].dx.view(self.rows), bottom[0].x.view(self.rows) / self.norm
        if self.param_propagate_down[0]:
            gradient = (dy * normed).sum((0, 2))
            scale = self.blobs[0]
            scale.dx.add_(gradient if scale.num_axes else gradient.sum())
        if propagate_down[0]:
            dy = dy * self.blobs[0].x.view(-1, 1)
            along = (dy * normed).sum(self.axes, keepdim=True)
            torch.div(dy - normed * along, self.norm, out=bottom[0].dx.view(self.rows))


@meaning("Normalize")
class ItemNormalize(Layer):
    """x / sqrt(sum of x^2), summed over an item; an item of zeros becomes NaN, as there."""

    fork = "caffe-windows"
    told_by = "normalize_param"
    num_bottom = num_top = 1
    param_type = "L2Normalize"
    deterministic = repeatable = capturable = True
    saved_for_backward = {"norm": 0}

    @classmethod
    def means(cls, layer_param):
        return not layer_param.HasField("norm_param") and not layer_param.param

    def setup(self, bottom, top):
        if self.param.normalize_type != "L2":
            raise self.error(f"normalize_type is L2 here, got '{self.param.normalize_type}'")

    def reshape(self, bottom, top):
        self.rows = (bottom[0].shape[0], -1)
        top[0].set_shape(self.legacy_shape(bottom[0]))

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.rows)
        self.norm = x.square().sum(1, keepdim=True).sqrt_()
        torch.div(x, self.norm, out=top[0].x.view(self.rows))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dy, y = top[0].dx.view(self.rows), bottom[0].x.view(self.rows) / self.norm
            along = (dy * y).sum(1, keepdim=True)
            torch.div(dy - y * along, self.norm, out=bottom[0].dx.view(self.rows))
