"""PASCAL VOC 2011 segmentation, and SBD, which annotates more of its pictures.

20 classes on a background: labels 0 (background) to 20, void 255 at object borders (VOC).
"""

from pathlib import Path
from typing import Any

import numpy as np

from .layer import SegDataLayer
from .record import (
    Dataset,
    Source,
    Tree,
    compare,
    names,
    python_data,
    read_ids,
    require_folder,
    write_ids,
)

CLASSES = names("voc/classes.txt")
MEAN = (104.00699, 116.66877, 122.67892)  # BGR
# (count, digest) of the pictures that VOC2011 labels for validation and SBD does not train on
SEG11VALID = (736, "33d3d44294e02741ecd3877459009a5d5f937069edde1a441bfcd5f38029d59b")
VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
BERKELEY = "eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours"


class VOCSegDataLayer(SegDataLayer):
    """Tops data, label from a VOC tree. param_str: voc_dir, split, mean (BGR); seed, randomize."""

    dataset = "voc"
    required = ("voc_dir", "split", "mean")
    classes = len(CLASSES)
    files = {
        "split": "{voc_dir}/ImageSets/Segmentation/{split}.txt",
        "data": "{voc_dir}/JPEGImages/{id}.jpg",
        "label": "{voc_dir}/SegmentationClass/{id}.png",
    }

    def configure(self, params):
        if self.split == "segvalid11":  # so the original's scripts call it
            self.split = "seg11valid"
        mean = np.asarray(self.mean)
        if mean.shape not in ((), (3,)) or mean.dtype.kind not in "if":
            raise self.fail(ValueError, f"mean must be three numbers (BGR), got {self.mean!r}")

    def load_image(self, idx):
        """3 x H x W float32, BGR minus mean."""
        return self.bgr("data", idx, self.mean)

    def load_label(self, idx):
        """1 x H x W uint8: palette indices."""
        return self.as_label(self.png_label("label", idx), "label", idx)


class SBDDSegDataLayer(VOCSegDataLayer):
    """Tops data, label from Hariharan et al.'s SBD. param_str as VOC, with sbdd_dir for voc_dir."""

    required = ("sbdd_dir", "split", "mean")
    files = {
        "split": "{sbdd_dir}/{split}.txt",
        "data": "{sbdd_dir}/img/{id}.jpg",
        "label": "{sbdd_dir}/cls/{id}.mat",
    }

    def load_label(self, idx):
        """1 x H x W uint8 from GTcls.Segmentation; SBD knows no void."""
        nested = self.mat("label", idx, "GTcls")
        try:
            values = nested[0]["Segmentation"][0]
        except (IndexError, ValueError, KeyError):
            text = f"{self.path('label', idx)}: GTcls holds no Segmentation ({self.readme()})"
            raise self.fail(ValueError, text) from None
        return self.as_label(np.asarray(values), "label", idx)


def add_data(
    n: Any,
    split: str,
    sbdd_dir: str = "../data/sbdd/dataset",
    voc_dir: str = "../data/pascal/VOC2011",
    mean: tuple[float, float, float] = MEAN,
    **more: Any,
) -> None:
    """Add the tops data and label to a NetSpec.

    Nets train on SBD, which labels ten times as many pictures, and are scored on VOC. Folders are
    relative to the model folder, in which Caffe runs.
    """
    params = dict(split=split, mean=mean, seed=1337, **more)
    if split == "train":
        params["sbdd_dir"], layer = sbdd_dir, "SBDDSegDataLayer"
    else:
        params["voc_dir"], layer = voc_dir, "VOCSegDataLayer"
    python_data(n, ["data", "label"], "voc_layers", layer, **params)


def prepare(folder: Path) -> None:
    """seg11valid: what VOC2011 labels for validation and SBD does not train on."""
    sbd = folder / "sbdd/dataset"
    require_folder(sbd, "voc")
    train = set(read_ids(sbd / "train.txt"))
    pascal = folder / "pascal"
    tree = pascal / "VOC2011"
    if not tree.exists() and (pascal / "VOC2012").is_dir():
        tree.symlink_to("VOC2012")  # it contains VOC2011's pictures under the same names
        print(f"{tree} is not there: VOC2012 stands in for it")
    require_folder(tree, "voc")
    lists = tree / "ImageSets/Segmentation"
    ids = [id for id in read_ids(lists / "val.txt") if id not in train]
    if tree.is_symlink():  # VOC2012 labels more; SBD covers VOC2011 as a whole
        known = set(read_ids(sbd / "val.txt"))
        ids = [id for id in ids if id in known]
    compare("seg11valid", ids, SEG11VALID)
    # for the data layer; where the original keeps it; and under the name its scripts ask for
    for path in (lists / "seg11valid.txt", pascal / "seg11valid.txt", folder / "segvalid11.txt"):
        write_ids(path, ids)


DATASET = Dataset(
    "voc",
    CLASSES,
    MEAN,
    trees=(
        Tree(SBDDSegDataLayer, {"sbdd_dir": ("sbdd/dataset", "cls")}, ("train",), {"mean": MEAN}),
        Tree(
            VOCSegDataLayer,
            {"voc_dir": ("pascal/VOC2011", "SegmentationClass")},
            ("seg11valid",),
            {"mean": MEAN},
        ),
    ),
    sources=(
        Source(
            "VOCtrainval_25-May-2011.tar",
            (f"{VOC}/voc2011/VOCtrainval_25-May-2011.tar",),
            "6c3384ef61512963050cb5d687e5bf1e",
            "JPEGImages",
            "pascal/VOC2011",
        ),
        Source(
            "benchmark.tgz",
            (f"https://www2.{BERKELEY}/benchmark.tgz", f"http://www.{BERKELEY}/benchmark.tgz"),
            "82b4d87ceb2ed10f6038a1cba92111cb",
            "cls",
            "sbdd/dataset",
        ),
    ),
    prepare=prepare,
)
