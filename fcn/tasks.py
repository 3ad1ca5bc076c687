"""The tasks that nets are built for: a data set, its splits, and how its nets differ."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .datasets import nyud, pascalcontext, sample, siftflow, voc
from .datasets.record import Dataset

TRAIN_VAL = {"train": "train", "val": "val"}
TRAIN_SEG11VALID = {"train": "train", "val": "seg11valid"}
TRAINVAL_TEST = {"trainval": "trainval", "test": "test"}


class Task(NamedTuple):
    """What net.py builds for, and what inference and scoring need to know."""

    dataset: Dataset
    nets: dict[str, str]  # prototxt's stem -> split; the one that is scored comes last
    data: Callable[..., None]  # data(n, split, ...) adds the data layer's tops to a NetSpec
    body: dict[str, Any] = {}  # how the body differs from VGG-16
    normalize: bool = False  # the loss, over the pixels

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, by label."""
        return self.dataset.classes

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.dataset.classes)

    @property
    def mean(self) -> tuple[float, float, float]:
        """The mean of the pictures, BGR."""
        return self.dataset.mean

    def names_of(self, score: str) -> tuple[str, ...]:
        """The class names of a score blob, `score_geo` being the second task's."""
        return self.dataset.classes_of(score)


VOC = Task(voc.DATASET, TRAIN_SEG11VALID, voc.add_data)
NYUD = Task(nyud.DATASET, TRAINVAL_TEST, nyud.add_data)
SIFTFLOW = Task(siftflow.DATASET, TRAINVAL_TEST, siftflow.add_data)
PASCALCONTEXT = Task(pascalcontext.DATASET, TRAIN_VAL, pascalcontext.add_data)
# Trained from nothing in minutes: an eighth as wide, fc6 3x3, and no Dropout, as the net is small
# and the pictures are many. Raw pixels are about 60 times as large as any later blob, so the first
# convolution's rate is that much smaller, squared.
SAMPLE = Task(
    sample.DATASET,
    TRAIN_SEG11VALID,
    sample.add_data,
    body=dict(narrow=8, fc6=3, drop=0, first_rate=1 / 3600),
    normalize=True,
)
BY_NAME = {task.dataset.name: task for task in (VOC, NYUD, SIFTFLOW, PASCALCONTEXT)}


def task_of(model: str | Path, sample: bool = False) -> Task:
    """The task of a model folder, which its name begins with. Raises ValueError for other names.

    >>> task_of("nyud-fcn32s-hha").classes
    40
    """
    name = Path(model).name.partition("-")[0]
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise ValueError(f"model {str(model)!r}: its name begins with none of {known}")
    return SAMPLE if sample else BY_NAME[name]
