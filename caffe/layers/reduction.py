"""Reduction (src/caffe/layers/reduction_layer.cpp)."""

import math

import torch

from ..layer import Layer, register
from ..proto import caffe_pb2

OP = caffe_pb2.ReductionParameter


@register
class Reduction(Layer):
    """top = coeff * sum, sum of |x|, sum of x^2 or mean, over all axes from `axis` on."""

    num_bottom = num_top = 1
    deterministic = True

    def reshape(self, bottom, top):
        shape = list(bottom[0].shape)
        start = self.axis(bottom[0], self.param.axis)
        self.rows = (math.prod(shape[:start]), math.prod(shape[start:]))
        top[0].set_shape(shape[:start])
        self.coeff = self.param.coeff
        if self.param.operation == OP.MEAN:
            self.coeff /= max(1, self.rows[1])

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.rows)
        if self.param.operation == OP.ASUM:
            x = x.abs()
        elif self.param.operation == OP.SUMSQ:
            x = x.square()
        torch.mul(x.sum(1), self.coeff, out=top[0].x.view(-1))

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        x, dx = bottom[0].x.view(self.rows), bottom[0].dx.view(self.rows)
        dy = (top[0].dx * self.coeff).view(-1, 1)
        if self.param.operation == OP.ASUM:
            torch.mul(x.sign(), dy, out=dx)
        elif self.param.operation == OP.SUMSQ:
            torch.mul(x, 2 * dy, out=dx)
        else:
            dx.copy_(dy.expand(self.rows))
