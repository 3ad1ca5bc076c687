"""PReLU (src/caffe/layers/prelu_layer.cpp)."""

from __future__ import annotations

import torch

from ..blob import Blob
from ..filler import add_filled
from ..layer import register
from ..proto import caffe_pb2
from .neuron import Neuron


@register
class PReLU(Neuron):
    """y = x where x > 0, else slope * x, one learned slope a channel (or one for all)."""

    repeatable = capturable = True
    saved_for_backward = {"before": 4}

    def setup(self, bottom, top):
        if bottom[0].num_axes < 2:
            raise self.error(
                f"needs two axes at least, got a bottom of shape {list(bottom[0].shape)}"
            )
        channels = self.legacy_shape(bottom[0])[1]
        quarter = caffe_pb2.FillerParameter(type="constant", value=0.25)
        filler = self.param.filler if self.param.HasField("filler") else quarter
        add_filled(self, [] if self.param.channel_shared else [channels], filler)

    def slope(self, bottom: Blob) -> torch.Tensor:
        """The slopes, ready to be multiplied with bottom: (C, 1, ...)."""
        return self.blobs[0].x.view(-1, *[1] * (bottom.num_axes - 2))

    def forward(self, bottom, top):
        x = bottom[0].x
        if top[0] is bottom[0]:
            x = self.before = x.clone()  # backward needs what was here
        else:
            self.before = x
        torch.where(x > 0, x, x * self.slope(bottom[0]), out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        dy, negative = top[0].dx, self.before.clamp(max=0)
        if self.param_propagate_down[0]:
            d_slope = (dy * negative).sum([0, *range(2, dy.dim())])
            dw = self.blobs[0].dx
            dw.add_(d_slope.sum() if self.param.channel_shared else d_slope)
        if propagate_down[0]:
            torch.mul(dy, torch.where(self.before > 0, 1, self.slope(bottom[0])), out=bottom[0].dx)
