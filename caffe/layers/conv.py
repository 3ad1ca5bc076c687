"""Convolution and Deconvolution: sums over windows, along up to three spatial axes.

(src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp)
"""

import math

import torch
from torch.nn.functional import fold, unfold
from torch.nn.functional import pad as pad_far

from .. import context, kernels
from ..filler import add_filled
from ..kernels import layouts
from ..kernels.product import on_cpu, product
from ..layer import register
from ..proto import caffe_pb2
from .im2col import Windowed
from .neuron import ReLU

aten = torch.ops.aten


class Convolving(Windowed):
    """Convolution and its transpose. Weights, then biases, serve every bottom and its top alike."""

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
        over, under = (
            (self.channels, num_output) if self.transposed else (num_output, self.channels)
        )
        add_filled(self, [over, under // group, *self.kernel], self.param.weight_filler)
        self.prepared = layouts.Prepared(self.blobs[0])
        if self.param.bias_term:
            add_filled(self, [num_output], self.param.bias_filler)

    def reshape(self, bottom, top):
        self.check_bottoms(bottom)
        before, (channels, *spatial) = (
            bottom[0].shape[: self.channel_axis],
            bottom[0].shape[self.channel_axis :],
        )
        if channels != self.channels:
            raise self.error(
                f"the weights are for {self.channels} channels, the bottom of shape "
                f"{list(bottom[0].shape)} has {channels} on axis {self.channel_axis}"
            )
        self.top_sizes = self.output_sizes(spatial)
        for blob in top:
            blob.set_shape([*before, self.param.num_output, *self.top_sizes])

    def output_sizes(self, spatial):
        return self.windows(spatial)

    def geometry(self):
        """The arguments that torch.convolution and its backward share."""
        return (
            self.stride or [1],
            self.pad or [0],
            self.dilation or [1],
            self.transposed,
            [0] * max(1, self.num_spatial),  # output padding: Caffe has none
            self.param.group,
        )

    def batch(self, x):
        return self.with_plane(super().batch(x))

    def with_plane(self, x):
        """PyTorch wants a spatial axis at least: where there is none, one of size 1."""
        return x if self.num_spatial else x.unsqueeze(2)

    def forward(self, bottom, top):
        weight = self.with_plane(self.blobs[0].x)
        bias = self.blobs[1].x if self.param.bias_term else None
        for x, y in zip(bottom, top):
            y.x = self.convolve(self.batch(x.x), weight, bias).view(tuple(y.shape))

    def convolve(self, x, weight, bias):
        return self.multiply(x, weight, bias, *self.geometry())

    def multiply(self, x, weight, bias, *geometry):
        """torch.convolution in the precision that was asked for; in and out as stored."""
        kind, stored = context.multiply_dtype(), x.dtype
        if not layouts.have_a_choice(x) and kind == stored:
            return torch.convolution(x, weight, bias, *geometry)
        bias = None if bias is None else bias.to(kind)

        def way(layout):
            of_layout = x.to(kind, memory_format=layout), self.prepared_weight(kind, layout)
            y = torch.convolution(*of_layout, bias, *geometry)
            return y.to(stored, memory_format=torch.contiguous_format)

        return self.in_best_layout(way, x, geometry, ())

    def multiply_backward(self, dy, x, weight, geometry, wanted):
        """The gradients of bottom and weights, as far as `wanted`, in the precision asked for."""
        kind, stored = context.multiply_dtype(), dy.dtype

        def way(layout):
            dy_x = (tensor.to(kind, memory_format=layout) for tensor in (dy, x))
            grads = aten.convolution_backward(
                *dy_x, self.prepared_weight(kind, layout), None, *geometry, [*wanted, False]
            )
            return tuple(
                None if grad is None else grad.to(stored, memory_format=torch.contiguous_format)
                for grad in grads[:2]
            )

        return self.in_best_layout(way, x, geometry, wanted)

    def prepared_weight(self, kind, layout=torch.preserve_format):
        return self.with_plane(self.prepared.get(kind, layout))

    def in_best_layout(self, way, x, geometry, wanted):
        if not layouts.have_a_choice(x):
            return way(torch.preserve_format)
        key = x.shape, tuple(self.blobs[0].shape), repr(geometry), tuple(wanted)
        return layouts.in_fastest(way, key)

    def backward(self, top, propagate_down, bottom):
        weight = self.with_plane(self.blobs[0].x)
        wants_weight = self.param_propagate_down[0]
        wants_bias = self.param.bias_term and self.param_propagate_down[1]
        for y, x, propagates in zip(top, bottom, propagate_down):
            dy = self.batch(y.dx)
            if wants_bias:
                self.blobs[1].dx.add_(dy.sum([0, *range(2, dy.dim())]))
            if wants_weight or propagates:
                self.convolve_backward(dy, x, weight, wants_weight, propagates)

    def convolve_backward(self, dy, bottom, weight, wants_weight, propagates):
        wanted = [bool(propagates), bool(wants_weight)]
        dx, dw = self.multiply_backward(dy, self.batch(bottom.x), weight, self.geometry(), wanted)
        if wants_weight:
            self.with_plane(self.blobs[0].dx).add_(dw)
        if propagates:
            bottom.dx = dx.view(tuple(bottom.shape))


@register
class Convolution(Convolving):
    """top = weights * windows of bottom + bias (a correlation: the kernel is not flipped).

    Weights: (num_output, channels / group, kernel...). Caffe gives one output where the kernel
    exceeds the padded input by less than a stride; PyTorch would refuse.
    """

    def __init__(self, layer_param):
        super().__init__(layer_param)
        self.forget_weights()

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        # F.pad's order: last axis first, (near, far)
        self.missing = [
            cells
            for axis in reversed(range(self.num_spatial))
            for cells in (0, self.missing_cells(bottom[0], axis))
        ]
        positions = math.prod(bottom[0].shape[: self.channel_axis]) * math.prod(self.top_sizes)
        # A few windows under a huge kernel (fc6 of VGG-16: 411 MB of weights, 26 MB of columns):
        # one matrix product over the columns beats reordering the weights, and adds straight into
        # their diff
        self.by_columns = (
            self.param.group == 1
            and self.num_spatial == 2
            and self.blobs[0].count > 2**20
            and positions < self.param.num_output
        )

        self.plain = len(bottom) == 1 and self.num_spatial == 2 and not any(self.missing)

    def forward(self, bottom, top):
        if self.phase == caffe_pb2.TRAIN and self.by_winograd(self.param.num_output, top[0].x):
            weights = kernels.winograd_weights(self.blobs[0].x, keep=False)
            self.forward_winograd(
                bottom, top, weights, (0, self.top_sizes[0], 0, self.top_sizes[1])
            )
        else:
            super().forward(bottom, top)

    def missing_cells(self, bottom, axis):
        size = bottom.shape[self.channel_axis + 1 + axis]
        return max(0, self.extent[axis] - size - 2 * self.pad[axis])

    def convolve(self, x, weight, bias):
        if self.by_columns:
            return self.convolve_columns(x, weight, bias)
        if any(self.missing):
            x = pad_far(x, self.missing)
        return super().convolve(x, weight, bias)

    def convolve_backward(self, dy, bottom, weight, wants_weight, propagates):
        if self.by_columns:
            return self.columns_backward(dy, bottom, weight, wants_weight, propagates)
        if propagates and self.by_winograd(self.channels, dy):
            self.winograd_backward(dy, bottom, weight)
            propagates = False
        enough = min(self.channels, self.param.num_output) >= 32 and dy[0, 0].numel() >= 64 * 64
        if wants_weight and enough and self.by_winograd(self.param.num_output, dy):
            kernels.winograd_gradient(self.batch(bottom.x), dy, self.blobs[0].dx, self.pad)
            wants_weight = False
        if not (wants_weight or propagates):
            return None
        if not any(self.missing):
            return super().convolve_backward(dy, bottom, weight, wants_weight, propagates)
        x = self.batch(bottom.x)
        dx, dw = self.multiply_backward(
            dy, pad_far(x, self.missing), weight, self.geometry(), [True, True]
        )
        if wants_weight:
            self.blobs[0].dx.add_(dw)
        if propagates:
            inside = tuple(slice(0, size) for size in x.shape[2:])
            self.batch(bottom.dx).copy_(dx[(..., *inside)])

    # A TEST net on the CPU computes by forward_window: with weights laid out once for all passes.

    def forget_weights(self):
        self.filters = {}  # form -> the weights in it

    def laid_out(self, form, make):
        if form not in self.filters:
            self.filters[form] = make()
        return self.filters[form]

    def affected_window(self, window):
        if not self.plain:
            return None
        top, bottom, left, right = super().affected_window(window)
        if self.by_winograd(self.param.num_output, self.blobs[0].x):
            # whole tiles of the map: a NaN, or the rounding of a huge value, fills all of its tile
            top, left = top // 4 * 4, left // 4 * 4
            bottom, right = (
                min(size, -(-end // 4) * 4) for size, end in zip(self.top_sizes, (bottom, right))
            )
        return top, bottom, left, right

    def fuses(self, follower):
        return isinstance(follower, ReLU)

    def workspace(self, bottom, top):
        return sum(blob.count for blob in (*bottom, *top))

    def derived_weights(self):
        return (4 if self.kernel == [3, 3] else 1) * self.blobs[0].count

    def multiply_adds(self, bottom, top):
        weight = self.blobs[0]
        return [blob.count * (weight.count // weight.shape[0]) for blob in top]

    def forward_window(self, bottom, top, window, follower=None):
        """A window of the top; through the ReLU that follows in place, if one does."""
        slope = None if follower is None else follower.param.negative_slope
        if not self.plain:  # in full: reach allows no less
            self.forward(bottom, top)
            if slope is not None:
                aten.leaky_relu_(top[0].x, slope)
            return
        y = self.batch(top[0].x)
        if self.by_winograd(self.param.num_output, y):
            weights = self.laid_out("winograd", lambda: kernels.winograd_weights(self.blobs[0].x))
            self.forward_winograd(bottom, top, weights, window, slope)
            return
        x, pad = self.needed(self.batch(bottom[0].x), window)
        part = self.convolve_packed(x, pad)
        if slope is not None:
            aten.leaky_relu_(part, slope)
        rows, columns = slice(*window[:2]), slice(*window[2:])
        y[:, :, rows, columns].copy_(part)

    def by_winograd(self, outputs, like):
        """3x3 kernels of enough outputs; few and small ones gain nothing. Not where force_backward asks
        for gradients: an error of 1e-6 decides which of two nearly equal values a MAX pooling passes a
        gradient to."""
        return (
            not self.for_gradients
            and self.plain
            and self.kernel == [3, 3]
            and self.stride == self.dilation == [1, 1]
            and self.param.group == 1
            and outputs >= 32
            and on_cpu(like)
            and kernels.available()
        )

    def forward_winograd(self, bottom, top, weights, window, slope=None):
        bias = self.blobs[1].x if self.param.bias_term else None
        for x, y in zip(self.batch(bottom[0].x), self.batch(top[0].x)):
            kernels.winograd(x, weights, bias, y, self.pad, window, slope)

    def winograd_backward(self, dy, bottom, weight):
        """The gradient of the bottom: the same sums, with the kernels turned round."""
        weights = kernels.winograd_weights(weight, transposed=True, keep=False)
        pad = [2 - pad for pad in self.pad]
        for dy_of, dx in zip(dy, self.batch(bottom.dx)):
            kernels.winograd(dy_of, weights, None, dx, pad, (0, dx.shape[1], 0, dx.shape[2]))

    def needed(self, x, window):
        """The part of the bottom that a window of the top is computed from, and its padding."""
        if window == (0, self.top_sizes[0], 0, self.top_sizes[1]):
            return x, self.pad
        slices, around = [], []
        for axis, size in enumerate(x.shape[2:]):
            start = window[2 * axis] * self.stride[axis] - self.pad[axis]
            end = (
                (window[2 * axis + 1] - 1) * self.stride[axis] - self.pad[axis] + self.extent[axis]
            )
            slices.append(slice(max(0, min(start, size)), max(0, min(end, size))))
            around = [max(0, -start), max(0, end - size), *around]  # F.pad's order: last axis first
        return pad_far(x[:, :, slices[0], slices[1]], around), [0, 0]

    def convolve_packed(self, x, pad):
        """By oneDNN, which reorders the weights of a large layer once instead of at every call."""
        kind = context.multiply_dtype()
        weight, bias = self.blobs[0].x, self.blobs[1].x if self.param.bias_term else None
        geometry = self.stride, pad, self.dilation
        if (
            weight.numel() < 2**14
            or kind == torch.float64
            or not torch.backends.mkldnn.is_available()
        ):
            return self.multiply(x, weight, bias, *geometry, False, [0, 0], self.param.group)
        onednn = torch.ops.mkldnn
        x = x.to(kind, memory_format=torch.channels_last)
        args = pad, self.stride, self.dilation, self.param.group
        weight = self.laid_out(
            kind,
            lambda: onednn._reorder_convolution_weight(weight.to(kind), *args, list(x.shape)),
        )
        bias = None if bias is None else bias.to(kind)
        y = onednn._convolution_pointwise(x, weight, bias, *args, "none", [], "")
        return y.to(torch.float32, memory_format=torch.contiguous_format)

    # A few windows under a huge kernel, by columns

    def window(self):
        return self.kernel, self.dilation, self.pad, self.stride

    def convolve_columns(self, x, weight, bias):
        weight = self.columns_of(weight)
        y = x.new_empty(len(x), self.param.num_output, *self.top_sizes)
        for columns, out in zip(unfold(x, *self.window()), y):
            out.copy_(product(columns.t(), weight, bias).t().view(out.shape))
        return y

    def columns_of(self, weight):
        kind = columns_kind(weight)
        weight = weight if kind == weight.dtype else self.prepared_weight(kind)
        return weight.view(self.param.num_output, -1)

    def columns_backward(self, dy, bottom, weight, wants_weight, propagates):
        dy = dy.reshape(len(dy), self.param.num_output, -1)
        if wants_weight:
            dw = self.blobs[0].dx.view(self.param.num_output, -1)
            for columns, d_out in zip(unfold(self.batch(bottom.x), *self.window()), dy):
                if on_cpu(dw) and kernels.available():
                    kernels.add_outer(d_out, columns, dw)
                elif columns_kind(dw) != dw.dtype:
                    kind = columns_kind(dw)
                    dw.add_(d_out.to(kind) @ columns.t().to(kind))
                else:
                    dw.addmm_(d_out, columns.t())
        if propagates:
            weight = self.columns_of(weight).t()
            columns = torch.stack([product(d_out.t(), weight).t() for d_out in dy])
            spatial = bottom.shape[self.channel_axis + 1 :]
            bottom.dx = fold(columns, spatial, *self.window()).view(tuple(bottom.shape))


def columns_kind(like):
    """What columns are multiplied in: on the CPU as they are."""
    return context.multiply_dtype() if context.is_apart() else like.dtype


@register
class Deconvolution(Convolving):
    """The transpose of Convolution: every cell of bottom spreads its kernel over top.

    Weights: (channels, num_output / group, kernel...).
    Size of the top: stride * (bottom - 1) + dilated kernel - 2 * pad.
    """

    transposed = True

    def output_sizes(self, spatial):
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

    def workspace(self, bottom, top):
        return sum(blob.count for blob in (*bottom, *top))

    def multiply_adds(self, bottom, top):
        weight = self.blobs[0]
        return [blob.count * (weight.count // weight.shape[0]) for blob in bottom]

    def channelwise(self, weight):
        """The kernels (channels, 1, kernel...) of weights that mix no channels, as interpolation's do
        not; None of all others.

        Looking costs a pass over the weights, mixing zeros in costs a pass over the map a channel.
        """
        if self.param.group == len(weight) and weight.shape[1] == 1:
            return weight
        if self.param.group != 1 or weight.shape[0] != weight.shape[1] or weight.shape[0] == 1:
            return None
        if context.is_apart():  # the host would have to wait, longer than the zeros take
            return None
        own = weight.diagonal().movedim(-1, 0)
        if weight.count_nonzero() != own.count_nonzero():
            return None
        return own.unsqueeze(1).contiguous()

    def forward(self, bottom, top):
        filters = self.channelwise(self.blobs[0].x)
        if filters is None or not self.by_kernel(filters):
            super().forward(bottom, top)
            return
        bias = self.blobs[1].x if self.param.bias_term else None
        for x, y in zip(bottom, top):
            for picture, result in zip(self.batch(x.x), self.batch(y.x)):
                kernels.upsample(picture, filters[:, 0], bias, result, self.stride, self.pad)

    def by_kernel(self, filters):
        return (
            self.num_spatial == 2
            and self.dilation == [1, 1]
            and on_cpu(filters)
            and kernels.available()
        )

    def convolve(self, x, weight, bias):
        filters = self.channelwise(weight)
        if filters is None:
            return super().convolve(x, weight, bias)
        return torch.convolution(x, filters, bias, *self.geometry()[:-1], len(filters))

    def convolve_backward(self, dy, bottom, weight, wants_weight, propagates):
        filters = None if wants_weight else self.channelwise(weight)
        if filters is None:
            return super().convolve_backward(dy, bottom, weight, wants_weight, propagates)
        # what reaches a cell through its own channel's kernel: a plain, strided convolution
        dx = torch.convolution(
            dy,
            filters,
            None,
            *self.geometry()[:3],
            False,
            self.geometry()[4],
            len(filters),
        )
        bottom.dx = dx.view(tuple(bottom.shape))
