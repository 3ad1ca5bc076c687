"""BatchNorm and MVN: mean 0 and variance 1
(src/caffe/layers/batch_norm_layer.cpp, mvn_layer.cpp)."""

import torch

from ..layer import Layer, register
from ..proto import caffe_pb2


@register
class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps), for each channel, over batch and plane.

    Blobs: running sums of mean and variance, and the factor both are to be divided by. They are
    never learned: every forward with the batch's own statistics (TRAIN, unless use_global_stats
    says otherwise) adds to them, after multiplying with moving_average_fraction. May work in place.
    """

    num_bottom = num_top = 1
    repeatable = updates_parameters = True
    saved_for_backward = {"std": 0, "normed": 4}

    def setup(self, bottom, top):
        if bottom[0].num_axes < 2:
            raise self.error(
                f"needs two axes at least, got a bottom of shape {list(bottom[0].shape)}"
            )
        p = self.param
        self.uses_global = (
            p.use_global_stats if p.HasField("use_global_stats") else self.phase == caffe_pb2.TEST
        )
        self.deterministic = self.uses_global
        self.channels = bottom[0].shape[1]
        for shape in ([self.channels], [self.channels], [1]):
            self.blobs.add_blob(*shape)
        for i, spec in enumerate(self.layer_param.param):
            if i < 3 and spec.lr_mult:
                raise self.error(
                    f"param {i} has lr_mult {spec.lr_mult}, but statistics are not learned: write "
                    "lr_mult: 0, or no param at all"
                )
        while len(self.layer_param.param) < 3:
            self.layer_param.param.add(lr_mult=0)

    def reshape(self, bottom, top):
        if bottom[0].num_axes < 2 or bottom[0].shape[1] != self.channels:
            raise self.error(
                f"the statistics are of {self.channels} channels, the bottom's shape is now "
                f"{list(bottom[0].shape)}"
            )
        top[0].set_shape(bottom[0].shape)
        self.rows = (bottom[0].shape[0], self.channels, -1)

    def over(self, statistic: torch.Tensor) -> torch.Tensor:
        """A statistic of each channel, ready to meet (N, C, plane)."""
        return statistic.view(-1, 1)

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.rows)
        if self.uses_global:
            mean, self.std = self.stored()
            torch.sub(x, self.over(mean), out=top[0].x.view(self.rows)).div_(self.over(self.std))
            return
        variance, mean = torch.var_mean(x, (0, 2), correction=0)
        self.remember(mean, variance, x.numel() // self.channels)
        self.std = (variance + self.param.eps).sqrt_()
        # kept, because a layer in place above may overwrite the top
        self.normed = (x - self.over(mean)).div_(self.over(self.std))
        top[0].x.copy_(self.normed.view(tuple(top[0].shape)))

    def stored(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of each channel, from the running sums."""
        factor = self.blobs[2].x
        share = torch.where(factor == 0, 0, 1 / factor)
        variance = self.blobs[1].x * share
        return self.blobs[0].x * share, (variance + self.param.eps).sqrt_()

    def channel_factors(self):
        if not self.uses_global:
            return None
        mean, std = self.stored()
        return 1 / std, -mean / std

    def remember(self, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
        """Add a batch's statistics, of `count` values a channel, to the running sums."""
        correction = count / (count - 1) if count > 1 else 1
        sums = mean, variance * correction, mean.new_ones(1)
        for blob, new in zip(self.blobs, sums):
            blob.x.mul_(self.param.moving_average_fraction).add_(new)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        dy, dx = top[0].dx.view(self.rows), bottom[0].dx.view(self.rows)
        if not self.uses_global:
            dy = centred(dy, self.normed, (0, 2))
        std = self.stored()[1] if self.uses_global else self.std  # forward may have been folded
        torch.div(dy, self.over(std), out=dx)


@register
class MVN(Layer):
    """y = (x - mean) / (standard deviation + eps), over each plane, or all channels of an item.

    The top always has four axes. The gradient is Caffe's, exact where eps is small against the
    deviation.
    """

    num_bottom = num_top = 1
    deterministic = repeatable = True
    saved_for_backward = {"std": 0}

    def reshape(self, bottom, top):
        shape = self.legacy_shape(bottom[0])
        top[0].set_shape(shape)
        self.rows = (shape[0] if self.param.across_channels else shape[0] * shape[1], -1)

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.rows)
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        y = torch.sub(x, mean, out=top[0].x.view(self.rows))
        if self.param.normalize_variance:
            self.std = variance.sqrt_().add_(self.param.eps)
            y.div_(self.std)

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        dy, dx = top[0].dx.view(self.rows), bottom[0].dx.view(self.rows)
        if self.param.normalize_variance:
            torch.div(centred(dy, top[0].x.view(self.rows), 1), self.std, out=dx)
        else:
            torch.sub(dy, dy.mean(1, keepdim=True), out=dx)


def centred(dy: torch.Tensor, y: torch.Tensor, axes: int | tuple[int, ...]) -> torch.Tensor:
    """Dy without its mean and without its share along y: what normalizing takes away."""
    shared = y * (dy * y).mean(axes, keepdim=True)
    return shared.add_(dy.mean(axes, keepdim=True)).sub_(dy).neg_()
