"""PASCAL-Context (Mottaghi et al.): 59 classes on a background, for the pictures of VOC2010.

Labels 0 (background) to 59, no void. On disk 459 labels, mapped by name through the set's own
lists.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .layer import SegDataLayer
from .record import (
    DataError,
    Dataset,
    Source,
    Tree,
    names,
    python_data,
    read_ids,
    require_folder,
)

CLASSES = names("pascalcontext/classes.txt")
MEAN = (104.007, 116.669, 122.679)  # BGR
COUNTS = {"train": 4998, "val": 5105}  # of the published splits, which are VOC2010's own
# The task's spelling -> the spelling in the list of all 459 labels
MAIN_NAMES = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
CONTEXT = "cs.stanford.edu/~roozbeh/pascal-context"


class PASCALContextSegDataLayer(SegDataLayer):
    """Tops data, label. param_str: voc_dir (holds VOC2010), context_dir, split; seed, randomize."""

    dataset = "pascalcontext"
    required = ("voc_dir", "context_dir", "split")
    classes = len(CLASSES)
    files = {
        "split": "{voc_dir}/VOC2010/ImageSets/Main/{split}.txt",
        "data": "{voc_dir}/VOC2010/JPEGImages/{id}.jpg",
        "label": "{context_dir}/trainval/{id}.mat",
    }
    mean = np.array(MEAN)

    def configure(self, params):
        self.classes = params.get("classes", len(self.labels_59) + 1)
        len(self.table)  # a list that is missing or does not fit is told at set-up

    def load_image(self, idx):
        """3 x H x W float32, BGR minus mean."""
        return self.bgr("data", idx, self.mean)

    def load_label(self, idx):
        """1 x H x W uint8: 0 background, 1 to 59."""
        values = self.mat("label", idx, "LabelMap").astype(np.int64)
        wrong = np.unique(values[(values < 0) | (values >= len(self.table))])
        if wrong.size:
            text = f"{self.path('label', idx)}: labels {wrong.tolist()} are not in labels.txt"
            raise self.fail(ValueError, f"{text} ({self.readme()})")
        return self.as_label(self.table[values], "label", idx)

    @cached_property
    def labels_400(self):
        """Name -> number, of the full set (459 of them, '400' in the original)."""
        return {name: number for number, name in self.names("labels.txt")}

    @cached_property
    def labels_59(self):
        """The task's names in order, those the full set spells otherwise in its spelling."""
        return [MAIN_NAMES.get(name, name) for _, name in self.names("59_labels.txt")]

    @cached_property
    def table(self):
        """Full label -> task label; what the task does not name is background."""
        table = np.zeros(max(self.labels_400.values()) + 1, np.uint8)
        absent = [name for name in self.labels_59 if name not in self.labels_400]
        if absent:
            raise self.fail(ValueError, f"labels.txt does not name {', '.join(absent)}")
        for task, name in enumerate(self.labels_59, 1):
            table[self.labels_400[name]] = task
        return table

    def names(self, list_name):
        """(number, name) of each `number: name` line; blanks in names are dropped."""
        path = Path(self.context_dir) / list_name
        if not path.is_file():
            raise self.missing(f"no list of labels: {path.absolute()} is not there")
        lines = [line.partition(":") for line in path.read_text().splitlines() if line.strip()]
        if not lines or not all(number.strip().isdigit() for number, _, _ in lines):
            raise self.fail(ValueError, f"{path}: lines must read `number: name`")
        return [(int(number), "".join(name.split())) for number, _, name in lines]


def add_data(n: Any, split: str) -> None:
    """Add the tops data and label to a NetSpec."""
    params = dict(voc_dir="../data/pascal", context_dir="../data/pascal-context", split=split)
    layer = "PASCALContextSegDataLayer"
    python_data(n, ["data", "label"], "pascalcontext_layers", layer, **params, seed=1337)


def prepare(folder: Path) -> None:
    """VOC2010's own lists are used; the lists of labels are put where the data layer looks."""
    require_folder(folder / "pascal/VOC2010", "pascalcontext")
    root = folder / "pascal-context"
    require_folder(root / "trainval", "pascalcontext")
    for file in ("labels.txt", "59_labels.txt"):
        if not (root / file).is_file():
            elsewhere = sorted(root.rglob(file))
            if not elsewhere:
                raise DataError(f"no {root.absolute()}/{file}: see data/pascalcontext/README.md")
            (root / file).write_bytes(elsewhere[0].read_bytes())
    for split, expected in COUNTS.items():
        path = folder / f"pascal/VOC2010/ImageSets/Main/{split}.txt"
        ids = read_ids(path)
        told = "as published" if len(ids) == expected else f"NOT the {expected} published"
        print(f"{split}: {len(ids)} ids, {told}")


DATASET = Dataset(
    "pascalcontext",
    CLASSES,
    MEAN,
    trees=(
        Tree(
            PASCALContextSegDataLayer,
            {"voc_dir": ("pascal", "VOC2010"), "context_dir": ("pascal-context", "trainval")},
            ("train", "val"),
        ),
    ),
    sources=(
        Source(
            "VOCtrainval_03-May-2010.tar",
            (f"{VOC}/voc2010/VOCtrainval_03-May-2010.tar",),
            "da459979d0c395079b5c75ee67908abb",
            "JPEGImages",
            "pascal/VOC2010",
        ),
        Source(
            "trainval.tar.gz",
            (
                f"https://{CONTEXT}/trainval.tar.gz",
                f"http://www.{CONTEXT}/trainval.tar.gz",
                "http://www.stat.ucla.edu/~ccvl/datasets/pascal-context/trainval.tar.gz",
            ),
            "df034edb2c12aa7d33b42b20bb1796e3",
            "trainval",
            "pascal-context",
        ),
        Source(
            "59_labels.txt",
            (f"https://{CONTEXT}/59_labels.txt", f"http://www.{CONTEXT}/59_labels.txt"),
            "993901f2d930cc038c406845f08fa082",
            "",
            "pascal-context",
        ),
    ),
    prepare=prepare,
)
