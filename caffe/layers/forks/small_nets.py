"""Layers of nets for phones, of SENet, ShuffleNet and YOLO, as several forks have them: depthwise
convolutions, ReLU6, HardSigmoid, HardSwish, Axpy, ShuffleChannel, Reorg."""

from __future__ import annotations

import torch

from ...layer import Layer, register
from ...proto import caffe_pb2
from ..conv import Convolution
from ..neuron import Neuron

aten = torch.ops.aten


class Depthwise(Convolution):
    """A Convolution whose group the bottom decides. Weights: (channels, 1, kernel...)."""

    def setup(self, bottom, top):
        p = self.param
        channels = bottom[0].shape[p.axis] if p.axis < bottom[0].num_axes else 0
        self.complete(p, channels)
        super().setup(bottom, top)

    def complete(self, param: caffe_pb2.ConvolutionParameter, channels: int) -> None:
        """Fill in what the prototxt leaves to the layer."""
        raise NotImplementedError


@register
class ConvolutionDepthwise(Depthwise):
    """A convolution of each channel by itself; num_output and group are the bottom's channels,
    whatever is stated."""

    fork = "BVLC/caffe pull request 5665"
    param_type = "Convolution"

    def complete(self, param: caffe_pb2.ConvolutionParameter, channels: int) -> None:
        """Fill in what the prototxt leaves to the layer."""
        param.num_output = param.group = channels


@register
class DepthwiseConvolution(Depthwise):
    """A Convolution with a kernel for groups; where no group is stated each channel is one."""

    fork = "MobileNet-YOLO, and others"
    param_type = "Convolution"

    def complete(self, param: caffe_pb2.ConvolutionParameter, channels: int) -> None:
        """Fill in what the prototxt leaves to the layer."""
        if not param.HasField("group"):
            param.group = channels


class Bounded(Neuron):
    """A neuron whose slope is 0 outside of an interval."""

    repeatable = capturable = True


@register
class ReLU6(Bounded):
    """y = min(max(x, 0), threshold), by default 6. The gradient passes between the bounds."""

    fork = "several: chuanqi305/MobileNet-SSD's, synopsys-caffe"

    def forward(self, bottom, top):
        torch.clamp(bottom[0].x, 0, self.param.threshold, out=top[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            y = top[0].x  # of y, not of x, which is gone where the layer works in place
            torch.mul(top[0].dx, (y > 0) & (y < self.param.threshold), out=bottom[0].dx)


@register
class HardSigmoid(Bounded):
    """y = min(max(alpha * x + beta, 0), 1)."""

    fork = "synopsys-caffe"

    def forward(self, bottom, top):
        torch.mul(bottom[0].x, self.param.alpha, out=top[0].x).add_(self.param.beta).clamp_(0, 1)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            inside = (top[0].x > 0) & (top[0].x < 1)
            torch.mul(top[0].dx, inside * self.param.alpha, out=bottom[0].dx)


@register
class HardSwish(Neuron):
    """y = x * min(max(x + 3, 0), 6) / 6."""

    fork = "synopsys-caffe"
    in_place = False
    repeatable = capturable = True

    def forward(self, bottom, top):
        top[0].x = aten.hardswish(bottom[0].x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].dx = aten.hardswish_backward(top[0].dx, bottom[0].x)


@register
class Axpy(Layer):
    """a * x + y, a a value for each channel of each item: bottoms a (N, C) or (N, C, 1, 1), x and y."""

    fork = "SENet"
    num_bottom, num_top = 3, 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        a, x, y = (list(blob.shape) for blob in bottom)
        if len(x) < 2 or x != y or a not in (x[:2], [*x[:2], 1, 1]):
            raise self.error(
                f"needs a (N, C, 1, 1), x and y (N, C, H, W), got shapes {a}, {x}, {y}"
            )
        self.rows = (x[0], x[1], -1)
        top[0].set_shape(x)

    def forward(self, bottom, top):
        a, x, y = bottom[0].x.view(*self.rows[:2], 1), bottom[1].x, bottom[2].x
        torch.addcmul(y.view(self.rows), a, x.view(self.rows), out=top[0].x.view(self.rows))

    def backward(self, top, propagate_down, bottom):
        a, x = bottom[0].x.view(*self.rows[:2], 1), bottom[1].x.view(self.rows)
        dy = top[0].dx.view(self.rows)
        if propagate_down[0]:
            bottom[0].dx = (dy * x).sum(2).view(tuple(bottom[0].shape))
        if propagate_down[1]:
            torch.mul(dy, a, out=bottom[1].dx.view(self.rows))
        if propagate_down[2]:
            bottom[2].dx.copy_(top[0].dx)


@register
class ShuffleChannel(Layer):
    """Channels as a matrix of `group` rows, transposed: channel i of group g becomes number
    i * group + g."""

    fork = "ShuffleNet (farmingyard/ShuffleNet)"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        shape, group = bottom[0].shape, self.param.group
        if len(shape) < 2 or group < 1 or shape[1] % group:
            raise self.error(
                f"group {group} must divide the channels of a bottom of shape {list(shape)}"
            )
        self.rows = (shape[0], group, shape[1] // group, -1)
        top[0].set_shape(shape)

    def forward(self, bottom, top):
        num, group, each, _ = self.rows
        y = top[0].x.view(num, each, group, -1)
        y.copy_(bottom[0].x.view(self.rows).transpose(1, 2))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            num, group, each, _ = self.rows
            dy = top[0].dx.view(num, each, group, -1)
            bottom[0].dx.view(self.rows).copy_(dy.transpose(1, 2))


@register
class Reorg(Layer):
    """(N, C, H, W) becomes (N, C * stride^2, H / stride, W / stride), in the order of darknet, whose
    weights such nets have. `reverse` is the way back.

    The order is of memory: the bottom, taken as C / stride^2 channels of stride times its size, is
    sampled at each offset, and what comes out taken as the top. Some forks exchange the two ways.
    """

    fork = "YOLOv2 in Caffe"
    num_bottom = num_top = 1
    deterministic = repeatable = capturable = True

    def reshape(self, bottom, top):
        num, channels, height, width = self.legacy_shape(bottom[0])
        stride, square = self.param.stride, self.param.stride**2
        whole = self.param.reverse or height % max(stride, 1) == width % max(stride, 1) == 0
        if stride < 1 or channels % square or not whole:
            raise self.error(
                f"stride {stride} must divide height and width, and its square the channels, of a "
                f"bottom of shape {list(bottom[0].shape)}"
            )
        self.fine = (num, channels // square, height, stride, width, stride)
        if self.param.reverse:
            top[0].set_shape([num, channels // square, height * stride, width * stride])
        else:
            top[0].set_shape([num, channels * square, height // stride, width // stride])

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """Offset by offset, every stride-th value of planes of stride times the bottom's size."""
        return x.reshape(self.fine).permute(0, 3, 5, 1, 2, 4)

    def spread(self, x: torch.Tensor) -> torch.Tensor:
        """The way back."""
        num, channels, height, stride, width, _ = self.fine
        parts = x.reshape(num, stride, stride, channels, height, width)
        return parts.permute(0, 3, 4, 1, 5, 2)

    def forward(self, bottom, top):
        y = self.spread(bottom[0].x) if self.param.reverse else self.gather(bottom[0].x)
        top[0].x = y.reshape(tuple(top[0].shape))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx = self.gather(top[0].dx) if self.param.reverse else self.spread(top[0].dx)
            bottom[0].dx = dx.reshape(tuple(bottom[0].shape))
