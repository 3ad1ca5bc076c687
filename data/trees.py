"""The data sets as trees on disk: which data layer reads them, from where, which splits."""

from pathlib import Path
from typing import NamedTuple

import data.nyud
import data.sample
import data.siftflow
import data.voc
from data import FOLDER, SETS, DataError
from nyud_layers import NYUDSegDataLayer
from pascalcontext_layers import PASCALContextSegDataLayer
from siftflow_layers import SIFTFlowSegDataLayer
from voc_layers import SBDDSegDataLayer, VOCSegDataLayer

VOC_MEAN = (104.00699, 116.66877, 122.67892)
SAMPLE = {"mean": data.sample.MEAN, "classes": len(data.sample.CLASSES)}
NAMES = (*SETS, "sample")


class Tree(NamedTuple):
    layer: type  # its data layer
    folders: dict  # key of param_str -> (folder under data/, folder that must be in it)
    splits: tuple  # to check; the last is the one scored
    names: tuple  # of the classes
    params: dict = {}  # the rest of param_str


TREES = {
    "voc": (
        Tree(
            SBDDSegDataLayer,
            {"sbdd_dir": ("sbdd/dataset", "cls")},
            ("train",),
            data.voc.CLASSES,
            {"mean": VOC_MEAN},
        ),
        Tree(
            VOCSegDataLayer,
            {"voc_dir": ("pascal/VOC2011", "SegmentationClass")},
            ("seg11valid",),
            data.voc.CLASSES,
            {"mean": VOC_MEAN},
        ),
    ),
    "nyud": (
        Tree(
            NYUDSegDataLayer,
            {"nyud_dir": ("nyud", "segmentation")},
            ("trainval", "test"),
            data.nyud.CLASSES,
        ),
    ),
    "siftflow": (
        Tree(
            SIFTFlowSegDataLayer,
            {"siftflow_dir": ("sift-flow", "SemanticLabels")},
            ("trainval", "test"),
            data.siftflow.CLASSES,
        ),
    ),
    "pascalcontext": (
        Tree(
            PASCALContextSegDataLayer,
            {"voc_dir": ("pascal", "VOC2010"), "context_dir": ("pascal-context", "trainval")},
            ("train", "val"),
            data.pascalcontext.CLASSES,
        ),
    ),
    "sample": (
        Tree(
            SBDDSegDataLayer,
            {"sbdd_dir": ("sample/scenes/sbd", "cls")},
            ("train",),
            data.sample.CLASSES,
            SAMPLE,
        ),
        Tree(
            VOCSegDataLayer,
            {"voc_dir": ("sample/scenes/voc", "SegmentationClass")},
            ("tune", "seg11valid"),
            data.sample.CLASSES,
            SAMPLE,
        ),
    ),
}


def find(tree, folder=None):
    """The folders of a tree as keys of param_str: below `folder` as below data/, or itself one.

    None where there is none of them; DataError where some are there and others are not.
    """
    folder = Path(folder or FOLDER)
    found, looked = {}, []
    for key, (place, inside) in tree.folders.items():
        places = [folder / place, folder / Path(place).name, folder]
        looked += places
        here = [path for path in places if (path / inside).is_dir()]
        if here:
            found[key] = str(here[0])
    if not found:
        return None
    if len(found) < len(tree.folders):
        missing = ", ".join(tree.folders[key][0] for key in tree.folders.keys() - found.keys())
        raise DataError(f"no folder {missing} below {folder.absolute()}")
    return found


def readers(name, folder=None):
    """(tree, split, data layer to read it with) of every split of a set that is on disk.

    DataError where none is, telling the folders looked for.
    """
    result = []
    for tree in TREES[name]:
        folders = find(tree, folder)
        if folders is None:
            continue
        for split in tree.splits:
            params = {**tree.params, **folders, "split": split}
            if tree.layer is NYUDSegDataLayer:
                root = Path(folders["nyud_dir"])
                params["tops"] = ["color", "label"]
                params["tops"] += [t for t in ("depth", "hha") if (root / "data" / t).is_dir()]
            result.append((tree, split, tree.layer.reader(**params)))
    if not result:
        places = [place for tree in TREES[name] for place, _ in tree.folders.values()]
        at = Path(folder or FOLDER).absolute()
        how = "python -m data.sample" if name == "sample" else f"see data/{name}/README.md"
        raise DataError(f"{name} is not below {at} (looked for {', '.join(places)}): {how}")
    return result
