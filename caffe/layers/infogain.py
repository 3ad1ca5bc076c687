"""InfogainLoss (src/caffe/layers/infogain_loss_layer.cpp)."""

from __future__ import annotations

import os

import torch

from .. import context
from ..files import allowed
from ..files.read import read_blob_proto
from ..layer import register
from .labels import Labels
from .loss import LOG_THRESHOLD, MODE, Loss, divisor


@register
class InfogainLoss(Loss):
    """-sum over k of H[label, k] * log softmax(x)[k]: H is an infogain matrix of classes x classes,
    the third bottom or a binaryproto file."""

    num_bottom, num_top = (2, 3), (1, 2)

    def setup(self, bottom, top):
        if self.layer_param.loss_param.HasField("normalize"):
            raise self.error("normalize is not supported here: state normalization instead")
        self.matrix = self.read_matrix() if len(bottom) < 3 else None
        self.log_softmax()

    def read_matrix(self) -> torch.Tensor:
        """The infogain matrix in the file that `source` names, flat."""
        source = os.fsdecode(self.param.source)
        if not source:
            raise self.error(
                "an infogain matrix is needed: a third bottom or infogain_loss_param.source"
            )
        try:
            proto = read_blob_proto(allowed.to_read(source))
        except (OSError, RuntimeError, ValueError) as error:
            raise self.error(f"infogain matrix: {error}") from error
        values = list(proto.double_data or proto.data)
        return torch.tensor(values, dtype=torch.float32, device=context.CPU)

    def reshape(self, bottom, top):
        super().reshape(bottom, top)
        along = self.axis(bottom[0], self.param.axis)
        self.labels = Labels(self, bottom, along)
        classes = self.labels.classes
        count = self.matrix.numel() if self.matrix is not None else bottom[2].count
        if count != classes**2:
            raise self.error(
                f"the infogain matrix must have {classes} x {classes} values, it has {count}"
            )
        if len(top) > 1:
            top[1].set_shape(bottom[0].shape)

    def forward(self, bottom, top):
        labels = self.labels
        if self.matrix is not None:
            self.matrix = self.matrix.to(bottom[0].x)  # to the device once
        matrix = bottom[2].x if self.matrix is None else self.matrix
        self.label, self.valid = labels.read(bottom[1], self.ignored)
        self.prob = torch.softmax(labels.scores(bottom[0].x), 1)
        rows = matrix.view(labels.classes, -1)[self.label[:, 0]]  # (outer, inner, C)
        self.rows = rows.movedim(2, 1) * self.valid
        self.divisor = divisor(
            self.normalization(MODE.VALID),
            labels.outer * labels.inner,
            self.valid.sum(),
            labels.outer,
        )
        total = (self.rows * self.prob.clamp(min=LOG_THRESHOLD).log()).sum()
        top[0].x.copy_(total / -self.divisor)
        if len(top) > 1:
            labels.scores(top[1].x).copy_(self.prob)

    def backward(self, top, propagate_down, bottom):
        for i in range(1, len(bottom)):
            self.check_no_gradient(propagate_down, i)
        if propagate_down[0]:
            dx = self.prob * self.rows.sum(1, keepdim=True) - self.rows
            torch.mul(dx, top[0].dx / self.divisor, out=self.labels.scores(bottom[0].dx))
