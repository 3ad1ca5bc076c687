"""The tasks that nets are built for: a data set, and how body and loss differ from the published."""

from pathlib import Path
from typing import Any, NamedTuple

import caffe
from fcn.datasets import nyud, pascalcontext, sample, siftflow, voc
from fcn.datasets.dataset import Dataset


class Task(NamedTuple):
    """What net.py builds for, and what inference and scoring have to know."""

    dataset: Dataset
    body: dict = {}  # arguments of `nets.vgg16` that differ from the published net
    normalize: bool = False  # average the loss over the pixels instead of summing it

    @property
    def nets(self) -> dict[str, str]:
        """Prototxt's stem -> split: the net that is trained, then the one that is scored."""
        return self.dataset.nets

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.dataset.classes)

    @property
    def geo_classes(self) -> int:
        """The number of classes of the second, geometric labelling; 0 if there is none."""
        return len(self.dataset.geo_classes)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of the pictures, BGR."""
        return self.dataset.mean

    def data(self, n: caffe.NetSpec, split: str, *args: Any, **kwargs: Any) -> None:
        """Add the data layer's tops to a NetSpec."""
        self.dataset.add_data_layer(n, split, *args, **kwargs)

    def names_of(self, blob: str) -> tuple[str, ...]:
        """The class names of a score blob."""
        return self.dataset.names_of(blob)


VOC = Task(voc.VOC)
NYUD = Task(nyud.NYUD)
SIFTFLOW = Task(siftflow.SIFTFLOW)
PASCALCONTEXT = Task(pascalcontext.PASCALCONTEXT)
# The net is small and the pictures are many, so it learns from random weights in minutes: an eighth
# of the width, no Dropout, and fc6 4x4, the smallest with which every stride takes every size. Raw
# pixels are about 60 times as large as any later blob, so the rate of the first convolution is 60
# squared times smaller.
SAMPLE = Task(
    sample.SAMPLE, body=dict(narrow=8, fc6=4, drop=0, first_rate=1 / 3600), normalize=True
)
BY_NAME = {"voc": VOC, "nyud": NYUD, "siftflow": SIFTFLOW, "pascalcontext": PASCALCONTEXT}


def task_of(model: str, embedded: bool = False) -> Task:
    """The task of a model folder, whose name begins with the data set's; or the embedded task.

    ValueError for a folder of any other name.

    >>> task_of("nyud-fcn32s-hha").classes
    40
    """
    name = Path(model).name.partition("-")[0]
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise ValueError(f"model {model!r}: its name begins with none of {known}")
    return SAMPLE if embedded else BY_NAME[name]
