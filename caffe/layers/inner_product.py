"""InnerProduct and Embed (src/caffe/layers/inner_product_layer.cpp, embed_layer.cpp)."""

import math

import torch

from .. import context
from ..filler import add_filled
from ..kernels.products import product
from ..layer import Layer, register


@register
class InnerProduct(Layer):
    """top = bottom * weights^T + bias, everything from `axis` on being one vector.

    Weights: (num_output, inputs), with `transpose` (inputs, num_output).
    """

    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        if self.param.num_output < 1:
            raise self.error("num_output must be given, and above 0")
        axis = self.axis(bottom[0], self.param.axis)
        self.inputs = math.prod(bottom[0].shape[axis:])
        shape = [self.param.num_output, self.inputs]
        add_filled(self, shape[::-1] if self.param.transpose else shape, self.param.weight_filler)
        if self.param.bias_term:
            add_filled(self, [self.param.num_output], self.param.bias_filler)

    def reshape(self, bottom, top):
        axis = self.axis(bottom[0], self.param.axis)
        inputs = math.prod(bottom[0].shape[axis:])
        if inputs != self.inputs:
            raise self.error(
                f"the weights are for {self.inputs} inputs, a bottom of shape "
                f"{list(bottom[0].shape)} has {inputs} from axis {axis} on; as a convolution the "
                "layer would take any size"
            )
        top[0].set_shape([*bottom[0].shape[:axis], self.param.num_output])

    def multiply_adds(self, bottom, top):
        return [top[0].count * self.inputs]

    def forward(self, bottom, top):
        x = bottom[0].x.reshape(-1, self.inputs)
        bias = self.blobs[1].x if self.param.bias_term else None
        top[0].x = product(x, self.weight(), bias).view(tuple(top[0].shape))

    def weight(self) -> torch.Tensor:
        """(num_output, inputs)"""
        return self.blobs[0].x.t() if self.param.transpose else self.blobs[0].x

    def backward(self, top, propagate_down, bottom):
        x = bottom[0].x.reshape(-1, self.inputs)
        dy = top[0].dx.view(-1, self.param.num_output)
        if self.param_propagate_down[0]:
            dw, rows, columns = self.blobs[0].dx, dy, x
            if self.param.transpose:
                rows, columns = columns, rows
            if context.multiply_dtype() == dw.dtype:
                dw.addmm_(rows.t(), columns)  # without a second matrix of that size
            else:
                dw.add_(product(rows.t(), columns.t()))
        if self.param.bias_term and self.param_propagate_down[1]:
            self.blobs[1].dx.add_(dy.sum(0))
        if propagate_down[0]:
            bottom[0].dx = product(dy, self.weight().t()).view(tuple(bottom[0].shape))


@register
class Embed(Layer):
    """top = the row of the weights that bottom, an integer, names, plus bias: InnerProduct of
    one-hot vectors. Weights: (input_dim, num_output)."""

    num_bottom = num_top = 1

    def setup(self, bottom, top):
        for name in ("num_output", "input_dim"):
            if getattr(self.param, name) < 1:
                raise self.error(f"{name} must be given, and above 0")
        add_filled(self, [self.param.input_dim, self.param.num_output], self.param.weight_filler)
        if self.param.bias_term:
            add_filled(self, [self.param.num_output], self.param.bias_filler)

    def reshape(self, bottom, top):
        top[0].set_shape([*bottom[0].shape, self.param.num_output])

    def forward(self, bottom, top):
        self.index = bottom[0].x.view(-1).long()
        if self.index.numel():
            self.check_range(self.index, self.check_extremes)
        if (
            context.on_gpu()
        ):  # the error is deferred: nothing may be read beyond the weights until then
            self.index.clamp_(0, self.param.input_dim - 1)
        y = top[0].x.view(-1, self.param.num_output)
        torch.index_select(self.blobs[0].x, 0, self.index, out=y)
        if self.param.bias_term:
            y.add_(self.blobs[1].x)

    def check_extremes(self, low: int, high: int) -> None:
        """Raise ValueError for an index that names no row of the weights."""
        if low < 0 or high >= self.param.input_dim:
            raise self.error(
                f"indices must lie in 0..{self.param.input_dim - 1} (input_dim "
                f"{self.param.input_dim}), got {low}..{high}"
            )

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            raise self.error(
                "cannot pass a gradient to indices, but force_backward asks for one",
                NotImplementedError,
            )
        dy = top[0].dx.view(-1, self.param.num_output)
        if self.param_propagate_down[0]:
            self.blobs[0].dx.index_add_(0, self.index, dy)
        if self.param.bias_term and self.param_propagate_down[1]:
            self.blobs[1].dx.add_(dy.sum(0))
