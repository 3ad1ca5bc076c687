"""Which kernel computes a convolution: one table for each operation.

An operation is the forward pass, the gradient of the bottom or that of the weights. For each the
first kernel of its row in KERNELS that applies to the case is taken; PyTorch's takes every case. A new
kernel is a class here or beside, and an entry in the table.

A case is described by a Case: shapes, phase, whether windows are asked for; the tensor itself tells
device and number type, `caffe.set_precision` the precision.
"""

from __future__ import annotations

import contextlib
import math

import torch
from torch.nn.functional import fold, unfold
from torch.nn.functional import pad as pad_around

from .. import context
from . import library, planes, winograd
from .cases import Case, Kernel, Weights, bottom_of, whole
from .layouts import have_a_choice, in_fastest
from .products import add_outer, on_cpu, product
from .searches import by_trial, has_cudnn, is_tried
from .upsample import upsample

aten = torch.ops.aten


class Winograd(Kernel):
    """Winograd's filtering in C: 3x3 kernels of enough outputs; few and small ones gain nothing."""

    LEAST_CHANNELS = 32
    LEAST_PLANE = 64 * 64  # for the weights' gradient

    @staticmethod
    def applies(operation, case, x):
        geometry = case.geometry
        computed = case.channels if operation == "bottom gradient" else case.outputs
        if (
            case.exact
            or not case.plain
            or geometry.kernel != [3, 3]
            or geometry.stride != [1, 1]
            or geometry.dilation != [1, 1]
            or geometry.group != 1
            or geometry.transposed
            or computed < Winograd.LEAST_CHANNELS
        ):
            return False
        if operation == "forward" and not (case.training or case.windowed):
            return False
        if operation == "weight gradient" and (
            min(case.channels, case.outputs) < Winograd.LEAST_CHANNELS
            or math.prod(case.top_sizes) < Winograd.LEAST_PLANE
        ):
            return False
        return on_cpu(x) and library.available()

    @staticmethod
    def forward(case, x, weights, bias, y, window=None, slope=None):
        if case.windowed:
            make = winograd.transform_weights
            transformed = weights.kept("winograd", lambda: make(weights.values))
        else:
            transformed = winograd.transform_weights(weights.values, keep=False)
        window = window or whole(case.top_sizes)
        for picture, result in zip(x, y()):
            winograd.convolve(picture, transformed, bias, result, case.geometry.pad, window, slope)

    @staticmethod
    def gradients(case, dy, x, weights, dx, dw):
        if dx is not None:  # the same sums, with the kernels turned round
            transformed = winograd.transform_weights(weights.values, transposed=True, keep=False)
            pad = [2 - pad for pad in case.geometry.pad]
            for diff, result in zip(dy, dx()):
                winograd.convolve(diff, transformed, None, result, pad, whole(result.shape[1:]))
        if dw is not None:
            winograd.add_weight_gradient(x, dy, dw, case.geometry.pad)


class Columns(Kernel):
    """One matrix product over im2col's columns: a few windows under a huge kernel.

    For fc6 of VGG-16 (411 MB of weights) that beats reordering them, and adds straight into their diff.
    """

    LEAST_WEIGHTS = 2**20

    @staticmethod
    def applies(operation, case, x):
        return (
            case.geometry.group == 1
            and len(case.geometry.kernel) == 2
            and not case.geometry.transposed
            and case.weights > Columns.LEAST_WEIGHTS
            and case.positions < case.outputs
            and not case.windowed
        )

    @staticmethod
    def forward(case, x, weights, bias, y, window=None, slope=None):
        windows = _unfold_arguments(case.geometry)
        matrix = Columns._matrix(weights)
        result = x.new_empty(len(x), case.outputs, *case.top_sizes)
        for columns, of_item in zip(unfold(x, *windows), result):
            of_item.copy_(product(columns.t(), matrix, bias).t().view(of_item.shape))
        return result

    @staticmethod
    def gradients(case, dy, x, weights, dx, dw):
        windows = _unfold_arguments(case.geometry)
        dy = dy.reshape(len(dy), case.outputs, -1)
        if dw is not None:
            matrix_dw, kind = dw.view(case.outputs, -1), _columns_kind(dw)
            for columns, diff in zip(unfold(x, *windows), dy):
                if on_cpu(dw) and library.available():
                    add_outer(diff, columns, matrix_dw)
                elif kind != dw.dtype:
                    matrix_dw.add_(diff.to(kind) @ columns.t().to(kind))
                else:
                    matrix_dw.addmm_(diff, columns.t())
        if dx is None:
            return None
        transposed = Columns._matrix(weights).t()
        columns = [product(diff.t(), transposed).t() for diff in dy]
        return fold(torch.stack(columns), x.shape[2:], *windows)

    @staticmethod
    def _matrix(weights):
        """The weights as (outputs, values of a column)."""
        kind, values = _columns_kind(weights.values), weights.values
        values = values if kind == values.dtype else weights.convert(kind)
        return values.view(len(values), -1)


def _unfold_arguments(geometry):
    return geometry.kernel, geometry.dilation, geometry.pad, geometry.stride


def _columns_kind(like):
    """The number type that columns are multiplied in: on the CPU as they are."""
    return context.multiply_dtype() if context.on_gpu() else like.dtype


class Planes(Kernel):
    """Products straight on the planes, in C: of any kernel and stride, weights packed once.

    For a TEST net on the CPU. Groups of few outputs fill no block; huge weights are oneDNN's."""

    LEAST_OUTPUTS = 8  # of a group
    MOST_WEIGHTS = 2**22

    @staticmethod
    def applies(operation, case, x):
        return (
            operation == "forward"
            and case.windowed
            and not (case.exact or case.geometry.transposed)
            and case.outputs // case.geometry.group >= Planes.LEAST_OUTPUTS
            and case.weights <= Planes.MOST_WEIGHTS
            and context.multiply_dtype() == torch.float32
            and on_cpu(x)
            and library.available()
        )

    @staticmethod
    def forward(case, x, weights, bias, y, window=None, slope=None):
        group = case.geometry.group
        packed = weights.kept(
            "planes", lambda: planes.lay_out(weights.parameter, group, weights.scale)
        )
        rows = window[:2] if window else (0, case.top_sizes[0])
        planes.convolve(x, packed, bias, y(), case.geometry, rows, slope)


class OneDNN(Kernel):
    """oneDNN on weights that are reordered once, for a TEST net on the CPU."""

    LEAST_WEIGHTS = 2**14

    @staticmethod
    def applies(operation, case, x):
        return (
            operation == "forward"
            and case.windowed
            and case.weights >= OneDNN.LEAST_WEIGHTS
            and not case.geometry.transposed
            and context.multiply_dtype() != torch.float64
            and torch.backends.mkldnn.is_available()
        )

    @staticmethod
    def forward(case, x, weights, bias, y, window=None, slope=None):
        kind, onednn, geometry = context.multiply_dtype(), torch.ops.mkldnn, case.geometry
        x, pad = bottom_of(window, x, case)
        x = x.to(kind, memory_format=torch.channels_last)
        args = pad, geometry.stride, geometry.dilation, geometry.group
        packed = weights.kept(
            kind,
            lambda: onednn._reorder_convolution_weight(
                weights.values.to(kind), *args, list(x.shape)
            ),
        )
        bias = None if bias is None else bias.to(kind)
        part = onednn._convolution_pointwise(x, packed, bias, *args, "none", [], "")
        return part.to(torch.float32, memory_format=torch.contiguous_format)


class Channelwise(Kernel):
    """Deconvolutions that mix no channels, as interpolation does.

    Looking for that costs a pass over the weights; multiplying the zeros between channels costs a
    pass over the map for each channel.
    """

    @staticmethod
    def applies(operation, case, x):
        if not case.geometry.transposed or operation == "bottom gradient" and case.learned:
            return False  # weights that learn soon mix the channels
        return case.geometry.group > 1 or case.channels == case.outputs > 1

    @staticmethod
    def filters(case: Case, weights: Weights) -> torch.Tensor | None:
        """The kernels (channels, 1, kernel...) of weights that mix no channels; None of others."""
        values, group = weights.values, case.geometry.group
        if group == len(values) and values.shape[1] == 1:
            return values
        if group != 1 or values.shape[0] != values.shape[1] or values.shape[0] == 1:
            return None
        if context.on_gpu():  # the host would have to wait, longer than the zeros take
            return None
        own = values.diagonal().movedim(-1, 0)
        if values.count_nonzero() != own.count_nonzero():
            return None
        return own.unsqueeze(1).contiguous()

    @staticmethod
    def forward(case, x, weights, bias, y, window=None, slope=None):
        filters, geometry = Channelwise.filters(case, weights), case.geometry
        if filters is None:
            return PyTorch.forward(case, x, weights, bias, y)
        planes = len(geometry.kernel) == 2 and geometry.dilation == [1, 1]
        if planes and on_cpu(filters) and library.available():
            for picture, result in zip(x, y()):
                upsample(picture, filters[:, 0], bias, result, geometry.stride, geometry.pad)
            return None
        arguments = (*geometry.arguments()[:-1], len(filters))
        with _tuned(x, filters, arguments):
            return torch.convolution(x, filters, bias, *arguments)

    @staticmethod
    def gradients(case, dy, x, weights, dx, dw):
        filters = Channelwise.filters(case, weights)
        if filters is None:
            return PyTorch.gradients(case, dy, x, weights, dx, dw)
        # what reaches a cell through its own channel's kernel: a plain, strided convolution
        stride, pad, dilation, _, output_padding, _ = case.geometry.arguments()
        arguments = stride, pad, dilation, False, output_padding, len(filters)
        with _tuned(dy, filters, arguments):
            return torch.convolution(dy, filters, None, *arguments)


class PyTorch(Kernel):
    """PyTorch's convolution, with cuDNN on a GPU: every case, in the precision asked for."""

    @staticmethod
    def applies(operation, case, x):
        return True

    @staticmethod
    def forward(case, x, weights, bias, y, window=None, slope=None):
        pad = None
        if window is not None:
            x, pad = bottom_of(window, x, case)
        elif any(case.missing):
            x = pad_around(x, case.missing)
        arguments = case.geometry.arguments(pad)
        kind, stored = context.multiply_dtype(), x.dtype
        if not have_a_choice(x) and kind == stored:
            with _tuned(x, weights.values, arguments):
                return torch.convolution(x, weights.values, bias, *arguments)
        bias = None if bias is None else bias.to(kind)

        def run(layout):
            of_layout = x.to(kind, memory_format=layout), weights.converted(kind, layout)
            out = torch.convolution(*of_layout, bias, *arguments)
            return out.to(stored, memory_format=torch.contiguous_format)

        return _in_best_layout(run, x, weights, arguments, ())

    @staticmethod
    def gradients(case, dy, x, weights, dx, dw):
        size, wanted = x.shape, [dx is not None, dw is not None]
        if any(case.missing):
            x, wanted = pad_around(x, case.missing), [True, True]
        arguments = case.geometry.arguments()
        kind, stored = context.multiply_dtype(), dy.dtype

        def run(layout):
            dy_x = (tensor.to(kind, memory_format=layout) for tensor in (dy, x))
            weight = weights.converted(kind, layout)
            grads = aten.convolution_backward(*dy_x, weight, None, *arguments, [*wanted, False])
            return tuple(
                None if grad is None else grad.to(stored, memory_format=torch.contiguous_format)
                for grad in grads[:2]
            )

        of_bottom, of_weights = _in_best_layout(run, x, weights, arguments, wanted)
        if dw is not None:
            dw.add_(of_weights)
        if dx is None:
            return None
        if not any(case.missing):
            return of_bottom
        dx().copy_(of_bottom[(..., *(slice(0, n) for n in size[2:]))])
        return None


def _in_best_layout(run, x, weights, arguments, wanted):
    with _tuned(x, weights.values, arguments) as tried:
        if not have_a_choice(x):
            return run(torch.preserve_format)
        key = tuple(weights.values.shape), repr(arguments), tuple(wanted)
        return in_fastest(run, key, x.shape, tried)


@contextlib.contextmanager
def _tuned(x, weights, arguments):
    """A block with a convolution of x; yields whether what is fastest may be found out by trial."""
    if not has_cudnn(x):
        yield True
        return
    tried = is_tried((tuple(weights.shape), repr(arguments), x.dtype), x.shape)
    with by_trial(tried):
        yield tried


# operation -> kernels, the preferred first
KERNELS: dict[str, tuple[type[Kernel], ...]] = {
    "forward": (Winograd, Columns, Planes, OneDNN, Channelwise, PyTorch),
    "bottom gradient": (Columns, Winograd, Channelwise, PyTorch),
    "weight gradient": (Columns, Winograd, PyTorch),
}


def choose(operation: str, case: Case, x: torch.Tensor) -> type[Kernel]:
    """The first kernel of the operation that applies to the case, on tensors like x."""
    return next(kernel for kernel in KERNELS[operation] if kernel.applies(operation, case, x))
