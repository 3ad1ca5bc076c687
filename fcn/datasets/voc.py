"""PASCAL VOC 2011 segmentation, and SBD, which labels ten times as many of its pictures.

20 classes on a background. Labels are 0 (background) to 20, and 255 (void) at object borders in VOC.
"""

from pathlib import Path
from typing import Any

import numpy as np

import caffe
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.dataset import SEED, Dataset, Source, Tree, add_python_layer, class_names
from fcn.datasets.splits import compare, read_ids, require_folder, write_ids

CLASSES = class_names("voc/classes.txt")
MEAN = (104.00699, 116.66877, 122.67892)  # BGR
SEG11VALID = (736, "33d3d44294e02741ecd3877459009a5d5f937069edde1a441bfcd5f38029d59b")
VOC_PAGE = "http://host.robots.ox.ac.uk/pascal/VOC"
SBD_PAGE = "eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours"


class VOCSegDataLayer(SegDataLayer):
    """Tops data, label from a VOC tree. param_str: voc_dir, split, mean (BGR); seed, randomize."""

    mean: Any
    dataset = "voc"
    required = ("voc_dir", "split", "mean")
    classes = len(CLASSES)
    files = {
        "split": "{voc_dir}/ImageSets/Segmentation/{split}.txt",
        "data": "{voc_dir}/JPEGImages/{id}.jpg",
        "label": "{voc_dir}/SegmentationClass/{id}.png",
    }

    def configure(self, params: dict[str, Any]) -> None:
        """Accept the original scripts' name of the split; check the mean."""
        if self.split == "segvalid11":
            self.split = "seg11valid"
        self.require_mean(self.mean)

    def load_image(self, idx: str) -> np.ndarray:
        """3 x H x W float32, BGR minus mean."""
        return self.load_bgr("data", idx, self.mean)

    def load_label(self, idx: str) -> np.ndarray:
        """1 x H x W uint8: palette indices."""
        return self.checked_label(self.load_png_label("label", idx), "label", idx)


class SBDDSegDataLayer(VOCSegDataLayer):
    """Tops data, label from Hariharan et al.'s SBD. param_str as VOC, with sbdd_dir for voc_dir."""

    required = ("sbdd_dir", "split", "mean")
    files = {
        "split": "{sbdd_dir}/{split}.txt",
        "data": "{sbdd_dir}/img/{id}.jpg",
        "label": "{sbdd_dir}/cls/{id}.mat",
    }

    def load_label(self, idx: str) -> np.ndarray:
        """1 x H x W uint8 from GTcls.Segmentation. SBD has no void."""
        nested = self.load_mat("label", idx, "GTcls")
        try:
            values = nested[0]["Segmentation"][0]
        except (IndexError, ValueError, KeyError):
            text = f"{self.path('label', idx)}: GTcls holds no Segmentation ({self.readme()})"
            raise self.failure(ValueError, text) from None
        return self.checked_label(np.asarray(values), "label", idx)


def add_data_layer(
    n: caffe.NetSpec,
    split: str,
    data: str = "../data",
    sbdd_dir: str = "sbdd/dataset",
    voc_dir: str = "pascal/VOC2011",
    mean: tuple[float, ...] = MEAN,
    **more: Any,
) -> None:
    """Add data and label: from SBD for the split `train`, from VOC for any other; both are below `data`."""
    params = dict(split=split, mean=mean, seed=SEED, **more)
    if split == "train":
        params["sbdd_dir"], layer = f"{data}/{sbdd_dir}", "SBDDSegDataLayer"
    else:
        params["voc_dir"], layer = f"{data}/{voc_dir}", "VOCSegDataLayer"
    add_python_layer(n, ["data", "label"], "voc_layers", layer, params)


def prepare(folder: Path) -> None:
    """Write seg11valid: the pictures that VOC2011 labels for validation and SBD does not train on."""
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
    if tree.is_symlink():  # VOC2012 labels more pictures; SBD lists all of VOC2011's
        known = set(read_ids(sbd / "val.txt"))
        ids = [id for id in ids if id in known]
    compare("seg11valid", ids, SEG11VALID)
    # where the data layer reads it; where the original keeps it; the name its scripts ask for
    for path in (lists / "seg11valid.txt", pascal / "seg11valid.txt", folder / "segvalid11.txt"):
        write_ids(path, ids)


VOC = Dataset(
    name="voc",
    classes=CLASSES,
    mean=MEAN,
    nets={"train": "train", "val": "seg11valid"},
    add_data_layer=add_data_layer,
    trees=(
        Tree(SBDDSegDataLayer, {"sbdd_dir": ("sbdd/dataset", "cls")}, ("train",), {"mean": MEAN}),
        Tree(
            VOCSegDataLayer,
            {"voc_dir": ("pascal/VOC2011", "SegmentationClass")},
            ("seg11valid",),
            {"mean": MEAN},
        ),
    ),
    how_to_get="see data/voc/README.md",
    sources=(
        Source(
            "VOCtrainval_25-May-2011.tar",
            (f"{VOC_PAGE}/voc2011/VOCtrainval_25-May-2011.tar",),
            "6c3384ef61512963050cb5d687e5bf1e",
            "JPEGImages",
            "pascal/VOC2011",
        ),
        Source(
            "benchmark.tgz",
            (f"https://www2.{SBD_PAGE}/benchmark.tgz", f"http://www.{SBD_PAGE}/benchmark.tgz"),
            "82b4d87ceb2ed10f6038a1cba92111cb",
            "cls",
            "sbdd/dataset",
        ),
    ),
    prepare=prepare,
)
