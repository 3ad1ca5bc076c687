"""Convolution and Deconvolution: sums over windows, along up to three spatial axes.

(src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp)

What they compute stands here; which kernel computes it is the table in caffe/kernels/convolution.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch

from .. import context
from ..blob import Blob
from ..filler import add_filled
from ..kernels import cases, library
from ..kernels.convolution import Winograd, choose
from ..layer import Blobs, Layer, register
from ..proto import caffe_pb2
from .converted import ConvertedParameter
from .im2col import Windowed
from .neuron import ReLU, inside

aten = torch.ops.aten


class Convolving(Windowed):
    """What both share. Weights, then biases, serve every bottom and its top alike."""

    num_bottom = num_top = (1, None)
    equal_bottom_top = True
    transposed = False
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        self.read_geometry(bottom)
        group, num_output = self.param.group, self.param.num_output
        self.channels = bottom[0].shape[self.channel_axis]
        if num_output < 1:
            raise self.error("num_output must be given, and above 0")
        if group < 1 or self.channels % group or num_output % group:
            raise self.error(
                f"group {group} must divide the {self.channels} channels of the bottom and "
                f"num_output {num_output}"
            )
        geometry = self.kernel, self.stride, self.pad, self.dilation, group
        self.geometry = cases.Geometry(*geometry, self.transposed)
        over, under = (
            (self.channels, num_output) if self.transposed else (num_output, self.channels)
        )
        add_filled(self, [over, under // group, *self.kernel], self.param.weight_filler)
        self.converted = ConvertedParameter(self.blobs[0])
        if self.param.bias_term:
            add_filled(self, [num_output], self.param.bias_filler)
        self.case_of: tuple | None = None  # what `case` was made for
        self.forget_weights()

    def reshape(self, bottom, top):
        self.check_bottoms(bottom)
        shape = bottom[0].shape
        before, (channels, *spatial) = shape[: self.channel_axis], shape[self.channel_axis :]
        if channels != self.channels:
            raise self.error(
                f"the weights are for {self.channels} channels, the bottom of shape "
                f"{list(shape)} has {channels} on axis {self.channel_axis}"
            )
        self.top_sizes = self.output_sizes(spatial)
        for blob in top:
            blob.set_shape([*before, self.param.num_output, *self.top_sizes])
        learned = bool(self.param_propagate_down and self.param_propagate_down[0])
        key = tuple(shape), len(bottom), self.for_gradients, learned
        if key == self.case_of:
            return
        missing = self.missing(spatial)
        self.case_of = key
        self.case = cases.Case(
            self.geometry,
            self.channels,
            self.param.num_output,
            self.blobs[0].count,
            positions=math.prod(before) * math.prod(self.top_sizes),
            top_sizes=self.top_sizes,
            missing=missing,
            plain=len(bottom) == 1 and self.num_spatial == 2 and not any(missing),
            training=self.phase == caffe_pb2.TRAIN,
            exact=self.for_gradients,
            learned=learned,
            windowed=False,
        )
        self.windowed_case = self.case._replace(windowed=True)
        self.chosen: tuple = None, None  # what the kernel for windows depends on, and it

    def output_sizes(self, spatial: Sequence[int]) -> list[int]:
        """The top's size along each spatial axis."""
        return self.windows(spatial)

    def missing(self, spatial: Sequence[int]) -> list[int]:
        """Cells that windows reach beyond the padded bottom, as F.pad counts them."""
        return [0] * (2 * self.num_spatial)

    # ---- tensors

    def batch(self, x: torch.Tensor) -> torch.Tensor:
        """A bottom or top as (N, C, spatial...); PyTorch wants a spatial axis, of size 1 if need be."""
        return self.with_plane(super().batch(x))

    def with_plane(self, x: torch.Tensor) -> torch.Tensor:
        """A tensor with a spatial axis at least: where there is none, one of size 1."""
        return x if self.num_spatial else x.unsqueeze(2)

    def weights(self) -> cases.Weights:
        """The weights, and the forms of them that kernels may keep."""
        values = self.with_plane(self.blobs[0].x)
        return cases.Weights(values, self.convert_weights, self.laid_out)

    def convert_weights(
        self, kind: torch.dtype, layout: torch.memory_format = torch.preserve_format
    ) -> torch.Tensor:
        """The weights as a number type, in a layout."""
        return self.with_plane(self.converted.get(kind, layout))

    def bias(self) -> torch.Tensor | None:
        """The biases, if there are any."""
        return self.blobs[1].x if self.param.bias_term else None

    def forget_weights(self):
        self.laid_out: dict[object, Any] = {}

    def converted_parameters(self):
        return [self.converted]

    def workspace(self, bottom, top):
        return sum(blob.count for blob in (*bottom, *top))

    def multiply_adds(self, bottom, top):
        weight = self.blobs[0]
        cells = bottom if self.transposed else top
        return [blob.count * (weight.count // weight.shape[0]) for blob in cells]

    # ---- passes

    def forward(self, bottom, top):
        weights, bias = self.weights(), self.bias()
        for below, above in zip(bottom, top):
            x = self.batch(below.x)
            kernel = choose("forward", self.case, x)
            result = kernel.forward(
                self.case, x, weights, bias, lambda blob=above: self.batch(blob.x)
            )
            if result is not None:
                above.x = result.view(tuple(above.shape))

    def backward(self, top, propagate_down, bottom):
        weights = self.weights()
        wants_weight = self.param_propagate_down[0]
        wants_bias = self.param.bias_term and self.param_propagate_down[1]
        for above, below, propagates in zip(top, bottom, propagate_down):
            dy = self.batch(above.dx)
            if wants_bias:
                self.blobs[1].dx.add_(dy.sum([0, *range(2, dy.dim())]))
            if wants_weight or propagates:
                self.gradients(dy, below, weights, wants_weight, propagates)

    def gradients(self, dy, bottom, weights, wants_weight, propagates):
        """Add to the weights' gradient and assign the bottom's, as far as wanted."""
        case, x = self.case, self.batch(bottom.x)
        dw = self.with_plane(self.blobs[0].dx) if wants_weight else None
        dx = (lambda: self.batch(bottom.dx)) if propagates else None
        of_bottom = choose("bottom gradient", case, dy) if propagates else None
        of_weights = choose("weight gradient", case, dy) if wants_weight else None
        if of_bottom is of_weights:
            result = of_bottom.gradients(case, dy, x, weights, dx, dw)
        else:
            result = of_bottom.gradients(case, dy, x, weights, dx, None) if of_bottom else None
            if of_weights:
                of_weights.gradients(case, dy, x, weights, None, dw)
        if result is not None:
            bottom.dx = result.view(tuple(bottom.shape))


@register
class Convolution(Convolving):
    """top = weights * windows of bottom + bias (a correlation: the kernel is not flipped).

    Weights: (num_output, channels / group, kernel...). Caffe gives one output where the kernel
    exceeds the padded input by less than a stride; PyTorch would refuse.
    """

    def missing(self, spatial: Sequence[int]) -> list[int]:
        """Cells that windows reach beyond the padded bottom, at the far end of each axis."""
        cells = [
            max(0, extent - size - 2 * pad)
            for extent, size, pad in zip(self.extent, spatial, self.pad)
        ]
        return [n for far in reversed(cells) for n in (0, far)]

    def derived_weights(self):
        return (4 if self.kernel == [3, 3] else 1) * self.blobs[0].count

    # A TEST net on the CPU computes windows of the top, with weights laid out once for all passes.

    def fuses(self, followers):
        """Factors of the channels, which go into weights and biases, and a ReLU behind them."""
        count = 0
        if not self.for_gradients:
            while count < len(followers) and followers[count].channel_factors() is not None:
                count += 1
        return count + (count < len(followers) and type(followers[count]) is ReLU)

    def affected_window(self, window):
        if not self.case.plain:
            return None
        top, bottom, left, right = super().affected_window(window)
        if self.kernel_for_windows(self.blobs[0].x) is Winograd:
            # whole tiles of the map: a NaN, or the rounding of a huge value, fills all of its tile
            top, left = top // 4 * 4, left // 4 * 4
            bottom, right = (
                min(size, -(-end // 4) * 4) for size, end in zip(self.top_sizes, (bottom, right))
            )
        return top, bottom, left, right

    def kernel_for_windows(self, x: torch.Tensor) -> type[cases.Kernel]:
        """The kernel that computes windows, chosen again where one of its conditions has changed."""
        conditions = x.dtype, x.device, context.multiply_dtype(), library.available()
        if self.chosen[0] != conditions:
            self.chosen = conditions, choose("forward", self.windowed_case, x)
        return self.chosen[1]

    def forward_window(self, bottom, top, window):
        self.forward_fused(bottom, top, window, ())

    def forward_fused(self, bottom, top, window, followers):
        if not self.case.plain:  # then the window is all of the top
            self.forward(bottom, top)
            for layer in followers:
                layer.forward(top, top)
            return
        slope, factors = None, followers
        if followers and type(followers[-1]) is ReLU:
            slope, factors = followers[-1].param.negative_slope, followers[:-1]
        weights, bias = self.folded(bottom, factors)
        x, y = self.batch(bottom[0].x), self.batch(top[0].x)
        kernel = self.kernel_for_windows(x)
        part = kernel.forward(self.windowed_case, x, weights, bias, lambda: y, window, slope)
        if part is None:
            return
        if slope is not None:
            aten.leaky_relu_(part, slope)
        y[inside(window)].copy_(part)

    def folded(
        self, bottom: Blobs, layers: Sequence[Layer]
    ) -> tuple[cases.Weights, torch.Tensor | None]:
        """Weights and biases with the factors of the channels that the layers behind apply."""
        weights, bias = self.weights(), self.bias()
        if not layers:
            return weights, bias
        if "factors" not in self.laid_out:
            scale = torch.ones(self.param.num_output)
            shift = torch.zeros_like(scale) if bias is None else bias.clone()
            for a, b in filter(None, (layer.channel_factors() for layer in layers)):
                scale, shift = scale * a, shift * a
                if b is not None:
                    shift += b
            self.laid_out["factors"] = scale, shift
        for i, layer in enumerate(layers):  # few ask a TEST net for gradients
            if "before" in layer.saved_for_backward:
                vars(layer)["before"] = functools.partial(self.map_behind, bottom, layers[:i])
        scale, shift = self.laid_out["factors"]
        return weights._replace(scale=scale), shift

    def map_behind(self, bottom: Blobs, layers: Sequence[Layer]) -> torch.Tensor:
        """The top as this layer and those behind it, each alone, make it."""
        shape = *bottom[0].shape[: self.channel_axis], self.param.num_output, *self.top_sizes
        top = [Blob(shape)]
        self.forward(bottom, top)
        for layer in layers:
            layer.forward(top, top)
        return top[0].x


@register
class Deconvolution(Convolving):
    """The transpose of Convolution: every cell of bottom spreads its kernel over top.

    Weights: (channels, num_output / group, kernel...).
    Size of the top: stride * (bottom - 1) + dilated kernel - 2 * pad.
    """

    transposed = True

    def output_sizes(self, spatial: Sequence[int]) -> list[int]:
        """The top's size along each spatial axis."""
        sizes = [
            stride * (size - 1) + extent - 2 * pad
            for size, stride, extent, pad in zip(spatial, self.stride, self.extent, self.pad)
        ]
        if min(sizes, default=1) < 1:
            raise self.error(
                f"nothing is left of the output: kernel {self.kernel}, stride {self.stride} on an "
                f"input of {list(spatial)}, less pad {self.pad} on each side, gives {sizes}"
            )
        return sizes
