"""The data sets as the nets see them: data layers, classes, splits, means.

Paths are relative to the model folder, in which Caffe runs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import data.nyud
import data.pascalcontext
import data.sample
import data.siftflow
import data.voc
from caffe import layers as L


class Task(NamedTuple):
    """One data set: what net.py builds for and what infer.py and score.py have to know."""

    names: tuple  # of the classes, by index
    nets: dict  # prototxt's stem -> split, the one scored last
    data: Callable  # data(n, split, ...) adds the data layer's tops to a NetSpec
    mean: tuple  # of the pictures, BGR
    body: dict = {}  # how the body differs from VGG-16
    normalize: bool = False  # the loss, over the pixels
    geo_names: tuple = ()  # of the second task's classes

    @property
    def classes(self):
        return len(self.names)

    def names_of(self, score):
        """The class names of a score blob, `score_geo` being the second task's."""
        return self.geo_names if score.endswith("_geo") else self.names


def python_data(n, blobs, module, layer, **params):
    """Add the tops of a Python data layer, whose param_str is the text of a dict."""
    made = L.Python(module=module, layer=layer, ntop=len(blobs), param_str=repr(params))
    for name, top in zip(blobs, made):
        n[name] = top


def voc_data(
    n,
    split,
    sbdd_dir="../data/sbdd/dataset",
    voc_dir="../data/pascal/VOC2011",
    mean=(104.00699, 116.66877, 122.67892),
    **more,
):
    """Train on SBD, which labels ten times as many pictures, and score on VOC."""
    params = dict(split=split, mean=mean, seed=1337, **more)
    if split == "train":
        params["sbdd_dir"], layer = sbdd_dir, "SBDDSegDataLayer"
    else:
        params["voc_dir"], layer = voc_dir, "VOCSegDataLayer"
    python_data(n, ["data", "label"], "voc_layers", layer, **params)


def sample_data(n, split):
    """Scenes of the embedded task, in SBD's and VOC's own formats."""
    scenes = "../../data/sample/scenes"
    dirs = dict(sbdd_dir=f"{scenes}/sbd", voc_dir=f"{scenes}/voc")
    voc_data(n, split, **dirs, mean=data.sample.MEAN, classes=len(data.sample.CLASSES))


def nyud_data(n, split, tops, blobs=None):
    """`tops`: which of color, depth, hha and label to read; `blobs`: their names in the net."""
    params = dict(nyud_dir="../data/nyud", split=split, tops=tops, seed=1337)
    python_data(n, blobs or tops, "nyud_layers", "NYUDSegDataLayer", **params)


def siftflow_data(n, split):
    params = dict(siftflow_dir="../data/sift-flow", split=split, seed=1337)
    python_data(n, ["data", "sem", "geo"], "siftflow_layers", "SIFTFlowSegDataLayer", **params)


def pascalcontext_data(n, split):
    params = dict(voc_dir="../data/pascal", context_dir="../data/pascal-context", split=split)
    layer = "PASCALContextSegDataLayer"
    python_data(n, ["data", "label"], "pascalcontext_layers", layer, **params, seed=1337)


TRAIN_VAL = {"train": "train", "val": "val"}
TRAIN_SEG11VALID = {"train": "train", "val": "seg11valid"}
TRAINVAL_TEST = {"trainval": "trainval", "test": "test"}

VOC = Task(data.voc.CLASSES, TRAIN_SEG11VALID, voc_data, (104.00699, 116.66877, 122.67892))
NYUD = Task(data.nyud.CLASSES, TRAINVAL_TEST, nyud_data, (116.190, 97.203, 92.318))
SIFTFLOW = Task(
    data.siftflow.CLASSES,
    TRAINVAL_TEST,
    siftflow_data,
    (114.578, 115.294, 108.353),
    geo_names=data.siftflow.GEO_CLASSES,
)
PASCALCONTEXT = Task(
    data.pascalcontext.CLASSES, TRAIN_VAL, pascalcontext_data, (104.007, 116.669, 122.679)
)
# Trained from nothing in minutes: an eighth as wide, fc6 3x3, and no Dropout, as the net is small
# and the pictures are many. Raw pixels are about 60 times as large as any later blob, so the first
# convolution's rate is that much smaller, squared.
SAMPLE = Task(
    data.sample.CLASSES,
    TRAIN_SEG11VALID,
    sample_data,
    data.sample.MEAN,
    body=dict(narrow=8, fc6=3, drop=0, first_rate=1 / 3600),
    normalize=True,
)
BY_NAME = {"voc": VOC, "nyud": NYUD, "siftflow": SIFTFLOW, "pascalcontext": PASCALCONTEXT}


def task_of(model, sample=False):
    """The task of a model folder, which its name begins with.

    >>> task_of("nyud-fcn32s-hha").classes
    40
    """
    name = Path(model).name.partition("-")[0]
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise ValueError(f"model {model!r}: its name begins with none of {known}")
    return SAMPLE if sample else BY_NAME[name]
