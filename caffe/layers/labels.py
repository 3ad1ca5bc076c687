"""Labels of a loss or an accuracy: one class number for each position of a score map."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence

import torch

from .. import context
from ..blob import Blob
from ..layer import Layer


class Labels:
    """Scores as (outer, classes, inner), and a label for each (outer, inner) position.

    outer: the axes before the classes, inner: those behind.
    """

    def __init__(self, layer: Layer, bottom: Sequence[Blob], axis: int, flat: bool = False) -> None:
        """Bottom 0 holds scores, bottom 1 labels.

        `axis` of the scores runs over the classes; with `flat`, so do all axes behind it.
        """
        self.layer: Layer = weakref.proxy(layer)  # which holds this
        shape = bottom[0].shape
        self.outer = math.prod(shape[:axis])
        self.classes = math.prod(shape[axis:]) if flat else shape[axis]
        self.inner = 1 if flat else math.prod(shape[axis + 1 :])
        if self.outer * self.inner != bottom[1].count:
            names = [*layer.layer_param.bottom, "bottom 0", "bottom 1"]
            raise layer.error(
                f"{self.outer * self.inner} labels are needed, one for each position of scores of "
                f"shape {list(shape)} ('{names[0]}') with the classes on axis {axis}; the label blob "
                f"'{names[1]}' has shape {list(bottom[1].shape)}, that is {bottom[1].count}"
                f"{self._hint(bottom)}"
            )

    def _hint(self, bottom: Sequence[Blob]) -> str:
        """The usual reason for maps that differ in size."""
        scores, labels = bottom[0].shape, bottom[1].shape
        if len(scores) != 4 or len(labels) != 4 or scores[:1] != labels[:1]:
            return ""
        if labels[1] != 1:
            return f"; {labels[1]} channels of labels look like a picture in colours, not class numbers"
        if labels[2] >= scores[2] and labels[3] >= scores[3]:
            return "; the scores are smaller: an upsampling is missing, or pads too little"
        return "; a Crop of the scores to the size of the data is missing, or the masks are smaller"

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """A view of a tensor of the scores' shape as (outer, classes, inner)."""
        return x.view(self.outer, self.classes, self.inner)

    def read(self, blob: Blob, ignored: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(labels, which count), both (outer, 1, inner).

        Labels are integers, those equal to `ignored` 0; what counts is 1, what is ignored 0, in the
        blob's number type. ValueError, on a GPU deferred, for a label that is no class.
        """
        label = blob.x.view(self.outer, 1, self.inner).long()  # truncates towards zero
        if ignored is None:
            valid = torch.ones_like(label, dtype=blob.x.dtype)
        else:
            valid = label != ignored
            label, valid = label * valid, valid.to(blob.x.dtype)
        if label.numel():
            self.layer.check_range(label, self.check_extremes, ignored)
        if context.on_gpu():  # the error is deferred; until then no label may index out of bounds
            label = label.clamp(0, self.classes - 1)
        return label, valid

    def check_extremes(self, low: int, high: int, ignored: int | None) -> None:
        """Raise ValueError unless the least and the largest label are classes."""
        wrong = [str(v) for v in sorted({low, high}) if not 0 <= v < self.classes]
        if not wrong:
            return
        instead = "none is given" if ignored is None else f"it is {ignored}"
        raise self.layer.error(
            f"label {' and '.join(wrong)} is out of range: {self.classes} classes allow "
            f"0..{self.classes - 1}; positions that do not count need loss_param or accuracy_param "
            f"{{ ignore_label }} ({instead})"
        )
