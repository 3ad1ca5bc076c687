"""The embedded task: real handwritten digits on real photographs, in VOC's and SBD's own formats.

It is small enough to train from nothing on two CPU cores in minutes. Handwriting and photographs
come with scikit-learn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import caffe
from fcn import places
from fcn.datasets import voc
from fcn.datasets.dataset import Dataset, Tree, class_names

CLASSES = class_names("sample/classes.txt")  # 0 is background
MEAN = (76.0, 81.0, 75.0)  # BGR, of the training scenes, rounded
_PARAMS: dict[str, Any] = {"mean": MEAN, "classes": len(CLASSES)}


def add_data_layer(n: caffe.NetSpec, split: str, data: str = "../../data") -> None:
    """Add data and label. Scenes are in SBD's and VOC's formats, so VOC's data layers read them."""
    sbd, pascal = (f"{places.SCENES}/{tree}" for tree in ("sbd", "voc"))
    voc.add_data_layer(n, split, data, sbd, pascal, **_PARAMS)


@contextmanager
def tells_how_to_get_scenes(embedded: bool) -> Iterator[None]:
    """Adds to a FileNotFoundError, on the embedded task, the command that makes the scenes."""
    try:
        yield
    except FileNotFoundError as error:
        if not embedded:
            raise
        raise FileNotFoundError(f"{error}\nThe scenes are made by: fcn data sample") from None


SAMPLE = Dataset(
    name="sample",
    classes=CLASSES,
    mean=MEAN,
    nets=voc.VOC.nets,
    add_data_layer=add_data_layer,
    trees=(
        Tree(
            voc.SBDDSegDataLayer, {"sbdd_dir": (f"{places.SCENES}/sbd", "cls")}, ("train",), _PARAMS
        ),
        Tree(
            voc.VOCSegDataLayer,
            {"voc_dir": (f"{places.SCENES}/voc", "SegmentationClass")},
            ("tune", "seg11valid"),
            _PARAMS,
        ),
    ),
    how_to_get="fcn data sample",
)
