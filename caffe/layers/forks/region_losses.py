"""Losses of regions, and which of them count: SmoothL1Loss of Fast and Faster R-CNN and of R-FCN,
BoxAnnotatorOHEM of R-FCN (smooth_L1_loss_layer.cu, box_annotator_ohem_layer.cu)."""

from __future__ import annotations

import torch

from ...layer import Layer, register
from ..loss import MODE, Loss


@register
class SmoothL1Loss(Loss):
    """sum of w_out * f(w_in * (a - b)): f(d) = (sigma d)^2 / 2 where |d| < 1 / sigma^2, else
    |d| - 1 / (2 sigma^2).

    Bottoms: a, b; then w_in (Fast R-CNN, R-FCN), or w_in and w_out (Faster R-CNN). Divided by the
    first dimension, or, as in R-FCN where loss_param says so or a second top has each position's
    loss (N, 1, H, W), by positions (FULL, VALID), items (BATCH_SIZE), 1 (NONE) or
    pre_fixed_normalizer (PRE_FIXED). The first two bottoms get the exact gradient, the weights 0;
    R-FCN leaves out a factor w_in, which makes no difference to weights of 0 and 1.
    """

    fork = "Fast R-CNN, Faster R-CNN, R-FCN"
    num_bottom, num_top = (2, 4), (1, 2)
    capturable = True

    def allow_force_backward(self, bottom_index):
        return bottom_index < 2

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        for blob in bottom[1:]:
            if blob.count != bottom[0].count:
                raise self.error(
                    "all bottoms must hold as many values, got shapes "
                    f"{[list(blob.shape) for blob in bottom]}"
                )
        self.shape = self.legacy_shape(bottom[0])
        num, _, *plane = self.shape
        if len(top) > 1:
            top[1].set_shape([num, 1, *plane])

    def divisor(self, per_position: bool) -> float:
        """What the sum is divided by."""
        param = self.layer_param.loss_param
        num, _, height, width = self.shape
        stated = param.HasField("normalization") or param.HasField("normalize")
        if not stated and not per_position:
            return num
        mode = self.normalization(MODE.VALID)
        fixed: dict[int, float] = {MODE.BATCH_SIZE: num, MODE.NONE: 1}
        fixed[MODE.PRE_FIXED] = param.pre_fixed_normalizer
        return max(1, fixed.get(mode, num * height * width))

    def forward(self, bottom, top):
        self.difference = (bottom[0].x.view(-1) - bottom[1].x.view(-1)).view(self.shape)
        for blob in bottom[2:3]:
            self.difference.mul_(blob.x.view(self.shape))
        square = self.param.sigma**2
        size = self.difference.abs()
        loss = torch.where(size < 1 / square, size.square() * (square / 2), size - 0.5 / square)
        for blob in bottom[3:]:
            loss = loss * blob.x.view(self.shape)
        top[0].x.copy_(loss.sum() / self.divisor(len(top) > 1))
        for blob in top[1:]:
            torch.sum(loss, 1, keepdim=True, out=blob.x)

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom[2:], propagate_down[2:]):
            if propagates:  # as of all that a layer with learned bottoms proposes
                blob.dx.zero_()
        square = self.param.sigma**2
        slope = (self.difference * square).clamp(-1, 1)
        for blob in bottom[2:]:
            slope = slope * blob.x.view(self.shape)
        slope = slope * (top[0].dx / self.divisor(len(top) > 1))
        for i, sign in ((0, 1), (1, -1)):
            if propagate_down[i]:
                torch.mul(slope.view(-1), sign, out=bottom[i].dx.view(-1))


@register
class BoxAnnotatorOHEM(Layer):
    """Online hard example mining: of each picture's regions the roi_per_img with the largest losses
    keep their labels (top 0) and box weights (top 1); others get ignore_label and 0.

    Bottoms: regions (R, 5), losses, labels, box weights (R, channels). No gradient.
    """

    fork = "R-FCN"
    num_bottom, num_top = 4, 2
    param_type = "BoxAnnotatorOHEM"
    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        if self.param.roi_per_img < 1:
            raise self.error("roi_per_img must be given, and above 0")

    def reshape(self, bottom, top):
        regions, losses, labels, weights = (self.legacy_shape(blob) for blob in bottom)
        num, _, *plane = regions
        fits = regions[1] == 5 and losses == labels == (num, 1, *plane)
        if not fits or (weights[0], *weights[2:]) != (num, *plane):
            raise self.error(
                "needs regions (R, 5), a loss and a label for each, and box weights (R, channels); "
                f"got shapes {[list(blob.shape) for blob in bottom]}"
            )
        top[0].set_shape(labels)
        top[1].set_shape(weights)

    def forward(self, bottom, top):
        num, _, *plane = self.legacy_shape(bottom[0])
        picture = bottom[0].x.view(num, 5, *plane)[:, 0].reshape(-1)
        loss = bottom[1].x.view(-1)
        order = torch.argsort(loss, descending=True, stable=True)
        same = picture[order][:, None] == picture[order]
        rank = same.tril(-1).sum(1)  # how many of the same picture have a larger loss
        kept = torch.empty_like(loss, dtype=torch.bool)
        kept[order] = rank < self.param.roi_per_img
        kept = kept.view(num, 1, *plane)
        labels = bottom[2].x.view(tuple(top[0].shape))
        top[0].x.copy_(labels.masked_fill(~kept, self.param.ignore_label))
        torch.mul(bottom[3].x.view(tuple(top[1].shape)), kept, out=top[1].x)

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom, propagate_down):
            if propagates:
                blob.dx.zero_()
