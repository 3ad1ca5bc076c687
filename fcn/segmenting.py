"""A model with its weights, ready to segment pictures: what `fcn figure` and `fcn serve` have in common."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import caffe
from fcn import models, prototxts, weights
from fcn.infer import MAX_PIXELS, input_kinds, segment_inputs
from fcn.tasks import task_of


class Answer(NamedTuple):
    """What one score of a net says of a picture."""

    ending: str  # of its blob's name: "" for a net's only scores, "_sem", "_geo"
    classes: np.ndarray  # H x W uint8, a class a pixel
    names: tuple[str, ...]


class Ready(NamedTuple):
    """A model that reads one picture, filled with weights."""

    model: str
    prototxt: Path
    net: caffe.Net
    kind: str  # what it reads: a key of fcn.inputs.READ
    mean: Sequence[float]
    names: dict[str, tuple[str, ...]]  # ending -> class names

    def segment(self, image: np.ndarray, max_pixels: int = MAX_PIXELS) -> list[Answer]:
        """Each score's classes for a picture as READ gives it; larger ones at a smaller scale.

        Raises NotFinite if the scores are no numbers, and MemoryError.
        """
        blob = self.net.inputs[0]
        found = segment_inputs(self.net, {blob: image}, {blob: self.kind}, self.mean, max_pixels)
        return [Answer(end, classes, self.names[end]) for end, classes in found.items()]


def ready(model: str, file: Path | None = None, sample: bool = False) -> Ready:
    """A model filled with a weights file, or with its own by name.

    ValueError for a model that reads more than one picture, FileNotFoundError without weights.
    """
    name = models.model_name(model)
    prototxt = models.prototxt_of(name, sample)
    kinds = list(input_kinds(prototxt).values())
    if len(kinds) != 1:
        raise ValueError(
            f"{name} reads {' and '.join(kinds)}, and only models that read one picture are taken "
            "here; fcn infer takes this one"
        )
    file = weights.given_or_found(file, name, sample)
    task, net = task_of(name, sample), prototxts.load(prototxt, file)
    ends = [blob.removeprefix("score") for blob in net.outputs]
    return Ready(
        name, prototxt, net, kinds[0], task.mean, {end: task.names_of(end) for end in ends}
    )
