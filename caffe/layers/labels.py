"""Labels of a loss or an accuracy: one class number for each position of a score map."""

from __future__ import annotations

import math

import torch

from .. import context
from ..blob import Blob


class Labels:
    """Scores seen as (outer, classes, inner), and the labels that belong to each (outer, inner)."""

    def __init__(self, layer, bottom, axis, flat=False):
        """`axis` of bottom 0 runs over the classes; `flat`: everything from there on does."""
        self.layer = layer
        shape = bottom[0].shape
        self.outer = math.prod(shape[:axis])
        self.classes = math.prod(shape[axis:]) if flat else shape[axis]
        self.inner = 1 if flat else math.prod(shape[axis + 1 :])
        if self.outer * self.inner != bottom[1].count:
            raise layer.error(
                f"{self.outer * self.inner} labels are needed, one for each position of scores of "
                f"shape {list(shape)} with the classes on axis {axis}; the label blob has shape "
                f"{list(bottom[1].shape)}, that is {bottom[1].count}"
            )

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Scores as (outer, classes, inner)."""
        return x.view(self.outer, self.classes, self.inner)

    def read(self, blob: Blob, ignored: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels as (outer, 1, inner) integers, ignored ones as 0, and which are not ignored (as 0
        and 1 of the blob's number type). Raises ValueError for a label that names no class."""
        label = blob.x.view(self.outer, 1, self.inner).long()  # truncates towards zero
        if ignored is None:
            valid = torch.ones_like(label, dtype=blob.x.dtype)
        else:
            valid = label != ignored
            label, valid = label * valid, valid.to(blob.x.dtype)
        if label.numel():
            self.layer.check_range(label, lambda low, high: self.judge(low, high, ignored))
        if context.is_apart():  # not told yet: nobody may read beyond the scores until then
            label = label.clamp(0, self.classes - 1)
        return label, valid

    def judge(self, low: int, high: int, ignored: int | None) -> None:
        """Raise ValueError for a label that names no class."""
        wrong = [str(v) for v in sorted({low, high}) if not 0 <= v < self.classes]
        if not wrong:
            return
        instead = "none is given" if ignored is None else f"it is {ignored}"
        raise self.layer.error(
            f"label {' and '.join(wrong)} is out of range: {self.classes} classes allow "
            f"0..{self.classes - 1}; positions that do not count need loss_param or accuracy_param "
            f"{{ ignore_label }} ({instead})"
        )
