"""Losses: one number a batch (src/caffe/layers/loss_layer.cpp and the *_loss_layer.cpp files).

Gradients start from the top's diff, where the net has written the loss weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import relu

from ..glog import info
from ..layer import Layer, register
from ..proto import caffe_pb2
from .labels import Labels

MODE = caffe_pb2.LossParameter
FLT_MIN = torch.finfo(torch.float32).tiny
LOG_THRESHOLD = 1e-20


class Loss(Layer):
    """Two bottoms, the second a label or target without gradient; the top has no axes."""

    num_bottom: int | tuple[int, int] = 2
    num_top: int | tuple[int, int] = 1
    auto_top = True
    default_loss_weight = 1.0

    def allow_force_backward(self, bottom_index):
        return bottom_index != 1

    def reshape(self, bottom, top):
        if bottom[0].shape[:1] != bottom[1].shape[:1]:
            raise self.error(
                f"both bottoms must have one first dimension, got shapes {list(bottom[0].shape)} "
                f"and {list(bottom[1].shape)}"
            )
        top[0].set_shape([])

    def log_softmax(self) -> None:
        """Caffe's softmax losses make a Softmax layer of their own name, and log that."""
        info("layer_factory.hpp:77", f"Creating layer {self.name}")

    def check_no_gradient(self, propagate_down: Sequence[bool], index: int = 1) -> None:
        """Raise NotImplementedError if a gradient is wanted for a bottom that cannot have one."""
        if propagate_down[index]:
            raise self.error(
                f"cannot pass a gradient to bottom {index}, labels or the like", NotImplementedError
            )

    def normalization(self, default: int) -> int:
        """The mode that loss_param states; its older `normalize` gives way to `normalization`."""
        param = self.layer_param.loss_param
        if param.HasField("normalization") or not param.HasField("normalize"):
            return param.normalization if param.HasField("normalization") else default
        return MODE.VALID if param.normalize else MODE.BATCH_SIZE

    @property
    def ignored(self) -> int | None:
        """The label that does not count, if loss_param states one."""
        param = self.layer_param.loss_param
        return param.ignore_label if param.HasField("ignore_label") else None


def divisor(mode: int, full: int, valid: torch.Tensor, batch: int) -> torch.Tensor | int:
    """What a loss is divided by; `valid` is a tensor, the number of positions not ignored."""
    if mode == MODE.VALID:
        return valid.clamp(min=1)
    counts: dict[int, int] = {MODE.FULL: full, MODE.BATCH_SIZE: batch, MODE.NONE: 1}
    return max(1, counts[mode])


@register
class EuclideanLoss(Loss):
    """sum (a - b)^2 / 2N. Both bottoms get a gradient."""

    capturable = True

    def allow_force_backward(self, bottom_index):
        return True

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        self.num = self.legacy_shape(bottom[0])[0]
        if bottom[0].count != bottom[1].count:
            raise self.error(
                f"both bottoms must hold as many values, got shapes {list(bottom[0].shape)} and "
                f"{list(bottom[1].shape)}"
            )

    def forward(self, bottom, top):
        self.difference = bottom[0].x.view(-1) - bottom[1].x.view(-1)
        top[0].x.copy_(self.difference.dot(self.difference) / (2 * self.num))

    def backward(self, top, propagate_down, bottom):
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                scale = top[0].dx * (sign / self.num)
                torch.mul(self.difference, scale, out=bottom[i].dx.view(-1))


@register
class SoftmaxWithLoss(Loss):
    """-log of the label's softmax probability, summed and divided as `normalization` says.

    Labels are truncated towards zero. Probabilities are kept above FLT_MIN in the loss, not in the
    gradient. Unlike Caffe, labels out of range raise ValueError.
    """

    param_type = "Softmax"
    capturable = True

    def setup(self, bottom, top):
        self.log_softmax()

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        self.labels = Labels(self, bottom, self.axis(bottom[0], self.param.axis))

    def forward(self, bottom, top):
        labels = self.labels
        self.label, self.valid = labels.read(bottom[1], self.ignored)
        self.prob = torch.softmax(labels.scores(bottom[0].x), 1)
        picked = self.prob.gather(1, self.label).clamp_(min=FLT_MIN).log_()
        self.divisor = divisor(
            self.normalization(MODE.VALID),
            labels.outer * labels.inner,
            self.valid.sum(),
            labels.outer,
        )
        top[0].x.copy_((picked * self.valid).sum() / -self.divisor)

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down)
        if propagate_down[0]:
            weight = self.valid * (top[0].dx / self.divisor)
            dx = self.labels.scores(bottom[0].dx)
            torch.mul(self.prob, weight, out=dx)
            dx.scatter_add_(1, self.label, -weight)


class ItemLoss(Loss):
    """A label an item, whatever the axes of the scores after the first."""

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        if bottom[1].count != bottom[0].shape[0]:
            raise self.error(
                f"one label for each of {bottom[0].shape[0]} items is needed, got labels of shape "
                f"{list(bottom[1].shape)}"
            )
        self.labels = Labels(self, bottom, 1, flat=True)


@register
class MultinomialLogisticLoss(ItemLoss):
    """-log of the label's probability, averaged over N; probabilities are kept above 1e-20."""

    def forward(self, bottom, top):
        self.label, _ = self.labels.read(bottom[1])
        prob = self.labels.scores(bottom[0].x)
        self.picked = prob.gather(1, self.label).clamp_(min=LOG_THRESHOLD)
        top[0].x.copy_(self.picked.log().sum() / -len(prob))

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down)
        if propagate_down[0]:
            dx = self.labels.scores(bottom[0].dx.zero_())
            dx.scatter_(1, self.label, top[0].dx / (-len(dx) * self.picked))


@register
class SigmoidCrossEntropyLoss(Loss):
    """-t log p - (1 - t) log(1 - p) with p = sigmoid(x), for targets t in [0, 1], summed and
    divided.

    Targets are truncated for the ignore test: ignore_label 0 ignores all of (-1, 1).
    """

    capturable = True

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        if bottom[0].count != bottom[1].count:
            raise self.error(
                f"one target for each score is needed, got shapes {list(bottom[0].shape)} and "
                f"{list(bottom[1].shape)}"
            )

    def forward(self, bottom, top):
        x, target = bottom[0].x.view(-1), bottom[1].x.view(-1)
        if self.ignored is None:
            self.valid = torch.ones_like(x, dtype=torch.bool)
        else:
            self.valid = target.trunc() != self.ignored
        loss = torch.logaddexp(x, torch.zeros_like(x)) - x * target
        batch = bottom[0].shape[0] if bottom[0].num_axes else 1
        self.divisor = divisor(
            self.normalization(MODE.BATCH_SIZE), x.numel(), self.valid.sum(), batch
        )
        top[0].x.copy_(loss.masked_fill_(~self.valid, 0).sum() / self.divisor)

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down)
        if propagate_down[0]:
            dx = torch.sigmoid(bottom[0].x.view(-1), out=bottom[0].dx.view(-1))
            dx.sub_(bottom[1].x.view(-1)).mul_(top[0].dx / self.divisor)
            dx.masked_fill_(~self.valid, 0)


@register
class HingeLoss(ItemLoss):
    """sum of max(0, 1 - s x) over N, or of its square (L2): s is 1 for the label's class, else -1.

    The margins wait in the bottom's diff from forward to backward, as in Caffe.
    """

    def forward(self, bottom, top):
        self.label, _ = self.labels.read(bottom[1])
        x = self.labels.scores(bottom[0].x)
        margin = self.labels.scores(bottom[0].dx)
        margin.copy_(x).scatter_(1, self.label, -x.gather(1, self.label)).add_(1)
        torch.clamp(margin, min=0, out=margin)
        total = margin.sum() if self.param.norm == self.param.L1 else margin.square().sum()
        top[0].x.copy_(total / len(x))

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down)
        if propagate_down[0]:
            dx = self.labels.scores(bottom[0].dx)
            dx.scatter_(1, self.label, -dx.gather(1, self.label))
            if self.param.norm == self.param.L1:
                dx.sign_().mul_(top[0].dx / len(dx))
            else:
                dx.mul_(2 * top[0].dx / len(dx))


@register
class ContrastiveLoss(Loss):
    """sum over pairs / 2N: d^2 for similar pairs, max(margin - d, 0)^2 for the others, d the
    distance of the two items. legacy_version: max(margin - d^2, 0). The third bottom tells who is
    similar."""

    num_bottom = 3

    def allow_force_backward(self, bottom_index):
        return bottom_index != 2

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        num, channels, *plane = self.legacy_shape(bottom[0])
        if self.legacy_shape(bottom[1])[1] != channels or plane != [1, 1]:
            raise self.error(
                f"two bottoms of shape (N, C) are needed, got {list(bottom[0].shape)} and "
                f"{list(bottom[1].shape)}"
            )
        if bottom[2].count != num:
            raise self.error(
                f"the third bottom must tell of each of {num} pairs whether it is similar, its "
                f"shape is {list(bottom[2].shape)}"
            )

    def forward(self, bottom, top):
        self.difference = (bottom[0].x - bottom[1].x.view(tuple(bottom[0].shape))).flatten(1)
        squared = self.difference.square().sum(1)
        self.similar = bottom[2].x.view(-1).trunc() != 0
        self.distance = squared.sqrt()
        if self.param.legacy_version:
            self.short = self.param.margin - squared
            apart = relu(self.short)
        else:
            self.short = self.param.margin - self.distance
            apart = relu(self.short).square()
        total = torch.where(self.similar, squared, apart).sum()
        top[0].x.copy_(total / (2 * len(squared)))

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down, 2)
        if self.param.legacy_version:
            slope = torch.where(self.short > 0, -1, 0)
        else:
            # Caffe guards this division, and only this one, by 1e-4
            slope = torch.where(self.short > 0, -self.short / (self.distance + 1e-4), 0)
        slope = torch.where(self.similar, 1, slope) * (top[0].dx / len(self.distance))
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                dx = self.difference * (sign * slope)[:, None]
                bottom[i].dx = dx.view(tuple(bottom[i].shape))
