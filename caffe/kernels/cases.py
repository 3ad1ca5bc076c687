"""What kernels of convolutions are given: Geometry, Case, Weights; and what each must offer: Kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad as pad_around

Window = Sequence[int]  # (top, bottom, left, right)


class Geometry(NamedTuple):
    """How the kernel moves over the bottom, along each spatial axis."""

    kernel: list[int]
    stride: list[int]
    pad: list[int]
    dilation: list[int]
    group: int
    transposed: bool

    def arguments(self, pad: Sequence[int] | None = None) -> tuple:
        """What torch.convolution and its backward take; without a spatial axis, as for one."""
        return (
            self.stride or [1],
            (self.pad if pad is None else pad) or [0],
            self.dilation or [1],
            self.transposed,
            [0] * max(1, len(self.kernel)),  # output padding: Caffe has none
            self.group,
        )


class Case(NamedTuple):
    """What the choice of a kernel depends on, beside device, number type and precision."""

    geometry: Geometry
    channels: int  # of the bottom
    outputs: int  # channels of the top
    weights: int  # values of the weights
    positions: int  # cells of the top in one channel, over the batch
    top_sizes: list[int]  # along the spatial axes
    # Cells that Caffe's windows reach beyond the padded bottom, as F.pad counts: last axis first
    missing: list[int]
    plain: bool  # one bottom with two spatial axes, and nothing missing
    training: bool  # phase TRAIN
    exact: bool  # force_backward: an error of 1e-6 decides which of two maxima gets a gradient
    learned: bool  # the weights get a gradient
    windowed: bool  # a TEST net on the CPU asks for windows; weights may be kept laid out


class Weights(NamedTuple):
    """A layer's weights, and the forms of them that may be kept."""

    parameter: torch.Tensor  # (outputs, channels / group, kernel...)
    convert: Callable[..., torch.Tensor]  # convert(number type, layout): as another form
    laid_out: dict[object, Any]  # forms kept between passes of a TEST net on the CPU
    scale: torch.Tensor | None = None  # of each output, by layers that were folded into this one

    @property
    def values(self) -> torch.Tensor:
        """The weights, scaled."""
        if self.scale is None:
            return self.parameter
        return self.parameter * self.scale.view(-1, *[1] * (self.parameter.dim() - 1))

    def converted(self, kind: torch.dtype, layout: torch.memory_format) -> torch.Tensor:
        """The same as a number type, in a layout."""
        if self.scale is None:
            return self.convert(kind, layout)
        return self.values.to(kind, memory_format=layout)

    def kept(self, form: object, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The form, made if it is not there."""
        if form not in self.laid_out:
            self.laid_out[form] = make()
        return self.laid_out[form]


class Kernel:
    """One way to compute. A method is only called for cases to which `applies` has said yes."""

    @staticmethod
    def applies(operation: str, case: Case, x: torch.Tensor) -> bool:
        """Whether the kernel computes the operation for the case, on a tensor like x."""
        raise NotImplementedError

    @staticmethod
    def forward(
        case: Case,
        x: torch.Tensor,
        weights: Weights,
        bias: torch.Tensor | None,
        y: Callable[[], torch.Tensor],
        window: Window | None = None,
        slope: float | None = None,
    ) -> torch.Tensor | None:
        """The top of the bottom x (N, C, spatial...); with a `window`, that part of it.

        Returns a new tensor, or None if it has written into y(), the top's memory, and has also
        applied the ReLU of the `slope`.
        """
        raise NotImplementedError

    @staticmethod
    def gradients(
        case: Case,
        dy: torch.Tensor,
        x: torch.Tensor,
        weights: Weights,
        dx: Callable[[], torch.Tensor] | None,
        dw: torch.Tensor | None,
    ) -> torch.Tensor | None:
        """Add to dw, the weights' gradient, unless None; compute the bottom's if dx is given.

        Returns the bottom's gradient as a new tensor, or None if it is in dx(), or not wanted.
        """
        raise NotImplementedError


def whole(sizes: Sequence[int]) -> tuple[int, int, int, int]:
    """The window that is all of a map of (height, width)."""
    return 0, sizes[0], 0, sizes[1]


def bottom_of(
    window: Window | None, x: torch.Tensor, case: Case
) -> tuple[torch.Tensor, Sequence[int]]:
    """The part of the bottom x that a window of the top is computed from, and its padding."""
    geometry = case.geometry
    if window is None or tuple(window) == whole(case.top_sizes):
        return x, geometry.pad
    slices: list[slice] = []
    around: list[int] = []
    for axis, size in enumerate(x.shape[2:]):
        first, end = window[2 * axis : 2 * axis + 2]
        stride, pad = geometry.stride[axis], geometry.pad[axis]
        extent = geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1
        start, stop = first * stride - pad, (end - 1) * stride - pad + extent
        slices.append(slice(max(0, min(start, size)), max(0, min(stop, size))))
        around = [max(0, -start), max(0, stop - size), *around]  # F.pad's order: last axis first
    return pad_around(x[:, :, slices[0], slices[1]], around), [0, 0]
