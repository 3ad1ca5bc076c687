"""BN: batch normalization with a learned scale and shift, of three forks.

The numbers come from DeepLab's and SegNet's descendants: caffe-segnet, PSPNet (yjxiong's line of
Caffe) and caffe-windows, each its bn_layer.cpp.
"""

from __future__ import annotations

import torch

from ...filler import add_filled
from ...layer import Blobs, Layer, meaning, register
from ...proto import caffe_pb2
from ..neuron import inside
from ..norm import centred
from .meanings import SeveralMeanings, given


@register
class BN(SeveralMeanings):
    """y = scale * (x - mean) / sqrt(variance + eps) + shift, for each channel: of three forks."""

    fork = "SegNet, PSPNet, caffe-windows"


class BatchNormalization(Layer):
    """What the three share. Blobs: scale, shift and, but for SegNet, running mean and variance,
    each (1, C, 1, 1). May work in place."""

    num_bottom: int | tuple[int, int] = 1
    num_top: int | tuple[int, int] = 1
    param_type = "BN"
    fork = told_by = ""
    fillers = ("scale_filler", "shift_filler")
    keeps_running = True
    deterministic = repeatable = updates_parameters = True
    saved_for_backward = {"std": 0, "normed": 4}
    eps: float

    def setup(self, bottom, top):
        self.channels = self.legacy_shape(bottom[0])[1]
        shape = [1, self.channels, 1, 1]
        for filler in self.fillers:
            add_filled(self, shape, getattr(self.param, filler))
        if not self.keeps_running:
            return
        for _ in range(2):
            self.blobs.add_blob(*shape)
        while len(self.layer_param.param) < 4:
            self.layer_param.param.add()
        for spec in self.layer_param.param[self.first_fixed() :]:
            spec.lr_mult = spec.decay_mult = 0

    def first_fixed(self) -> int:
        """The index of the first parameter that is not learned."""
        return 2

    def uses_batch(self) -> bool:
        """Whether the statistics are the batch's own."""
        raise NotImplementedError

    def remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Take a batch's statistics into the running ones."""

    def reshape(self, bottom, top):
        shape = self.legacy_shape(bottom[0])
        if shape[1] != self.channels:
            raise self.error(
                f"scale and shift are of {self.channels} channels, the bottom's shape is now "
                f"{list(bottom[0].shape)}"
            )
        top[0].set_shape(bottom[0].shape)
        for blob in top[1:]:
            blob.set_shape([1, self.channels, 1, 1])
        self.rows = (shape[0], self.channels, -1)

    def over(self, blob_or_statistic: torch.Tensor) -> torch.Tensor:
        """A value a channel, ready to meet (N, C, plane)."""
        return blob_or_statistic.view(-1, 1)

    def statistics(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean, variance) of each channel, which (N, C, plane) is normalized with."""
        if not self.uses_batch():
            return self.blobs[2].x.view(-1), self.blobs[3].x.view(-1)
        variance, mean = torch.var_mean(x, (0, 2), correction=0)
        if self.phase == caffe_pb2.TRAIN:
            self.remember(mean, variance)
        return mean, variance

    def forward(self, bottom, top):
        x = bottom[0].x.view(self.rows)
        mean, variance = self.statistics(x)
        for blob, value in zip(top[1:], (mean, variance)):
            blob.x.view(-1).copy_(value)
        self.std = (variance + self.eps).sqrt_()
        normed = (x - self.over(mean)).div_(self.over(self.std))
        # kept where backward may need it: a layer in place above may overwrite the top
        self.normed = normed if self.phase == caffe_pb2.TRAIN or self.for_gradients else None
        self.spread(normed, top[0].x.view(self.rows))

    def spread(self, normed: torch.Tensor, y: torch.Tensor) -> None:
        """Write scale * normed + shift."""
        scale, shift = (self.over(blob.x) for blob in self.blobs[:2])
        torch.mul(normed, scale, out=y).add_(shift)

    def backward(self, top, propagate_down, bottom):
        dy = top[0].dx.view(self.rows)
        learns_scale, learns_shift = self.param_propagate_down[:2]
        if self.normed is None and (learns_scale or self.uses_batch()):
            self.normed = self.normed_again(bottom, top)
        if learns_scale:
            self.blobs[0].dx.view(-1).add_((dy * self.normed).sum((0, 2)))
        if learns_shift:
            self.blobs[1].dx.view(-1).add_(dy.sum((0, 2)))
        if not propagate_down[0]:
            return
        dy = dy * self.over(self.blobs[0].x)
        if self.uses_batch():
            dy = centred(dy, self.normed, (0, 2))
        torch.div(dy, self.over(self.std), out=bottom[0].dx.view(self.rows))

    def normed_again(self, bottom: Blobs, top: Blobs) -> torch.Tensor:
        """The normalized bottom of a TEST net, which keeps none."""
        if bottom[0] is top[0]:
            raise self.error(
                "works in place, and kept nothing for a gradient in phase TEST: force_backward: "
                "true in the prototxt makes it keep what it needs",
                NotImplementedError,
            )
        x = bottom[0].x.view(self.rows)
        return (x - self.over(self.statistics(x)[0])).div_(self.over(self.std))

    # With running statistics the layer works cell by cell.

    def affected_window(self, window):
        cells = self.keeps_running and self.phase == caffe_pb2.TEST and not self.for_gradients
        return window if cells and not self.uses_batch() else None

    def forward_window(self, bottom, top, window):
        if self.affected_window(window) is None:
            self.forward(bottom, top)
            return
        mean, variance = (blob.x for blob in self.blobs[2:])
        self.std, self.normed = (variance.view(-1) + self.eps).sqrt_(), None
        scale = self.blobs[0].x / self.std.view(1, -1, 1, 1)
        x, y = (blob.x[inside(window)] for blob in (bottom[0], top[0]))
        torch.sub(x, mean, out=y).mul_(scale).add_(self.blobs[1].x)


@meaning("BN")
class SegNetBN(BatchNormalization):
    """SegNet's and ENet's: the batch's own statistics in every phase, and none kept; with bn_mode
    INFERENCE y = scale * x + shift, the statistics being folded in. Tops 2 and 3: mean, variance."""

    fork = "SegNet"
    told_by = "bn_mode: LEARN or INFERENCE"
    num_top = (1, 3)
    keeps_running = updates_parameters = False
    eps = 1e-9

    @classmethod
    def means(cls, layer_param):
        stated = given(layer_param.bn_param)
        number = max(len(layer_param.param), len(layer_param.blobs))
        return stated <= {"scale_filler", "shift_filler", "bn_mode"} and (
            number <= 2 or "bn_mode" in stated
        )

    def uses_batch(self) -> bool:
        """Whether the statistics are the batch's own."""
        return self.param.bn_mode == self.param.LEARN

    def statistics(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean, variance) of each channel: in mode INFERENCE 0, and 1 after adding eps."""
        if self.uses_batch():
            return super().statistics(x)
        mean = x.new_zeros(self.channels)
        return mean, mean + (1 - self.eps)


class RunningBN(BatchNormalization):
    """Running statistics in phase TEST, or always."""

    keep: float  # what is kept of the running statistics when a batch's are taken in

    def remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Take a batch's statistics into the running ones."""
        for blob, new in zip(self.blobs[2:], (mean, variance)):
            blob.x.view(-1).mul_(self.keep).add_(new, alpha=1 - self.keep)


@meaning("BN")
class PSPNetBN(RunningBN):
    """PSPNet's: the batch's statistics in TRAIN, running ones in TEST or if frozen, which learns
    nothing either; running = momentum * running + (1 - momentum) * batch, the variance biased."""

    fork = "PSPNet"
    told_by = "frozen, momentum, eps, slope_filler or bias_filler"
    fillers = ("slope_filler", "bias_filler")

    @classmethod
    def means(cls, layer_param):
        own = {"slope_filler", "bias_filler", "momentum", "eps", "frozen", "engine"}
        return given(layer_param.bn_param) <= own

    def setup(self, bottom, top):
        self.eps, self.keep = self.param.eps, self.param.momentum
        super().setup(bottom, top)

    def first_fixed(self) -> int:
        """The index of the first parameter that is not learned."""
        return 0 if self.param.frozen else 2

    def uses_batch(self) -> bool:
        """Whether the statistics are the batch's own."""
        return self.phase == caffe_pb2.TRAIN and not self.param.frozen


@meaning("BN")
class WindowsBN(RunningBN):
    """caffe-windows': running = (1 - decay) * running + decay * batch; TEST uses the running ones
    unless moving_average is false. Its defaults of decay and var_eps are not certain: state them."""

    fork = "caffe-windows"
    told_by = "decay, var_eps or moving_average (with scale_filler and shift_filler)"

    @classmethod
    def means(cls, layer_param):
        own = {"var_eps", "decay", "moving_average"}
        stated = given(layer_param.bn_param)
        fillers = {"scale_filler", "shift_filler"}
        number = max(len(layer_param.param), len(layer_param.blobs))
        return stated <= own | fillers and bool(stated & own or stated and number > 2)

    def setup(self, bottom, top):
        self.eps, self.keep = self.param.var_eps, 1 - self.param.decay
        super().setup(bottom, top)

    def uses_batch(self) -> bool:
        """Whether the statistics are the batch's own."""
        return self.phase == caffe_pb2.TRAIN or not self.param.moving_average
