"""The embedded task: real handwritten digits on real photographs, in VOC's and SBD's own formats.

Small enough to train from nothing on two CPU cores in minutes; both sources come with scikit-learn.
"""

from typing import Any

from .. import voc
from ..record import DATA, Dataset, Tree, names

CLASSES = names("sample/classes.txt")  # 0 is background
MEAN = (76.0, 81.0, 75.0)  # BGR, of the training scenes, rounded
SCENES = DATA / "sample" / "scenes"  # where `fcn data sample` writes
HOW_TO_GET = "\nThe scenes are made by: fcn data sample"
PARAMS: dict[str, Any] = {"mean": MEAN, "classes": len(CLASSES)}


def add_data(n: Any, split: str) -> None:
    """Add the tops data and label to a NetSpec, of a net in a model's sample/ folder."""
    scenes = "../../data/sample/scenes"
    voc.add_data(n, split, sbdd_dir=f"{scenes}/sbd", voc_dir=f"{scenes}/voc", **PARAMS)


DATASET = Dataset(
    "sample",
    CLASSES,
    MEAN,
    trees=(
        Tree(voc.SBDDSegDataLayer, {"sbdd_dir": ("sample/scenes/sbd", "cls")}, ("train",), PARAMS),
        Tree(
            voc.VOCSegDataLayer,
            {"voc_dir": ("sample/scenes/voc", "SegmentationClass")},
            ("tune", "seg11valid"),
            PARAMS,
        ),
    ),
)
