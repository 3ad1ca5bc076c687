"""The loss of points, tags and objectness (Bearman et al. 2016): SoftmaxWithLossExpectation of
whats-the-point (softmax_loss_expectation_layer.cu)."""

from __future__ import annotations

import torch

from ...layer import register
from ..loss import FLT_MIN, Loss

VOID = 255  # no click here


@register
class SoftmaxWithLossExpectation(Loss):
    """Four terms on scores (1, C, H, W), each divided by its number and left out by a switch.

    Bottom 1 has three channels, or four: clicked pixels' classes, 255 elsewhere; objectness, 0..255; in
    the first row the foreground classes that are there, ended by 0; weights of clicks, 0..255, with
    ignore_rank: false. With S the softmax and s(c) the pixel where S_c is largest:
    classes: -log S_c(s(c)) of what is there, the background too; constraint: -log(1 - S_c(s(c))) of
    what is not; clicks: -w log S of their class (ignore_location); objectness, where none is:
    -P log S_0 - (1 - P) log(1 - S_0), P = 1 - (objectness + 1) / 257.
    """

    fork = "whats-the-point"

    def setup(self, bottom, top):
        self.log_softmax()
        if self.layer_param.loss_param.is_siftflow:
            raise self.error("is_siftflow is not known here", NotImplementedError)

    def reshape(self, bottom, top):
        scores, labels = list(bottom[0].shape), list(bottom[1].shape)
        fits = len(scores) == len(labels) == 4 and scores[0] == labels[0] == 1
        wanted = 3 if self.layer_param.loss_param.ignore_rank else 4
        if not fits or scores[2:] != labels[2:] or labels[1] < wanted:
            raise self.error(
                f"needs scores (1, C, H, W) and labels (1, {wanted}, H, W), got shapes {scores} and "
                f"{labels}"
            )
        self.classes = scores[1]
        top[0].set_shape([])

    def forward(self, bottom, top):
        p, labels = self.layer_param.loss_param, bottom[1].x[0].flatten(1)
        self.prob = torch.softmax(bottom[0].x[0].flatten(1), 0)
        self.slope = torch.zeros_like(self.prob)  # of the loss by the probabilities, times them
        total = self.prob.new_zeros(())
        if not p.ignore_classes or not p.ignore_constraint:
            total = total + self.of_maxima(bottom[1].x[0, 2, 0].long())
        clicked = labels[0] != VOID
        if not p.ignore_location:
            total = total + self.of_clicks(labels, clicked)
        if not p.ignore_objectness:
            total = total + self.of_objectness(labels[1], ~clicked)
        top[0].x.copy_(total)

    def of_maxima(self, row: torch.Tensor) -> torch.Tensor:
        """The terms of the classes that are there and of those that are not."""
        p = self.layer_param.loss_param
        listed = row * (row == 0).cumsum(0).eq(0)  # up to the first 0
        self.check_range(listed, self.check_extremes)
        there = torch.zeros(self.classes, dtype=torch.bool, device=row.device)
        there[listed.clamp(0, self.classes - 1)] = True
        there[0] = True
        best, where = self.prob.max(1)
        total = best.new_zeros(())
        for left_out, divides, mine, loss, slope in (
            (p.ignore_classes, p.normalize_classes, there, logs(best), torch.full_like(best, -1)),
            (
                p.ignore_constraint,
                p.normalize_constraint,
                ~there,
                logs(1 - best),
                best / (1 - best).clamp(min=FLT_MIN),
            ),
        ):
            if not left_out:
                share = mine / (mine.sum().clamp(min=1) if divides else 1)
                total = total - (loss * share).sum()
                self.slope.scatter_add_(1, where[:, None], (slope * share)[:, None])
        return total

    def of_clicks(self, labels: torch.Tensor, clicked: torch.Tensor) -> torch.Tensor:
        """The term of the clicked pixels."""
        p = self.layer_param.loss_param
        label = (labels[0] * clicked).long()
        self.check_range(label, self.check_extremes)
        label = label.clamp(0, self.classes - 1)[None]
        weight = clicked.to(labels.dtype) if p.ignore_rank else clicked * labels[3] / 255
        if p.normalize_supervised:
            weight = weight / weight.sum().clamp(min=FLT_MIN)
        self.slope.scatter_add_(0, label, -weight[None])
        return -(logs(self.prob.gather(0, label)[0]) * weight).sum()

    def of_objectness(self, objectness: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """The term of the other pixels: background or not, by how much like an object they look."""
        p, background = self.layer_param.loss_param, self.prob[0]
        prior = 1 - (objectness + 1) / 257
        share = counts / (counts.sum().clamp(min=1) if p.normalize_objectness else 1)
        rest = (1 - background).clamp(min=FLT_MIN)
        self.slope[0] += ((1 - prior) * background / rest - prior) * share
        return -((prior * logs(background) + (1 - prior) * logs(rest)) * share).sum()

    def check_extremes(self, low: int, high: int) -> None:
        """Raise ValueError for a label that is no class."""
        if low < 0 or high >= self.classes:
            raise self.error(f"labels {low}..{high} are not all of {self.classes} classes")

    def backward(self, top, propagate_down, bottom):
        self.check_no_gradient(propagate_down)
        if propagate_down[0]:
            dx = self.slope - self.prob * self.slope.sum(0)
            bottom[0].dx = (dx * top[0].dx).view(tuple(bottom[0].shape))


def logs(x: torch.Tensor) -> torch.Tensor:
    """Logarithms of probabilities, kept above FLT_MIN."""
    return x.clamp(min=FLT_MIN).log()
