"""Local response normalization (src/caffe/layers/lrn_layer.cpp)."""

import torch
from torch.nn.functional import avg_pool2d, pad

from ..kernels import library, maps
from ..layer import Layer, register


@register
class LRN(Layer):
    """y = x * (k + alpha / n * sum of x^2 over a window of n cells) ** -beta.

    ACROSS_CHANNELS: the window runs over local_size channels. WITHIN_CHANNEL: over a square of the
    plane, n = local_size^2, and k is 1 whatever the prototxt says.
    """

    num_bottom = num_top = 1
    deterministic = repeatable = True
    saved_for_backward = {"scale": 4}

    def setup(self, bottom, top):
        p = self.param
        if p.local_size % 2 == 0:
            raise self.error(f"local_size must be odd, got {p.local_size}")
        self.across = p.norm_region == p.ACROSS_CHANNELS
        self.k = p.k if self.across else 1.0
        self.alpha = p.alpha / p.local_size if self.across else p.alpha
        self.radius = p.local_size // 2

    def reshape(self, bottom, top):
        if bottom[0].num_axes != 4:
            raise self.error(f"needs four axes (N, C, H, W), got shape {list(bottom[0].shape)}")
        top[0].set_shape(bottom[0].shape)

    def window_sum(self, x: torch.Tensor) -> torch.Tensor:
        """Sum over the window around each cell; within a channel the mean, cells outside included.
        The windows are symmetric, so that the transpose of this sum is the sum itself."""
        if not self.across:
            return avg_pool2d(x, self.param.local_size, 1, self.radius, count_include_pad=True)
        padded = pad(x, (0, 0, 0, 0, self.radius, self.radius))
        total = padded[:, : x.shape[1]].clone()
        for offset in range(1, self.param.local_size):
            total += padded[:, offset : offset + x.shape[1]]
        return total

    def forward(self, bottom, top):
        self.scale = self.scale_of(bottom[0].x)
        torch.mul(bottom[0].x, self.scale.pow(-self.param.beta), out=top[0].x)

    def scale_of(self, x: torch.Tensor) -> torch.Tensor:
        """What is raised to the power of -beta."""
        return self.window_sum(x * x).mul_(self.alpha).add_(self.k)

    def forward_window(self, bottom, top, window):
        x, y, p = bottom[0].x, top[0].x, self.param
        usual = self.across and p.beta == 0.75 and x.data_ptr() != y.data_ptr()
        if not (usual and maps.takes(x, y) and library.available()):
            self.forward(bottom, top)
            return
        self.scale = None
        maps.normalize_channels(x, y, p.local_size, self.alpha, self.k)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        x, dy, beta = bottom[0].x, top[0].dx, self.param.beta
        if self.scale is None:  # few ask a TEST net for gradients
            self.scale = self.scale_of(x)
        shrunk = dy * self.scale.pow(-beta)
        shared = self.window_sum(shrunk * x / self.scale).mul_(-2 * self.alpha * beta)
        torch.add(shrunk, shared.mul_(x), out=bottom[0].dx)
