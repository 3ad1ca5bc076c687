"""Layers around scores of pixels, of DeepLab: SegAccuracy, BiasChannel, AdaptiveBiasChannel
(seg_accuracy_layer.cpp, bias_channel_layer.cpp, adaptive_bias_channel_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ... import context
from ...layer import Layer, register


@register
class SegAccuracy(Layer):
    """(1, 1, 1, 3): the share of pixels that are right, the mean of the classes' recalls, their mean
    intersection over union.

    Recall is of classes that are there; over all classes goes the last, where one that is neither
    there nor predicted counts 1. Labels in ignore_label do not count. reset: false adds up over passes.
    """

    fork = "DeepLab"
    num_bottom, num_top = 2, 1
    metric_names = ("pixel accuracy", "mean recall", "mean IU")

    def reshape(self, bottom, top):
        num, classes, height, width = self.legacy_shape(bottom[0])
        if bottom[1].count != num * height * width:
            raise self.error(
                f"one label for each of {num}x{height}x{width} positions is needed, got labels of "
                f"shape {list(bottom[1].shape)}"
            )
        self.classes = classes
        self.confusion = getattr(self, "confusion", None)
        top[0].set_shape([1, 1, 1, 3])

    def forward(self, bottom, top):
        scores = bottom[0].x.view(self.legacy_shape(bottom[0]))
        predicted = scores.argmax(1).view(-1)
        label = bottom[1].x.long().view(-1)
        counts = torch.ones_like(label, dtype=torch.bool)
        for ignored in self.param.ignore_label:
            counts &= label != ignored
        label = label * counts
        if label.numel():
            self.check_range(label, self.check_extremes)
        if context.on_gpu():  # the error is deferred
            label = label.clamp(0, self.classes - 1)
        cell = label * self.classes + predicted
        square = counts.new_zeros(self.classes**2, dtype=torch.float64)
        square.index_add_(0, cell, counts.double())
        if self.confusion is not None and not self.param.reset:
            square = square + self.confusion
        self.confusion = square
        matrix = square.view(self.classes, self.classes)
        right, there = matrix.diag(), matrix.sum(1)
        union = there + matrix.sum(0) - right
        recall = (right / there.clamp(min=1)).sum() / (there > 0).sum().clamp(min=1)
        share = torch.where(union > 0, right / union.clamp(min=1), 1).mean()
        accuracy = right.sum() / there.sum().clamp(min=1)
        top[0].x.view(-1).copy_(torch.stack([accuracy, recall, share]))

    def check_extremes(self, low: int, high: int) -> None:
        """Raise ValueError for a label that is no class."""
        if low < 0 or high >= self.classes:
            raise self.error(
                f"labels {low}..{high} are not all of {self.classes} classes: what does not count "
                f"belongs into ignore_label, which is {list(self.param.ignore_label)}"
            )

    def backward(self, top, propagate_down, bottom):
        if any(propagate_down):
            raise self.error(
                "has no gradient, but force_backward asks for one", NotImplementedError
            )


class LabelledScores(Layer):
    """Scores (N, C, H, W) that labels change; labels get no gradient."""

    num_bottom, num_top = 2, 1
    fork = "DeepLab"

    def allow_force_backward(self, bottom_index):
        return bottom_index == 0

    def reshape(self, bottom, top):
        self.shape = self.legacy_shape(bottom[0])
        if bottom[1].shape[:1] != [self.shape[0]]:
            raise self.error(
                f"labels for {self.shape[0]} items are needed, got labels of shape "
                f"{list(bottom[1].shape)}"
            )
        top[0].set_shape(self.shape)

    def no_gradient(self, propagate_down: Sequence[bool]) -> None:
        """Raise NotImplementedError if the labels are to get a gradient."""
        if propagate_down[1]:
            raise self.error(
                "cannot pass a gradient to the labels, but force_backward asks for one",
                NotImplementedError,
            )


@register
class BiasChannel(LabelledScores):
    """Scores plus bg_bias for the background and fg_bias for labels that are there.

    label_type IMAGE: bottom 1 lists each item's labels, and the biases hold everywhere; PIXEL: it is a
    map of labels, the background's bias holds where a pixel has a label, a foreground's where it is
    that label. Labels in ignore_label add nothing.
    """

    deterministic = repeatable = capturable = True

    def setup(self, bottom, top):
        if not 0 < self.param.bg_bias < self.param.fg_bias:
            raise self.error(
                f"0 < bg_bias < fg_bias must hold, got {self.param.bg_bias} and {self.param.fg_bias}"
            )
        if not 0 <= self.param.background_label < self.legacy_shape(bottom[0])[1]:
            raise self.error(f"background_label {self.param.background_label} is no channel")

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        num, _, height, width = self.shape
        if self.by_pixel() and bottom[1].count != num * height * width:
            raise self.error(
                f"label_type PIXEL wants a label for each of {num}x{height}x{width} positions, got "
                f"shape {list(bottom[1].shape)}"
            )

    def by_pixel(self) -> bool:
        """Whether bottom 1 is a map of labels."""
        return self.param.label_type == self.param.PIXEL

    def forward(self, bottom, top):
        p, (num, classes, height, width) = self.param, self.shape
        label = bottom[1].x.long().view(num, 1, -1)
        counts = torch.ones_like(label, dtype=torch.bool)
        for ignored in p.ignore_label:
            counts &= label != ignored
        label = torch.where(counts, label, p.background_label)
        if label.numel():
            self.check_range(label, self.check_extremes)
        if context.on_gpu():  # the error is deferred
            label = label.clamp(0, classes - 1)
        foreground = counts & (label != p.background_label)
        if self.by_pixel():
            plane = height * width
            bias = top[0].x.new_zeros((num, classes, plane))
            bias.scatter_add_(1, label, (foreground * p.fg_bias).to(bias.dtype))
            bias[:, p.background_label] += (counts[:, 0] * p.bg_bias).to(bias.dtype)
            bias = bias.view(self.shape)
        else:
            bias = top[0].x.new_zeros((num, classes))
            bias.scatter_add_(1, label[:, 0], (foreground[:, 0] * p.fg_bias).to(bias.dtype))
            bias[:, p.background_label] += p.bg_bias
            bias = bias[:, :, None, None]
        torch.add(bottom[0].x.view(self.shape), bias, out=top[0].x)

    def check_extremes(self, low: int, high: int) -> None:
        """Raise ValueError for a label that is no class."""
        if low < 0 or high >= self.shape[1]:
            raise self.error(
                f"labels {low}..{high} are not all of {self.shape[1]} channels: what does not count "
                f"belongs into ignore_label, which is {list(self.param.ignore_label)}"
            )

    def backward(self, top, propagate_down, bottom):
        self.no_gradient(propagate_down)
        if propagate_down[0]:
            bottom[0].dx = top[0].dx.clone().view(tuple(bottom[0].shape))


@register
class AdaptiveBiasChannel(LabelledScores):
    """Scores shifted so that each label that is there wins on its share of the cells.

    Bottom 1 lists each item's labels, -1 for none. Absent labels' scores are clipped below the present
    ones', margin_others lower; then num_iter rounds over the labels, the background first, the others
    in random order, each raised until bg_portion or fg_portion of the cells are its. Later versions
    of DeepLab shift all present labels back afterwards, which changes no maximum. Gradient: 0.
    """

    draws_random = True

    def setup(self, bottom, top):
        p = self.param
        if p.num_iter < 1 or p.margin_others < 0:
            raise self.error(
                f"num_iter must be above 0 and margin_others not below, got {p.num_iter} and "
                f"{p.margin_others}"
            )
        if not (0 <= p.bg_portion <= 1 and 0 <= p.fg_portion <= 1):
            raise self.error(
                f"bg_portion and fg_portion lie in 0..1, got {p.bg_portion} and {p.fg_portion}"
            )

    def forward(self, bottom, top):
        num, classes, *_ = self.shape
        top[0].x.copy_(bottom[0].x.view(self.shape))
        # the host orders the rounds: labels are few
        for y, row in zip(top[0].x.flatten(2), bottom[1].x.view(num, -1).long().tolist()):
            labels = sorted({label for label in row if label != -1})
            if labels and not (labels[0] >= 0 and labels[-1] < classes):
                raise self.error(f"labels {labels} are not all of {classes} channels; -1 is none")
            if labels:
                self.adapt(y, labels)

    def adapt(self, y: torch.Tensor, labels: list[int]) -> None:
        """Shift one item's scores (C, cells), in place."""
        p = self.param
        if p.suppress_others:
            least = y[labels].amin(0)
            absent = [label for label in range(len(y)) if label not in labels]
            clipped = torch.where(y[absent] > least, least - p.margin_others, y[absent])
            y[absent] = clipped
        best = y[labels].amax(0)
        first = labels[:1] if labels[0] == 0 else []
        others = labels[len(first) :]
        for _ in range(p.num_iter):
            order = torch.randperm(
                len(others), generator=context.generator(context.CPU), device="cpu"
            )
            for label in [*first, *(others[i] for i in order.tolist())]:
                lacking = best - y[label]
                portion = p.bg_portion if label == 0 else p.fg_portion
                nth = min(int(portion * lacking.numel()), lacking.numel() - 1)
                y[label] += lacking.kthvalue(nth + 1).values
                best = torch.maximum(best, y[label])

    def backward(self, top, propagate_down, bottom):
        self.no_gradient(propagate_down)
        if propagate_down[0]:
            bottom[0].dx.zero_()
