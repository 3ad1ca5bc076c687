"""Layers that work cell by cell: top has bottom's shape, and may be the same blob (in place).

(src/caffe/layers/relu_layer.cpp and its kin)
"""

from __future__ import annotations

import math

import torch

from .. import context
from ..c_math import c_pow
from ..layer import Layer, Window, register
from ..proto import caffe_pb2

aten = torch.ops.aten


class Neuron(Layer):
    """Works cell by cell: the top has the bottom's shape, and may be the same blob."""

    num_bottom = num_top = 1
    deterministic = True
    in_place = True  # whether top may be bottom
    takes_nothing = True  # whether bottom may be empty, as behind a Filter that selected nothing

    def setup(self, bottom, top):
        if not self.in_place and top[0] is bottom[0]:
            raise self.error("cannot work in place: give the top another name than the bottom")

    def reshape(self, bottom, top):
        if not bottom[0].count and not self.takes_nothing:
            raise self.error(
                f"nothing to compute on: the bottom's shape is {list(bottom[0].shape)}"
            )
        top[0].set_shape(bottom[0].shape)


def inside(window: Window) -> tuple[slice, ...]:
    """The index of a window in a map (N, C, H, W)."""
    top, bottom, left, right = window
    return slice(None), slice(None), slice(top, bottom), slice(left, right)


@register
class ReLU(Neuron):
    """y = max(x, 0) + slope * min(x, 0). At 0 the gradient takes the slope; -inf becomes NaN."""

    repeatable = capturable = True

    def forward(self, bottom, top):
        # not torch.relu, whose value at -inf is 0
        aten.leaky_relu.out(bottom[0].x, self.param.negative_slope, out=top[0].x)

    def affected_window(self, window):
        return window

    def forward_window(self, bottom, top, window):
        if window[:2] == (0, top[0]._shape[2]) and window[2:] == (0, top[0]._shape[3]):
            self.forward(bottom, top)
            return
        x, y = (blob.x[inside(window)] for blob in (bottom[0], top[0]))
        if y.data_ptr() == x.data_ptr():
            aten.leaky_relu_(y, self.param.negative_slope)
        else:
            y.copy_(aten.leaky_relu(x, self.param.negative_slope))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            aten.leaky_relu_backward.grad_input(
                top[0].dx, bottom[0].x, self.param.negative_slope, False, grad_input=bottom[0].dx
            )


@register
class ELU(Neuron):
    """y = x where x > 0, else alpha * (exp(x) - 1)."""

    repeatable = capturable = True

    def forward(self, bottom, top):
        aten.elu.out(bottom[0].x, self.param.alpha, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            slope = torch.where(bottom[0].x > 0, 1, top[0].x + self.param.alpha)
            torch.mul(top[0].dx, slope, out=bottom[0].dx)


@register
class Sigmoid(Neuron):
    """y = 1 / (1 + exp(-x))."""

    repeatable = capturable = True

    def forward(self, bottom, top):
        torch.sigmoid(bottom[0].x, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            aten.sigmoid_backward.grad_input(top[0].dx, top[0].x, grad_input=bottom[0].dx)


@register
class TanH(Neuron):
    """y = tanh(x)."""

    repeatable = capturable = True

    def forward(self, bottom, top):
        torch.tanh(bottom[0].x, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            aten.tanh_backward.grad_input(top[0].dx, top[0].x, grad_input=bottom[0].dx)


@register
class Swish(Neuron):
    """y = x * sigmoid(beta * x)."""

    repeatable = True
    saved_for_backward = {"gate": 4}

    def forward(self, bottom, top):
        self.gate = torch.sigmoid(bottom[0].x * self.param.beta)
        torch.mul(bottom[0].x, self.gate, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            beta_y = self.param.beta * top[0].x
            torch.mul(top[0].dx, beta_y + self.gate * (1 - beta_y), out=bottom[0].dx)


@register
class Power(Neuron):
    """y = (shift + scale * x) ** power.

    With power 0 or scale 0 a constant without gradient. The gradient is taken through y, as in
    Caffe: where shift + scale * x is 0 and power is neither 1 nor 2, it is NaN.
    """

    repeatable = capturable = True

    def forward(self, bottom, top):
        p, y = self.param, top[0].x
        if p.power * p.scale == 0:
            y.fill_(c_pow(p.shift, p.power))
            return
        if p.scale == 1:
            torch.add(bottom[0].x, p.shift, out=y)
        else:
            torch.mul(bottom[0].x, p.scale, out=y).add_(p.shift)
        if p.power != 1:
            y.pow_(p.power)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        p, dx = self.param, bottom[0].dx
        slope = p.power * p.scale
        if slope == 0 or p.power == 1:
            torch.mul(top[0].dx, slope, out=dx)
            return
        base = bottom[0].x * p.scale + p.shift
        quotient = base if p.power == 2 else top[0].x / base
        torch.mul(top[0].dx, quotient.mul_(slope), out=dx)


@register
class Dropout(Neuron):
    """TRAIN: each value is dropped with probability dropout_ratio, the others are scaled by
    1 / (1 - ratio). TEST: top is a copy of bottom."""

    repeatable = draws_random = capturable = True
    saved_for_backward = {"mask": 4}

    def setup(self, bottom, top):
        self.ratio = self.param.dropout_ratio
        if not 0 <= self.ratio <= 1:
            raise self.error(f"dropout_ratio must lie between 0 and 1, got {self.ratio}")
        self.drops = self.phase == caffe_pb2.TRAIN

    def is_identity(self):
        return not self.drops

    def affected_window(self, window):
        return None if self.drops else window

    def forward_window(self, bottom, top, window):
        if self.drops:
            self.forward(bottom, top)
        elif top[0] is not bottom[0]:
            cells = inside(window)
            top[0].x[cells].copy_(bottom[0].x[cells])

    def forward(self, bottom, top):
        x = bottom[0].x
        if self.drops:
            scale = 1 / (1 - self.ratio) if self.ratio < 1 else math.inf
            self.mask = torch.empty_like(x).bernoulli_(
                1 - self.ratio, generator=context.generator()
            )
            torch.mul(x, self.mask.mul_(scale), out=top[0].x)
        elif top[0] is not bottom[0]:
            top[0].x.copy_(x)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        if self.drops:
            torch.mul(top[0].dx, self.mask, out=bottom[0].dx)
        elif top[0] is not bottom[0]:
            bottom[0].dx.copy_(top[0].dx)


@register
class AbsVal(Neuron):
    """y = |x|; the gradient at 0 is 0."""

    in_place = takes_nothing = False
    repeatable = True

    def forward(self, bottom, top):
        torch.abs(bottom[0].x, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            torch.mul(top[0].dx, bottom[0].x.sign(), out=bottom[0].dx)


@register
class BNLL(Neuron):
    """y = log(1 + exp(x)), binomial normal log likelihood."""

    repeatable = True

    def forward(self, bottom, top):
        torch.logaddexp(bottom[0].x, bottom[0].x.new_zeros(()), out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            # Caffe cuts the exponent off at 50, where the gradient is 1 in any case
            torch.mul(top[0].dx, bottom[0].x.sigmoid(), out=bottom[0].dx)


@register
class Clip(Neuron):
    """y = min(max(x, min), max); NaN becomes min. The gradient passes at the bounds themselves."""

    repeatable = True

    def forward(self, bottom, top):
        x, y = bottom[0].x, top[0].x
        torch.nan_to_num(x, nan=self.param.min, posinf=math.inf, neginf=-math.inf, out=y)
        y.clamp_(self.param.min, self.param.max)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x = bottom[0].x
            inside = (x >= self.param.min) & (x <= self.param.max)
            torch.mul(top[0].dx, inside, out=bottom[0].dx)


@register
class Exp(Neuron):
    """y = base ** (shift + scale * x); base -1, the default, means e."""

    takes_nothing = False
    repeatable = True

    def setup(self, bottom, top):
        log_base = log_of(self, self.param.base)
        self.inner = log_base * self.param.scale
        self.outer = c_pow(math.exp(log_base), self.param.shift)

    def forward(self, bottom, top):
        torch.mul(bottom[0].x, self.inner, out=top[0].x).exp_().mul_(self.outer)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            torch.mul(top[0].dx, top[0].x, out=bottom[0].dx).mul_(self.inner)


@register
class Log(Neuron):
    """y = log_base(shift + scale * x); base -1, the default, means e."""

    takes_nothing = False
    repeatable = True

    def setup(self, bottom, top):
        log_base = log_of(self, self.param.base)
        if log_base == 0:
            raise self.error("base 1 has no logarithm")
        self.factor = 1 / log_base

    def forward(self, bottom, top):
        y = torch.mul(bottom[0].x, self.param.scale, out=top[0].x)
        y.add_(self.param.shift).log_().mul_(self.factor)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            argument = bottom[0].x * self.param.scale + self.param.shift
            torch.div(top[0].dx, argument, out=bottom[0].dx)
            bottom[0].dx.mul_(self.factor * self.param.scale)


def log_of(layer: Layer, base: float) -> float:
    """The natural logarithm of a base, of which -1 stands for e. Raises ValueError for others below 0."""
    if base != -1 and base <= 0:
        raise layer.error(f"base must be above 0, or -1 for e, got {base}")
    return 1.0 if base == -1 else math.log(base)


@register
class Threshold(Neuron):
    """y = 1 where x > threshold, else 0; at the threshold itself 0. No gradient."""

    def forward(self, bottom, top):
        top[0].x.copy_(bottom[0].x > self.param.threshold)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            raise self.error(
                "has no gradient, but force_backward asks for one", NotImplementedError
            )
