"""Pooling (src/caffe/layers/pooling_layer.cpp)."""

from __future__ import annotations

import torch

from .. import context
from ..blob import Blob
from ..glog import warning
from ..kernels import maxima as native_maxima
from ..kernels import pool
from ..kernels.pool import PoolWindows
from ..layer import Layer, register
from ..proto import caffe_pb2

POOL = caffe_pb2.PoolingParameter


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

    def pair(self, both: str, height: str, width: str) -> tuple[int, int]:
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
        self.windows = PoolWindows((height, width), kernel, self.stride, self.pad, floor)
        if min(self.windows.counts) < 1:
            text = (
                f"no window fits: kernel {kernel}, pad {self.pad} on a plane of {[height, width]}"
            )
            if not floor or min(self.windows.counts) < 0:
                raise self.error(text)
            if top[0].shape[2:] != self.windows.counts:  # Caffe goes on with it, too
                warning("pooling_layer.cpp:116", f"{self.error(text)}: the top is empty")
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
            top[0].x = pool.ave_pool(bottom[0].x, self.windows)
            return
        if self.phase == caffe_pb2.TEST and len(top) == 1:
            top[0].x, self.position = pool.maxima(bottom[0].x, self.windows), None
            return
        if len(top) == 1 and pool.by_kernel(bottom[0].x, self.windows):
            kernel, stride, _ = self.windows.geometry
            self.position = native_maxima.maxima_and_cells(bottom[0].x, top[0].x, kernel, stride)
            return
        top[0].x, self.position = pool.max_pool(bottom[0].x, self.windows)
        if len(top) > 1:
            top[1].x.copy_(self.position)

    def affected_window(self, window):
        """The window of the tops that a window of the bottom has a part in; None: all must be done."""
        if self.param.pool == POOL.STOCHASTIC or len(self.layer_param.top) > 1:
            return None
        edges = []
        for axis, (kernel, stride, pad) in enumerate(zip(*self.windows.geometry)):
            first, end = window[2 * axis : 2 * axis + 2]
            edges.append(max(0, -(-(first + pad - kernel + 1) // stride)))
            edges.append(min(self.windows.counts[axis], (end - 1 + pad) // stride + 1))
        return tuple(edges)

    def forward_window(self, bottom, top, window):
        if self.param.pool == POOL.STOCHASTIC or len(top) > 1 or not top[0].count:
            self.forward(bottom, top)  # in full: reach allows no less
            return
        mean, self.position = self.param.pool == POOL.AVE, None
        pool.pool_window(bottom[0].x, self.windows, top[0].x, window, mean)

    def forward_stochastic(self, bottom: Blob, top: Blob) -> None:
        """Draw a cell of each window in TRAIN; the weighted mean in TEST."""
        if self.phase == caffe_pb2.TEST:
            top.x, self.position = pool.weighted_mean_pool(bottom.x, self.windows), None
            return
        draw = 1 - torch.rand(
            tuple(top.shape),
            generator=context.generator(),
            dtype=bottom.x.dtype,
            device=bottom.x.device,
        )
        top.x, self.position = pool.stochastic_pool(bottom.x, self.windows, draw)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        if not top[0].count:
            bottom[0].dx.zero_()
        elif self.param.pool == POOL.STOCHASTIC and self.position is None:
            raise self.error("STOCHASTIC pooling has a gradient in TRAIN only", NotImplementedError)
        elif self.param.pool == POOL.AVE:
            bottom[0].dx = pool.ave_pool_backward(top[0].dx, bottom[0].x, self.windows)
        else:
            if self.position is None:  # few ask a TEST net for gradients
                _, self.position = pool.max_pool(bottom[0].x, self.windows)
            self.backward_max(top[0].dx, bottom[0])

    def backward_max(self, dy: torch.Tensor, bottom: Blob) -> None:
        """Pass dy to the cells that were the maxima."""
        if self.position.dtype == torch.uint8:  # cells of windows, from the engine's own kernel
            kernel, stride, _ = self.windows.geometry
            native_maxima.maxima_gradient(dy, self.position, bottom.dx, kernel, stride)
        else:
            bottom.dx = pool.max_pool_backward(dy, bottom.x, self.windows, self.position)
