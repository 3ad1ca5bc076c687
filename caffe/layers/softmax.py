"""Softmax (src/caffe/layers/softmax_layer.cpp)."""

import torch

from ..layer import Layer, register


@register
class Softmax(Layer):
    """y = exp(x) / sum of exp(x) along `axis`."""

    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        self.along = self.axis(bottom[0], self.param.axis)
        top[0].set_shape(bottom[0].shape)

    def forward(self, bottom, top):
        top[0].x = torch.softmax(bottom[0].x, self.along)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dy, y = top[0].dx, top[0].x
            bottom[0].dx = torch._softmax_backward_data(dy, y, self.along, y.dtype)
