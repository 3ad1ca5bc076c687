"""Pooling and SPP (src/caffe/layers/pooling_layer.cpp, spp_layer.cpp)."""

import math
from itertools import product

import torch
from torch.nn.functional import pad as pad_around

from .. import context, kernels
from ..kernels.product import on_cpu
from ..layer import Layer, register
from ..proto import caffe_pb2

aten = torch.ops.aten
FLT_MAX = torch.finfo(torch.float32).max
FLT_MIN = torch.finfo(torch.float32).tiny
POOL = caffe_pb2.PoolingParameter


class Windows:
    """Where the windows lie on a plane, by Caffe's rules of rounding (PyTorch's differ)."""

    def __init__(self, size, kernel, stride, pad, floor=False):
        self.size, self.kernel, self.stride, self.pad = size, kernel, stride, pad
        reach = [s + 2 * p - k for s, k, p in zip(size, kernel, pad)]
        self.counts = [(r // s if floor else -(-r // s)) + 1 for r, s in zip(reach, stride)]
        if any(pad):
            # The last window must start inside; without any padding Caffe never looks
            self.counts = [
                n - (n > 0 and (n - 1) * s >= length + p)
                for n, s, length, p in zip(self.counts, stride, size, pad)
            ]
        native = [(r if floor else r + s - 1) // s + 1 for r, s in zip(reach, stride)]
        native = [
            n - (not floor and (n - 1) * s >= length + p)
            for n, s, length, p in zip(native, stride, size, pad)
        ]
        # whether PyTorch's pooling has the same windows
        self.native = (
            native == self.counts
            and min(self.counts) > 0
            and min(reach) >= 0
            and all(2 * p <= k for p, k in zip(pad, kernel))
        )
        self.geometry = (list(kernel), list(stride), list(pad))
        self.ceil = not floor

    def padded(self, x, fill):
        """The plane with room for every window around it."""
        near, far = zip(*self.margins())
        return pad_around(x, (near[1], far[1], near[0], far[0]), value=fill)

    def margins(self):
        for n, s, k, size, pad in zip(self.counts, self.stride, self.kernel, self.size, self.pad):
            yield pad, max(0, (n - 1) * s + k - size - pad)

    def inside(self, padded):
        """The plane itself, within its padded form."""
        rows, columns = (slice(p, p + size) for p, size in zip(self.pad, self.size))
        return padded[..., rows, columns]

    def cells(self, padded):
        """For every cell of the kernel: its row and column, and what it meets in all windows."""
        for at in product(*map(range, self.kernel)):
            rows, columns = (
                slice(o, o + (n - 1) * s + 1, s) for o, n, s in zip(at, self.counts, self.stride)
            )
            yield at, padded[..., rows, columns]

    def starts(self, axis, device):
        return torch.arange(self.counts[axis], device=device) * self.stride[axis] - self.pad[axis]

    def areas(self, like):
        """How many cells of the padded plane each window covers: what AVE divides by."""
        sides = []
        for axis in (0, 1):
            start = self.starts(axis, like.device)
            end = start + self.kernel[axis]
            sides.append(end.clamp(max=self.size[axis] + self.pad[axis]) - start)
        return (sides[0][:, None] * sides[1]).to(like.dtype)


def max_pool(x, windows):
    """Maxima and their positions h * width + w in the plane; the first of equal maxima wins."""
    if windows.native and context.is_apart():
        return max_pool_unseen(x, windows)
    if windows.native:
        y, position = aten.max_pool2d_with_indices(x, *windows.geometry, [1, 1], windows.ceil)
        if math.isfinite(y.sum()):
            return y, position
    # Caffe starts from -FLT_MAX and asks for more: NaN, and windows outside the plane, never win
    y = x.new_full((*x.shape[:2], *windows.counts), -FLT_MAX)
    position = torch.full_like(y, -1, dtype=torch.int64)
    top = windows.starts(0, x.device)[:, None] * windows.size[1] + windows.starts(1, x.device)
    for (row, column), value in windows.cells(windows.padded(x, -math.inf)):
        wins = value > y
        y = torch.where(wins, value, y)
        position = torch.where(wins, top + (row * windows.size[1] + column), position)
    return y, position


def max_pool_unseen(x, windows):
    """`max_pool` where the host would have to wait to see whether any value never wins: such values
    are put last beforehand, in a pass that is shorter than the wait."""
    x = torch.nan_to_num(x, nan=-math.inf, posinf=math.inf, neginf=-math.inf)
    y, position = aten.max_pool2d_with_indices(x, *windows.geometry, [1, 1], windows.ceil)
    position.masked_fill_(y <= -FLT_MAX, -1)
    return y.clamp_(min=-FLT_MAX), position


def maxima(x, windows):
    """The maxima of `max_pool` without their positions.

    For the 2x2 windows of most nets, comparing the kernel's cells plane by plane takes a third of
    the time that PyTorch's kernel takes with positions; for larger ones it takes longer.
    """
    small = math.prod(windows.kernel) <= 4 and not any(windows.pad) and windows.native
    if not small or context.is_apart():
        return max_pool(x, windows)[0]
    y = None
    for _, value in windows.cells(x):
        if y is None:
            y = value.clone(memory_format=torch.contiguous_format)
        else:
            part = y[..., : value.shape[-2], : value.shape[-1]]  # the last windows may overhang
            torch.maximum(part, value, out=part)
    return y if math.isfinite(y.sum()) else max_pool(x, windows)[0]


def by_kernel(x, windows):
    """Whether the engine's own kernels compute the maxima; in training they keep a byte a window."""
    return (
        on_cpu(x)
        and x.numel() > 0
        and not any(windows.pad)
        and windows.native
        and math.prod(windows.kernel) < 255
        and kernels.available()
    )


def maxima_of_window(x, windows, y, window):
    """A window (top, bottom, left, right) of `maxima`, written into y."""
    if by_kernel(x, windows):
        kernels.maxima(x, y, windows.kernel, windows.stride, window)
    else:
        rows, columns = slice(*window[:2]), slice(*window[2:])
        y[..., rows, columns].copy_(maxima(x, windows)[..., rows, columns])


def max_pool_backward(dy, x, windows, position):
    if windows.native:  # PyTorch's kernels pass by a position of -1, too
        return aten.max_pool2d_with_indices_backward(
            dy, x, *windows.geometry, [1, 1], windows.ceil, position
        )
    won = position >= 0
    dx = torch.zeros_like(x)
    dx.flatten(2).scatter_add_(2, position.clamp(min=0).flatten(2), (dy * won).flatten(2))
    return dx


def stochastic_pool(x, windows, draw):
    """One cell of each window, drawn with its value as weight, and its position; x is not negative.

    `draw` (0 < draw <= 1, of the top's shape) picks the first cell at which the sum so far, in
    order of rows, reaches that share of the window's sum (pooling_layer.cu).
    """
    padded = windows.padded(x, 0.0)
    threshold = draw * sum(value for _, value in windows.cells(padded))
    y, total = torch.zeros_like(draw), torch.zeros_like(draw)
    position = torch.full_like(y, -1, dtype=torch.int64)
    top = windows.starts(0, x.device)[:, None] * windows.size[1] + windows.starts(1, x.device)
    for (row, column), value in windows.cells(padded):
        total = total + value
        drawn = (position < 0) & (total >= threshold)
        y = torch.where(drawn, value, y)
        position = torch.where(drawn, top + (row * windows.size[1] + column), position)
    return y, position


def weighted_mean_pool(x, windows):
    """What STOCHASTIC pooling does when testing: the mean of each window, weighted by itself."""
    padded = windows.padded(x, 0.0)
    squares = sum(value * value for _, value in windows.cells(padded))
    return squares / (FLT_MIN + sum(value for _, value in windows.cells(padded)))


def ave_pool(x, windows):
    """Sum over each window, by the number of its cells within the padded plane."""
    if windows.native:
        return aten.avg_pool2d(x, *windows.geometry, windows.ceil, True)
    return sum(value for _, value in windows.cells(windows.padded(x, 0.0))) / windows.areas(x)


def ave_pool_backward(dy, x, windows):
    if windows.native:
        return aten.avg_pool2d_backward(dy, x, *windows.geometry, windows.ceil, True, None)
    padded = windows.padded(torch.zeros_like(x), 0.0)
    share = dy / windows.areas(x)
    for _, cell in windows.cells(padded):
        cell += share
    return windows.inside(padded).contiguous()


@register
class Pooling(Layer):
    """MAX, with a second top for the maxima's positions, AVE, or STOCHASTIC, over windows of a plane.

    Sizes are rounded up by default. AVE counts padded cells, MAX does not see them.
    """

    num_bottom, num_top = 1, (1, 2)
    deterministic = repeatable = draws_random = capturable = True
    saved_for_backward = {"position": 8}

    def setup(self, bottom, top):
        p = self.param
        if len(top) > 1 and p.pool != POOL.MAX:
            raise self.error("a second top, the positions of the maxima, belongs to MAX pooling")
        if p.global_pooling:
            if any(map(p.HasField, ("kernel_size", "kernel_h", "kernel_w"))):
                raise self.error(
                    "global_pooling takes the kernel from the bottom: give no kernel size"
                )
            self.kernel = None
        else:
            self.kernel = self.pair("kernel_size", "kernel_h", "kernel_w")
            if min(self.kernel) < 1:
                raise self.error(
                    f"the kernel must be given, as kernel_size, and above 0: {self.kernel}"
                )
        self.pad = self.pair("pad", "pad_h", "pad_w")
        self.stride = self.pair("stride", "stride_h", "stride_w")
        if min(self.stride) < 1:
            raise self.error(f"stride must be above 0, got {self.stride}")
        if p.global_pooling and (self.pad, self.stride) != ((0, 0), (1, 1)):
            raise self.error(
                f"global_pooling goes with pad 0 and stride 1, got pad {self.pad}, stride "
                f"{self.stride}"
            )
        if not p.global_pooling and any(a >= k for a, k in zip(self.pad, self.kernel)):
            raise self.error(f"pad {self.pad} must be smaller than kernel {self.kernel}")
        if p.pool == POOL.STOCHASTIC and any(self.pad):
            raise self.error("STOCHASTIC pooling takes no padding")

    def pair(self, both, height, width) -> tuple[int, int]:
        """A setting for height and width, given once or as _h and _w."""
        given = [self.param.HasField(name) for name in (both, height, width)]
        if given[1] != given[2] or given[0] and given[1]:
            raise self.error(f"give either {both}, or {height} and {width}")
        names = (height, width) if given[1] else (both, both)
        return tuple(getattr(self.param, name) for name in names)

    def reshape(self, bottom, top):
        if bottom[0].num_axes != 4:
            raise self.error(f"needs four axes (N, C, H, W), got shape {list(bottom[0].shape)}")
        *outer, height, width = bottom[0].shape
        kernel = (height, width) if self.param.global_pooling else self.kernel
        floor = self.param.round_mode == POOL.FLOOR
        self.windows = Windows((height, width), kernel, self.stride, self.pad, floor)
        if min(self.windows.counts) < 0:
            raise self.error(
                f"no window fits: kernel {kernel}, pad {self.pad} on a plane of {[height, width]}"
            )
        for blob in top:
            blob.set_shape([*outer, *self.windows.counts])

    def forward(self, bottom, top):
        if self.param.pool == POOL.STOCHASTIC and context.device().type == "cpu":
            raise self.error("STOCHASTIC pooling is for GPUs only, in Caffe", NotImplementedError)
        if not top[0].count:
            return
        if self.param.pool == POOL.STOCHASTIC:
            self.forward_stochastic(bottom[0], top[0])
            return
        if self.param.pool == POOL.AVE:
            top[0].x = ave_pool(bottom[0].x, self.windows)
            return
        if self.phase == caffe_pb2.TEST and len(top) == 1:
            top[0].x, self.position = maxima(bottom[0].x, self.windows), None
            return
        if len(top) == 1 and by_kernel(bottom[0].x, self.windows):
            kernel, stride, _ = self.windows.geometry
            self.position = kernels.maxima_and_cells(bottom[0].x, top[0].x, kernel, stride)
            return
        top[0].x, self.position = max_pool(bottom[0].x, self.windows)
        if len(top) > 1:
            top[1].x.copy_(self.position)

    def affected_window(self, window):
        """The window of the tops that a window of the bottom has a part in; None: all must be done."""
        if self.param.pool != POOL.MAX or len(self.layer_param.top) > 1:
            return None
        edges = []
        for axis, (kernel, stride, pad) in enumerate(zip(*self.windows.geometry)):
            first, end = window[2 * axis : 2 * axis + 2]
            edges.append(max(0, -(-(first + pad - kernel + 1) // stride)))
            edges.append(min(self.windows.counts[axis], (end - 1 + pad) // stride + 1))
        return tuple(edges)

    def forward_window(self, bottom, top, window):
        if self.param.pool != POOL.MAX or len(top) > 1 or not top[0].count:
            self.forward(bottom, top)  # in full: reach allows no less
            return
        self.position = None
        maxima_of_window(bottom[0].x, self.windows, top[0].x, window)

    def forward_stochastic(self, bottom, top):
        if self.phase == caffe_pb2.TEST:
            top.x, self.position = weighted_mean_pool(bottom.x, self.windows), None
            return
        draw = 1 - torch.rand(
            tuple(top.shape),
            generator=context.generator(),
            dtype=bottom.x.dtype,
            device=bottom.x.device,
        )
        top.x, self.position = stochastic_pool(bottom.x, self.windows, draw)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        if not top[0].count:
            bottom[0].dx.zero_()
        elif self.param.pool == POOL.STOCHASTIC and self.position is None:
            raise self.error("STOCHASTIC pooling has a gradient in TRAIN only", NotImplementedError)
        elif self.param.pool == POOL.AVE:
            bottom[0].dx = ave_pool_backward(top[0].dx, bottom[0].x, self.windows)
        else:
            if self.position is None:  # few ask a TEST net for gradients
                _, self.position = max_pool(bottom[0].x, self.windows)
            self.backward_max(top[0].dx, bottom[0])

    def backward_max(self, dy, bottom):
        if self.position.dtype == torch.uint8:  # cells of windows, from the engine's own kernel
            kernel, stride, _ = self.windows.geometry
            kernels.maxima_gradient(dy, self.position, bottom.dx, kernel, stride)
        else:
            bottom.dx = max_pool_backward(dy, bottom.x, self.windows, self.position)


@register
class SPP(Layer):
    """Spatial pyramid pooling: the plane in 1, 4, 16, ... windows, each pooled to one number.

    With pyramid_height 1 the top keeps four axes (N, C, 1, 1), with more (N, C * (1 + 4 + ..)).
    """

    num_bottom = num_top = 1

    def setup(self, bottom, top):
        if self.param.pyramid_height < 1:
            raise self.error("pyramid_height must be given, and above 0")
        pools = {
            self.param.MAX: (max_pool, max_pool_backward),
            self.param.AVE: (lambda x, w: (ave_pool(x, w), None), ave_pool_backward),
        }
        if self.param.pool not in pools:
            raise self.error("STOCHASTIC pooling is not implemented", NotImplementedError)
        self.pool, self.pool_backward = pools[self.param.pool]

    def reshape(self, bottom, top):
        if bottom[0].num_axes != 4:
            raise self.error(f"needs four axes (N, C, H, W), got shape {list(bottom[0].shape)}")
        num, channels, *size = bottom[0].shape
        self.levels = [self.level(size, 2**i) for i in range(self.param.pyramid_height)]
        self.cells = [math.prod(windows.counts) for windows in self.levels]
        top[0].set_shape(
            [num, channels, 1, 1] if len(self.levels) == 1 else [num, channels * sum(self.cells)]
        )

    def level(self, size, bins):
        """bins x bins windows, as large as they are far apart, over the padded plane."""
        kernel = [-(-length // bins) for length in size]
        pad = [(k * bins - length + 1) // 2 for k, length in zip(kernel, size)]
        if any(a >= k for a, k in zip(pad, kernel)):
            raise self.error(
                f"{bins} windows do not fit on a plane of {list(size)}: the derived padding {pad} "
                f"reaches the derived kernel {kernel}; choose a smaller pyramid_height"
            )
        return Windows(size, kernel, kernel, pad)

    def forward(self, bottom, top):
        pooled = [self.pool(bottom[0].x, windows) for windows in self.levels]
        self.positions = [position for _, position in pooled]
        parts = [y.flatten(1) for y, _ in pooled]
        torch.cat(parts, 1, out=top[0].x.view(len(parts[0]), -1))

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        x = bottom[0].x
        parts = top[0].dx.view(len(x), -1).split([x.shape[1] * n for n in self.cells], 1)
        dx = 0
        for part, windows, position in zip(parts, self.levels, self.positions):
            extra = [] if position is None else [position]
            dy = part.reshape(*x.shape[:2], *windows.counts)
            dx = dx + self.pool_backward(dy, x, windows, *extra)
        bottom[0].dx = dx
