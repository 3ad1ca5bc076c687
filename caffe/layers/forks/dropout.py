"""Dropout as Fast R-CNN and Bayesian SegNet have it (their dropout_layer.cpp)."""

from __future__ import annotations

import torch

from ... import context
from ...layer import meaning
from ...proto import caffe_pb2
from ..neuron import Dropout


@meaning("Dropout")
class ForkDropout(Dropout):
    """scale_train: false (Fast R-CNN): TRAIN drops and does not scale, TEST multiplies by 1 - ratio.
    sample_weights_test: true (Bayesian SegNet): TEST drops, too, and differs from pass to pass."""

    fork = "Fast R-CNN, Bayesian SegNet"
    told_by = "scale_train or sample_weights_test; without them it is Caffe's"
    deterministic = False

    @classmethod
    def means(cls, layer_param):
        p = layer_param.dropout_param
        return p.HasField("scale_train") or p.HasField("sample_weights_test")

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.drops = self.phase == caffe_pb2.TRAIN or self.param.sample_weights_test
        kept = 1 - self.ratio
        if self.drops:
            self.factor = 1.0 if not self.param.scale_train else 1 / kept if kept else 0.0
        else:
            self.factor = 1.0 if self.param.scale_train else kept

    def is_identity(self):
        return not self.drops and self.factor == 1

    def affected_window(self, window):
        return None

    def forward_window(self, bottom, top, window):
        self.forward(bottom, top)

    def forward(self, bottom, top):
        x = bottom[0].x
        if not self.drops:
            torch.mul(x, self.factor, out=top[0].x)
            return
        self.mask = torch.empty_like(x).bernoulli_(1 - self.ratio, generator=context.generator())
        torch.mul(x, self.mask.mul_(self.factor), out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            factor = self.mask if self.drops else self.factor
            torch.mul(top[0].dx, factor, out=bottom[0].dx)
