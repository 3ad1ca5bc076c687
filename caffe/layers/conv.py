"""Convolution, Deconvolution, Im2col: sums over windows, along up to three spatial axes.

(src/caffe/layers/base_conv_layer.cpp, conv_layer.cpp, deconv_layer.cpp, im2col_layer.cpp)
"""

import itertools
import math

import torch
from torch.nn.functional import fold, unfold
from torch.nn.functional import pad as pad_far

from ..filler import add_filled
from ..layer import Layer, register


class Windowed(Layer):
    """What convolutions share: axes, and kernel, stride, pad, dilation along each spatial axis."""

    param_type = "Convolution"
    fewest_spatial = 0  # a convolution of vectors, without a plane, mixes channels only

    def read_geometry(self, bottom):
        self.channel_axis = self.axis(bottom[0], self.param.axis)
        self.num_axes = bottom[0].num_axes
        self.num_spatial = self.num_axes - self.channel_axis - 1
        if not self.fewest_spatial <= self.num_spatial <= 3:
            raise self.error(
                f"{self.fewest_spatial} to 3 spatial axes are supported, a bottom of shape "
                f"{list(bottom[0].shape)} has {self.num_spatial} after axis {self.channel_axis}",
                NotImplementedError,
            )
        self.kernel = self.per_axis("kernel_size", "kernel_h", "kernel_w", None, least=1)
        self.stride = self.per_axis("stride", "stride_h", "stride_w", 1, least=1)
        self.pad = self.per_axis("pad", "pad_h", "pad_w", 0, least=0)
        self.dilation = self.per_axis("dilation", None, None, 1, least=1)
        # what a dilated kernel spans
        self.extent = [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation)]

    def per_axis(self, field, field_h, field_w, default, least) -> list[int]:
        """A setting along each spatial axis: given once for all, once an axis, or as _h and _w."""
        values = list(getattr(self.param, field))
        hw = [name for name in (field_h, field_w) if name and self.param.HasField(name)]
        if hw:
            if values or self.num_spatial != 2:
                raise self.error(
                    f"{' and '.join(hw)} belong to two spatial axes without {field}; here are "
                    f"{self.num_spatial} spatial axes and {field} {values}"
                )
            values = [getattr(self.param, field_h), getattr(self.param, field_w)]
        elif not values and default is not None:
            values = [default]
        if len(values) not in (1, self.num_spatial):
            raise self.error(
                f"{field} must be given once or once for each of the {self.num_spatial} spatial "
                f"axes, got {values}"
            )
        if min(values, default=least) < least:
            raise self.error(f"{field} must be at least {least}, got {values}")
        return values * self.num_spatial if len(values) == 1 else values

    def check_bottoms(self, bottom):
        """All of one shape, and of as many axes as at setup."""
        if bottom[0].num_axes != self.num_axes:
            raise self.error(
                f"the bottom had {self.num_axes} axes when the net was built, now its shape is "
                f"{list(bottom[0].shape)}"
            )
        for other in bottom[1:]:
            if other.shape != bottom[0].shape:
                raise self.error(
                    f"bottoms must have one shape, got {list(bottom[0].shape)} and "
                    f"{list(other.shape)}"
                )

    def windows(self, spatial) -> list[int]:
        """How many windows fit along each axis. As in Caffe the division truncates towards zero, so
        that a kernel larger than the padded input by less than a stride still gives one."""
        sizes = [
            int((size + 2 * pad - extent) / stride) + 1
            for size, pad, extent, stride in zip(spatial, self.pad, self.extent, self.stride)
        ]
        if min(sizes, default=1) < 1:
            raise self.error(
                f"no window fits: kernel {self.kernel} (spanning {self.extent} when dilated) on an "
                f"input of {list(spatial)}, padded by {self.pad} on each side"
            )
        return sizes

    def batch(self, x):
        """A bottom or top as (N, C, spatial...): the axes before the channels become one."""
        return x.reshape(-1, *x.shape[self.channel_axis :])


class Convolving(Windowed):
    """Convolution and its transpose. Weights, then biases, serve every bottom and its top alike."""

    num_bottom = num_top = (1, None)
    equal_bottom_top = True
    transposed = False

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
        return torch.convolution(x, weight, bias, *self.geometry())

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
        dx, dw, _ = torch.ops.aten.convolution_backward(
            dy,
            self.batch(bottom.x),
            weight,
            None,
            *self.geometry(),
            [bool(propagates), bool(wants_weight), False],
        )
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
        if not any(self.missing):
            return super().convolve_backward(dy, bottom, weight, wants_weight, propagates)
        x = self.batch(bottom.x)
        dx, dw, _ = torch.ops.aten.convolution_backward(
            dy, pad_far(x, self.missing), weight, None, *self.geometry(), [True, True, False]
        )
        if wants_weight:
            self.blobs[0].dx.add_(dw)
        if propagates:
            inside = tuple(slice(0, size) for size in x.shape[2:])
            self.batch(bottom.dx).copy_(dx[(..., *inside)])

    def window(self):
        return self.kernel, self.dilation, self.pad, self.stride

    def convolve_columns(self, x, weight, bias):
        weight = weight.view(self.param.num_output, -1)
        y = x.new_empty(len(x), self.param.num_output, *self.top_sizes)
        for columns, out in zip(unfold(x, *self.window()), y):
            out = out.view(self.param.num_output, -1)
            if bias is None:
                torch.mm(weight, columns, out=out)
            else:
                torch.addmm(bias[:, None], weight, columns, out=out)
        return y

    def columns_backward(self, dy, bottom, weight, wants_weight, propagates):
        dy = dy.reshape(len(dy), self.param.num_output, -1)
        if wants_weight:
            dw = self.blobs[0].dx.view(self.param.num_output, -1)
            for columns, d_out in zip(unfold(self.batch(bottom.x), *self.window()), dy):
                dw.addmm_(d_out, columns.t())
        if propagates:
            columns = weight.view(self.param.num_output, -1).t() @ dy
            spatial = bottom.shape[self.channel_axis + 1 :]
            bottom.dx = fold(columns, spatial, *self.window()).view(tuple(bottom.shape))


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

    def diagonal(self, weight):
        """The kernels of weights that mix no channels, as interpolation's do; None of all others.

        Looking costs a pass over the weights, mixing zeros in costs a pass over the map a channel.
        """
        if self.param.group != 1 or weight.shape[0] != weight.shape[1] or weight.shape[0] == 1:
            return None
        own = weight.diagonal().movedim(-1, 0)  # (channels, kernel...)
        if weight.count_nonzero() != own.count_nonzero():
            return None
        return own.unsqueeze(1).contiguous()

    def convolve(self, x, weight, bias):
        kernels = self.diagonal(weight)
        if kernels is None:
            return super().convolve(x, weight, bias)
        return torch.convolution(x, kernels, bias, *self.geometry()[:-1], len(kernels))

    def convolve_backward(self, dy, bottom, weight, wants_weight, propagates):
        kernels = None if wants_weight else self.diagonal(weight)
        if kernels is None:
            return super().convolve_backward(dy, bottom, weight, wants_weight, propagates)
        # what reaches a cell through its own channel's kernel: a plain, strided convolution
        dx = torch.convolution(
            dy,
            kernels,
            None,
            *self.geometry()[:3],
            False,
            self.geometry()[4],
            len(kernels),
        )
        bottom.dx = dx.view(tuple(bottom.shape))


@register
class Im2col(Windowed):
    """top: every window of bottom as a column, channels first, then the kernel's cells.

    Written out, because PyTorch's unfold knows two spatial axes only.
    """

    num_bottom = num_top = 1
    fewest_spatial = 1

    def setup(self, bottom, top):
        self.read_geometry(bottom)

    def reshape(self, bottom, top):
        self.check_bottoms(bottom)
        before, (channels, *spatial) = (
            bottom[0].shape[: self.channel_axis],
            bottom[0].shape[self.channel_axis :],
        )
        self.sizes = self.windows(spatial)
        top[0].set_shape([*before, channels * math.prod(self.kernel), *self.sizes])

    def forward(self, bottom, top):
        columns = self.columns(self.batch(bottom[0].x), self.sizes)
        top[0].x.view(columns.shape).copy_(columns)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx = self.batch(bottom[0].dx)
            shape = (*dx.shape[:2], *self.kernel, *self.sizes)
            self.add_columns(top[0].dx.view(shape), dx)

    def columns(self, x, sizes):
        """All windows of x (N, C, spatial...), side by side: (N, C, kernel..., windows...), a view
        of the padded input."""
        far = [
            max(0, (count - 1) * stride + extent - size - pad)
            for count, stride, extent, size, pad in zip(
                sizes, self.stride, self.extent, x.shape[2:], self.pad
            )
        ]
        padding = [p for pair in zip(reversed(self.pad), reversed(far)) for p in pair]
        x = pad_far(x, padding) if any(padding) else x
        steps = x.stride()
        return x.as_strided(
            (*x.shape[:2], *self.kernel, *sizes),
            (
                *steps[:2],
                *(step * d for step, d in zip(steps[2:], self.dilation)),
                *(step * s for step, s in zip(steps[2:], self.stride)),
            ),
        )

    def add_columns(self, columns, dx):
        """The transpose of `columns`: dx becomes the sum, cell by cell, of all windows over it."""
        sizes = columns.shape[2 + self.num_spatial :]
        padded = dx.new_zeros(
            *dx.shape[:2],
            *(
                max((count - 1) * stride + extent, size + pad)
                for count, stride, extent, size, pad in zip(
                    sizes, self.stride, self.extent, dx.shape[2:], self.pad
                )
            ),
        )
        for offset in itertools.product(*map(range, self.kernel)):
            window = tuple(
                slice(o * d, o * d + (count - 1) * stride + 1, stride)
                for o, d, count, stride in zip(offset, self.dilation, sizes, self.stride)
            )
            padded[(..., *window)] += columns[(slice(None), slice(None), *offset)]
        inside = tuple(slice(p, p + size) for p, size in zip(self.pad, dx.shape[2:]))
        dx.copy_(padded[(..., *inside)])
