"""Accuracy and ArgMax (src/caffe/layers/accuracy_layer.cpp, argmax_layer.cpp)."""

from __future__ import annotations

import torch

from ..blob import Blob
from ..layer import Layer, register
from .labels import Labels


@register
class Accuracy(Layer):
    """Share of the positions whose class is among the top_k; second top: the same for each class.

    A tie with the true class counts against it. Nothing to count gives 0.
    """

    num_bottom, num_top = 2, (1, 2)
    deterministic = capturable = True

    def setup(self, bottom, top):
        if self.param.top_k < 1:
            raise self.error("top_k must be at least 1")

    def reshape(self, bottom, top):
        self.labels = Labels(self, bottom, self.axis(bottom[0], self.param.axis))
        if self.param.top_k > self.labels.classes:
            raise self.error(f"top_k {self.param.top_k} exceeds the {self.labels.classes} classes")
        top[0].set_shape([])
        if len(top) > 1:
            top[1].set_shape([self.labels.classes])

    def forward(self, bottom, top):
        ignored = self.param.ignore_label if self.param.HasField("ignore_label") else None
        label, valid = self.labels.read(bottom[1], ignored)
        scores = self.labels.scores(bottom[0].x)
        rivals = (scores >= scores.gather(1, label)).sum(1, keepdim=True) - 1
        correct = (rivals < self.param.top_k) * valid
        top[0].x.copy_(correct.sum() / valid.sum().clamp(min=1))
        if len(top) > 1:
            per_class = torch.zeros_like(top[1].x)
            hits = per_class.scatter_add(0, label.view(-1), correct.view(-1))
            counts = per_class.scatter_add(0, label.view(-1), valid.view(-1))
            top[1].x.copy_(hits / counts.clamp(min=1))

    def backward(self, top, propagate_down, bottom):
        if any(propagate_down):
            raise self.error(
                "has no gradient, but force_backward asks for one: leave the layer out of such a "
                "net, or include it in the TEST phase only",
                NotImplementedError,
            )


@register
class ArgMax(Layer):
    """The top_k largest values' indices, larger ones first; of equal values the larger index.

    Without `axis`: over everything but the first axis, top (N, 1, k), with out_max_val (N, 2, k),
    indices and values. With `axis`: that axis shrinks to k; out_max_val gives values only.
    """

    num_bottom = num_top = 1
    deterministic = True

    def setup(self, bottom, top):
        size = self.rows(bottom[0]).shape[-1]
        if not 1 <= self.param.top_k <= size:
            raise self.error(f"top_k must lie between 1 and {size}, got {self.param.top_k}")

    def rows(self, blob: Blob) -> torch.Tensor:
        """What is compared, along the last axis."""
        if not self.param.HasField("axis"):
            return blob.x.flatten(1) if blob.num_axes > 1 else blob.x.view(-1, 1)
        return blob.x.movedim(self.axis(blob, self.param.axis), -1)

    def reshape(self, bottom, top):
        k, shape = self.param.top_k, list(bottom[0].shape)
        if self.param.HasField("axis"):
            shape[self.axis(bottom[0], self.param.axis)] = k
        else:
            shape = [shape[0], 1 + self.param.out_max_val, k] + [1] * (len(shape) - 3)
        top[0].set_shape(shape)

    def forward(self, bottom, top):
        rows = self.rows(bottom[0])
        # a stable sort of the reversed row puts the larger index of equal values first
        values, order = rows.flip(-1).sort(dim=-1, descending=True, stable=True)
        k = self.param.top_k
        values, index = values[..., :k], rows.shape[-1] - 1 - order[..., :k]
        if self.param.HasField("axis"):
            picked = values if self.param.out_max_val else index
            picked = picked.movedim(-1, self.axis(bottom[0], self.param.axis))
        else:
            parts = [index.to(values.dtype)] + [values] * self.param.out_max_val
            picked = torch.stack(parts, 1)
        top[0].x.copy_(picked.reshape(tuple(top[0].shape)))

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            raise self.error(
                "has no gradient, but force_backward asks for one", NotImplementedError
            )
