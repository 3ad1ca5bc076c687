"""The data sets as the nets see them: data layers, classes, splits, means.

Paths are relative to the model folder, in which Caffe runs.
"""

from pathlib import Path
from typing import Callable, NamedTuple

from caffe import layers as L

ROOT = Path(__file__).resolve().parent
BGR_MEAN = (104.00699, 116.66877, 122.67892)


class Task(NamedTuple):
    """One data set: what net.py builds for and what infer.py and score.py have to know."""

    folder: str  # in data/: README.md and classes.txt
    classes: int
    nets: dict  # prototxt's stem -> split, the one scored last
    data: Callable  # data(n, split, ...) adds the data layer's tops to a NetSpec
    mean: tuple = BGR_MEAN
    body: dict = {}  # how the body differs from VGG-16
    normalize: bool = False  # the loss, over the pixels

    def class_names(self, file="classes.txt"):
        """The names of the classes by index."""
        return (ROOT / "data" / self.folder / file).read_text().split("\n")[:-1]


def python_data(n, blobs, module, layer, **params):
    """Add the tops of a Python data layer, whose param_str is the text of a dict."""
    made = L.Python(module=module, layer=layer, ntop=len(blobs), param_str=repr(params))
    for name, top in zip(blobs, made):
        n[name] = top


def voc_data(n, split, root="../data"):
    """Train on SBD, which has ten times VOC's labels, and score on VOC."""
    params = dict(split=split, mean=BGR_MEAN, seed=1337)
    if split == "train":
        layer, params["sbdd_dir"] = "SBDDSegDataLayer", f"{root}/sbdd/dataset"
    else:
        layer, params["voc_dir"] = "VOCSegDataLayer", f"{root}/pascal/VOC2011"
    python_data(n, ["data", "label"], "voc_layers", layer, **params)


def sample_data(n, split):
    """Scenes of the embedded task, in SBD's and VOC's own formats."""
    voc_data(n, split, "../../data/sample")


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


TRAINVAL = {"trainval": "trainval", "test": "test"}
VOC = Task("pascal", 21, {"train": "train", "val": "seg11valid"}, voc_data)
SAMPLE = Task(
    "sample",
    11,
    {"train": "train", "val": "val"},
    sample_data,
    body=dict(narrow=8, fc6=3),
    normalize=True,
)
NYUD = Task("nyud", 40, TRAINVAL, nyud_data, (116.190, 97.203, 92.318))
SIFTFLOW = Task("sift-flow", 33, TRAINVAL, siftflow_data, (114.578, 115.294, 108.353))
PASCALCONTEXT = Task(
    "pascal-context",
    60,
    {"train": "train", "val": "val"},
    pascalcontext_data,
    (104.007, 116.669, 122.679),
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
