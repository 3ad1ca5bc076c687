"""SoftmaxWithLoss and SigmoidCrossEntropyLoss with what forks added, and SoftmaxCrossEntropyLoss.

(softmax_loss_layer.cpp of SegNet, DeepLab and R-FCN; sigmoid_cross_entropy_loss_layer.cpp of HED and
MNC)
"""

from __future__ import annotations

from typing import Any

import torch

from ...blob import Blob
from ...files import allowed
from ...layer import Blobs, meaning, register
from ..loss import FLT_MIN, MODE, Loss, SoftmaxWithLoss, divisor
from .meanings import given


@meaning("SoftmaxWithLoss")
class ForkSoftmaxWithLoss(SoftmaxWithLoss):
    """SoftmaxWithLoss with weights of classes, several ignored labels, more tops.

    SegNet: loss_param { weight_by_label_freqs: true class_weighting: ... }: a position counts its
    label's weight, and the divisor positions. DeepLab of 2014: softmaxloss_param, whose weight_source
    is a file of the weights, and the divisor their sum; ignore_label may come several times. R-FCN:
    top 1 has the probabilities, top 2 each position's loss; normalization PRE_FIXED.
    """

    fork = "SegNet, DeepLab, R-FCN"
    told_by = "class_weighting, softmaxloss_param, PRE_FIXED, or three tops; else it is Caffe's"
    num_top = (1, 3)

    @classmethod
    def means(cls, layer_param):
        stated = given(layer_param.loss_param)
        return bool(
            stated & {"class_weighting", "weight_by_label_freqs"}
            or layer_param.loss_param.normalization == MODE.PRE_FIXED
            or layer_param.HasField("softmaxloss_param")
            or len(layer_param.top) > 2  # two make Caffe 1.0 give up
        )

    def setup(self, bottom, top):
        super().setup(bottom, top)
        p, old = self.layer_param.loss_param, self.layer_param.softmaxloss_param
        weights = list(p.class_weighting) if p.weight_by_label_freqs else None
        if old.HasField("weight_source"):
            weights = self.read_weights(old.weight_source)
        self.divides_by_weights = old.HasField("weight_source")
        ignored = [p.ignore_label] if p.HasField("ignore_label") else []
        self.all_ignored = [*ignored, *old.ignore_label]
        self.class_weights = None
        if weights is not None:
            classes = bottom[0].shape[self.axis(bottom[0], self.param.axis)]
            if len(weights) != classes:
                raise self.error(f"a weight for each of {classes} classes, got {len(weights)}")
            self.class_weights = bottom[0].x.new_tensor(weights)

    def read_weights(self, path: str) -> list[float]:
        """The numbers in a file of class weights."""
        try:
            with open(allowed.to_read(path)) as file:
                return [float(word) for word in file.read().split()]
        except (OSError, ValueError) as error:
            raise self.error(f"weight_source {path}: {error}") from error

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        for blob, like in zip(top[1:], bottom):
            blob.set_shape(like.shape)

    def only_one_ignored(self, blob: Blob) -> Blob:
        """The labels with one value for all that are ignored."""
        if len(self.all_ignored) < 2:
            return blob
        x = blob.x.clone()
        for ignored in self.all_ignored[1:]:
            x.masked_fill_(x.trunc() == ignored, self.all_ignored[0])
        same = Blob(blob.shape)
        same.x = x
        return same

    def forward(self, bottom, top):
        labels = self.labels
        first = self.all_ignored[0] if self.all_ignored else None
        self.label, counts = labels.read(self.only_one_ignored(bottom[1]), first)
        self.valid = counts
        if self.class_weights is not None:
            weights = self.class_weights.to(counts.device, counts.dtype)
            self.valid = counts * weights[self.label]
        self.prob = torch.softmax(labels.scores(bottom[0].x), 1)
        loss = self.prob.gather(1, self.label).clamp_(min=FLT_MIN).log_().neg_() * self.valid
        self.divisor = self.divide_by(counts)
        top[0].x.copy_(loss.sum() / self.divisor)
        for blob, values in zip(top[1:], (self.prob, loss)):
            blob.x.view(-1).copy_(values.view(-1))

    def divide_by(self, counts: torch.Tensor) -> Any:
        """What the sum of losses is divided by."""
        mode = self.normalization(MODE.VALID)
        if self.divides_by_weights:
            return self.valid.sum().clamp(min=FLT_MIN)
        if mode == MODE.PRE_FIXED:
            return max(1.0, self.layer_param.loss_param.pre_fixed_normalizer)
        labels = self.labels
        return divisor(mode, labels.outer * labels.inner, counts.sum(), labels.outer)


class SigmoidLoss(Loss):
    """Scores and targets of one shape."""

    fork = told_by = ""
    capturable = True

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        for blob in bottom[1:]:
            if blob.count != bottom[0].count:
                raise self.error(
                    "one target, and one weight, for each score is needed, got shapes "
                    f"{[list(blob.shape) for blob in bottom]}"
                )
        self.num = bottom[0].shape[0]

    def losses(self, bottom: Blobs) -> torch.Tensor:
        """Each score's cross entropy, (N, scores)."""
        x, target = (blob.x.view(self.num, -1) for blob in bottom[:2])
        return torch.logaddexp(x, torch.zeros_like(x)) - x * target

    def forward(self, bottom, top):
        self.weight = self.weights(bottom)
        top[0].x.copy_((self.losses(bottom) * self.weight).sum())

    def weights(self, bottom: Blobs) -> torch.Tensor:
        """How much each score counts, (N, scores)."""
        raise NotImplementedError

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down)
        if (
            len(bottom) > 2 and propagate_down[2]
        ):  # as of all that a layer with learned bottoms makes
            bottom[2].dx.zero_()
        if propagate_down[0]:
            x, target = (blob.x.view(self.num, -1) for blob in bottom[:2])
            dx = (torch.sigmoid(x) - target) * self.weight * top[0].dx
            bottom[0].dx = dx.view(tuple(bottom[0].shape))


@meaning("SigmoidCrossEntropyLoss")
class WeightedSigmoidLoss(SigmoidLoss):
    """MNC's: bottom 2 has a weight w for each score; sum of w * cross entropy / sum of w. Where all
    weights are 0 the loss and the gradient are 0."""

    fork = "MNC"
    told_by = "a third bottom"
    num_bottom = 3

    @classmethod
    def means(cls, layer_param):
        return len(layer_param.bottom) == 3

    def allow_force_backward(self, bottom_index):
        return bottom_index == 0

    def weights(self, bottom: Blobs) -> torch.Tensor:
        """How much each score counts, (N, scores)."""
        weight = bottom[2].x.view(self.num, -1)
        total = weight.sum()
        return torch.where(total != 0, weight / total, 0)


@meaning("SigmoidCrossEntropyLoss")
class BalancedSigmoidLoss(SigmoidLoss):
    """HED's: of each picture, positives count the share of negatives, and negatives that of positives;
    divided by the number of pictures.

    Targets are 1 or 0; others do not count, nor get a gradient, which HED leaves them. HED has no field
    for it: loss_param { class_balanced: true } is set where the net reads ImageLabelmapData.
    """

    fork = "HED"
    told_by = "class_balanced: true"

    @classmethod
    def means(cls, layer_param):
        return layer_param.loss_param.class_balanced

    def weights(self, bottom: Blobs) -> torch.Tensor:
        """How much each score counts, (N, scores)."""
        target = bottom[1].x.view(self.num, -1)
        positive, negative = target == 1, target == 0
        counts = [kind.sum(1, keepdim=True).to(target.dtype) for kind in (positive, negative)]
        share = counts[1] / (counts[0] + counts[1]).clamp(min=1)
        return (positive * share + negative * (1 - share)) / self.num


@register
class SoftmaxCrossEntropyLoss(Loss):
    """sum of t * (log t - log p) over t > 0, divided by the number of items: p the softmax of the
    scores along axis 1, t soft targets of the same shape."""

    fork = "colorization"
    capturable = True

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        if bottom[0].shape != bottom[1].shape or bottom[0].num_axes < 2:
            raise self.error(
                f"scores and targets must have one shape (N, C, ...), got {list(bottom[0].shape)} "
                f"and {list(bottom[1].shape)}"
            )

    def forward(self, bottom, top):
        target = bottom[1].x
        self.prob = torch.softmax(bottom[0].x, 1)
        logs = target.clamp(min=FLT_MIN).log() - self.prob.clamp(min=FLT_MIN).log()
        loss = torch.where(target > 0, target * logs, 0).sum()
        top[0].x.copy_(loss / bottom[0].shape[0])

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down)
        if propagate_down[0]:
            # exact where an item's targets at a position sum to 1, as probabilities do
            bottom[0].dx = (self.prob - bottom[1].x) * (top[0].dx / bottom[0].shape[0])
