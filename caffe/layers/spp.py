"""SPP, spatial pyramid pooling (src/caffe/layers/spp_layer.cpp)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..kernels import pool
from ..kernels.pool import PoolWindows
from ..layer import Layer, register


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
            self.param.MAX: (pool.max_pool, pool.max_pool_backward),
            self.param.AVE: (lambda x, w: (pool.ave_pool(x, w), None), pool.ave_pool_backward),
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

    def level(self, size: Sequence[int], bins: int) -> PoolWindows:
        """Bins x bins windows, as large as they are far apart, over the padded plane."""
        kernel = [-(-length // bins) for length in size]
        pad = [(k * bins - length + 1) // 2 for k, length in zip(kernel, size)]
        if any(a >= k for a, k in zip(pad, kernel)):
            raise self.error(
                f"{bins} windows do not fit on a plane of {list(size)}: the derived padding {pad} "
                f"reaches the derived kernel {kernel}; choose a smaller pyramid_height"
            )
        return PoolWindows(size, kernel, kernel, pad)

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
