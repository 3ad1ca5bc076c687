"""Windows along up to three spatial axes, and Im2col, which writes them out.

(the geometry of src/caffe/layers/base_conv_layer.cpp; im2col_layer.cpp)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad as pad_far

from ..layer import Blobs, Layer, register


class Windowed(Layer):
    """What convolutions share: axes, and kernel, stride, pad, dilation along each spatial axis."""

    param_type = "Convolution"
    fewest_spatial = 0  # a convolution of vectors, without a plane, mixes channels only

    def read_geometry(self, bottom: Blobs) -> None:
        """Read kernel, stride, pad and dilation from the parameters, for the bottom's spatial axes."""
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

    def per_axis(
        self, field: str, field_h: str | None, field_w: str | None, default: int | None, least: int
    ) -> list[int]:
        """A setting along each spatial axis: given once for all, once an axis, or as _h and _w."""
        values = list(getattr(self.param, field))
        hw = [name for name in (field_h, field_w) if name and self.param.HasField(name)]
        if hw and field_h and field_w:
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

    def check_bottoms(self, bottom: Blobs) -> None:
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

    def windows(self, spatial: Sequence[int]) -> list[int]:
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

    def affected_window(self, window):
        """The window of the tops' plane in whose sums a window of the bottom's plane has a part."""
        edges = []
        for axis, size in enumerate(self.top_sizes):
            first, end = window[2 * axis : 2 * axis + 2]
            stride, pad = self.stride[axis], self.pad[axis]
            edges.append(max(0, -(-(first + pad - self.extent[axis] + 1) // stride)))
            edges.append(min(size, (end - 1 + pad) // stride + 1))
        return tuple(edges)

    def batch(self, x: torch.Tensor) -> torch.Tensor:
        """A bottom or top as (N, C, spatial...): the axes before the channels become one."""
        return x.reshape(-1, *x.shape[self.channel_axis :])


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
        self.top_sizes = self.windows(spatial)
        top[0].set_shape([*before, channels * math.prod(self.kernel), *self.top_sizes])

    def forward(self, bottom, top):
        columns = self.columns(self.batch(bottom[0].x), self.top_sizes)
        top[0].x.view(columns.shape).copy_(columns)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            dx = self.batch(bottom[0].dx)
            shape = (*dx.shape[:2], *self.kernel, *self.top_sizes)
            self.add_columns(top[0].dx.view(shape), dx)

    def columns(self, x: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
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

    def add_columns(self, columns: torch.Tensor, dx: torch.Tensor) -> None:
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
            window: Any = tuple(
                slice(o * d, o * d + (count - 1) * stride + 1, stride)
                for o, d, count, stride in zip(offset, self.dilation, sizes, self.stride)
            )
            cell: Any = (slice(None), slice(None), *offset)
            padded[(..., *window)] += columns[cell]
        inside: Any = tuple(slice(p, p + size) for p, size in zip(self.pad, dx.shape[2:]))
        dx.copy_(padded[(..., *inside)])
