"""PASCAL-Context (Mottaghi et al.): 59 classes on a background, for the pictures of VOC2010.

Labels are 0 (background) to 59, without void. On disk there are 459 labels; the set's own lists map
them by name.
"""

from functools import cached_property
from pathlib import Path

import numpy as np

import caffe
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.dataset import (
    SEED,
    DataError,
    Dataset,
    Source,
    Tree,
    add_python_layer,
    class_names,
)
from fcn.datasets.splits import read_ids, require_folder
from fcn.datasets.voc import VOC_PAGE

CLASSES = class_names("pascalcontext/classes.txt")  # 0 is background
MEAN = (104.007, 116.669, 122.679)  # BGR
# The task's spelling -> the spelling in the list of all 459 labels.
MAIN_NAMES = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
SPLITS = {"train": 4998, "val": 5105}  # number of pictures
PAGE = "cs.stanford.edu/~roozbeh/pascal-context"


class PASCALContextSegDataLayer(SegDataLayer):
    """Tops data, label. param_str: voc_dir (holds VOC2010), context_dir, split; seed, randomize."""

    context_dir: Path
    dataset = "pascalcontext"
    required = ("voc_dir", "context_dir", "split")
    classes = len(CLASSES)
    files = {
        "split": "{voc_dir}/VOC2010/ImageSets/Main/{split}.txt",
        "data": "{voc_dir}/VOC2010/JPEGImages/{id}.jpg",
        "label": "{context_dir}/trainval/{id}.mat",
    }
    mean = np.array(MEAN)

    def configure(self, params: dict) -> None:
        """Read the lists of labels, so that set-up fails if one is missing or does not fit."""
        self.classes = params.get("classes", len(self.labels_59) + 1)
        len(self.table)

    def load_image(self, idx: str) -> np.ndarray:
        """3 x H x W float32, BGR minus mean."""
        return self.load_bgr("data", idx, self.mean)

    def load_label(self, idx: str) -> np.ndarray:
        """1 x H x W uint8: 0 background, 1 to 59."""
        values = self.load_mat("label", idx, "LabelMap").astype(np.int64)
        wrong = np.unique(values[(values < 0) | (values >= len(self.table))])
        if wrong.size:
            text = f"{self.path('label', idx)}: labels {wrong.tolist()} are not in labels.txt"
            raise self.failure(ValueError, f"{text} ({self.readme()})")
        return self.checked_label(self.table[values], "label", idx)

    @cached_property
    def labels_400(self) -> dict[str, int]:
        """Name -> number in the full set (459 labels; the original calls them '400')."""
        return {name: number for number, name in self.read_names("labels.txt")}

    @cached_property
    def labels_59(self) -> list[str]:
        """The task's class names in order, as the full set spells them."""
        return [MAIN_NAMES.get(name, name) for _, name in self.read_names("59_labels.txt")]

    @cached_property
    def table(self) -> np.ndarray:
        """Full label -> task label; every label that the task does not name is background."""
        table = np.zeros(max(self.labels_400.values()) + 1, np.uint8)
        absent = [name for name in self.labels_59 if name not in self.labels_400]
        if absent:
            raise self.failure(ValueError, f"labels.txt does not name {', '.join(absent)}")
        for task, name in enumerate(self.labels_59, 1):
            table[self.labels_400[name]] = task
        return table

    def read_names(self, list_name: str) -> list[tuple[int, str]]:
        """(number, name) of each `number: name` line; blanks in names are dropped."""
        path = self.context_dir / list_name
        if not path.is_file():
            raise self.missing(f"no list of labels: {path.absolute()} is not there")
        lines = [line.partition(":") for line in path.read_text().splitlines() if line.strip()]
        if not lines or not all(number.strip().isdigit() for number, _, _ in lines):
            raise self.failure(ValueError, f"{path}: lines must read `number: name`")
        return [(int(number), "".join(name.split())) for number, _, name in lines]


def add_data_layer(n: caffe.NetSpec, split: str) -> None:
    """Add data and label."""
    params = dict(
        voc_dir="../data/pascal", context_dir="../data/pascal-context", split=split, seed=SEED
    )
    layer = "PASCALContextSegDataLayer"
    add_python_layer(n, ["data", "label"], "pascalcontext_layers", layer, params)


def prepare(folder: Path) -> None:
    """Put the lists of labels where the data layer reads them; VOC2010's own splits are used."""
    require_folder(folder / "pascal/VOC2010", "pascalcontext")
    root = folder / "pascal-context"
    require_folder(root / "trainval", "pascalcontext")
    for file in ("labels.txt", "59_labels.txt"):
        if not (root / file).is_file():
            elsewhere = sorted(root.rglob(file))
            if not elsewhere:
                raise DataError(f"no {root.absolute()}/{file}: see data/pascalcontext/README.md")
            (root / file).write_bytes(elsewhere[0].read_bytes())
    for split, expected in SPLITS.items():
        ids = read_ids(folder / f"pascal/VOC2010/ImageSets/Main/{split}.txt")
        verdict = "as published" if len(ids) == expected else f"NOT the {expected} published"
        print(f"{split}: {len(ids)} ids, {verdict}")


PASCALCONTEXT = Dataset(
    name="pascalcontext",
    classes=CLASSES,
    mean=MEAN,
    nets={"train": "train", "val": "val"},
    add_data_layer=add_data_layer,
    trees=(
        Tree(
            PASCALContextSegDataLayer,
            {"voc_dir": ("pascal", "VOC2010"), "context_dir": ("pascal-context", "trainval")},
            ("train", "val"),
        ),
    ),
    how_to_get="see data/pascalcontext/README.md",
    sources=(
        Source(
            "VOCtrainval_03-May-2010.tar",
            (f"{VOC_PAGE}/voc2010/VOCtrainval_03-May-2010.tar",),
            "da459979d0c395079b5c75ee67908abb",
            "JPEGImages",
            "pascal/VOC2010",
        ),
        Source(
            "trainval.tar.gz",
            (
                f"https://{PAGE}/trainval.tar.gz",
                f"http://www.{PAGE}/trainval.tar.gz",
                "http://www.stat.ucla.edu/~ccvl/datasets/pascal-context/trainval.tar.gz",
            ),
            "df034edb2c12aa7d33b42b20bb1796e3",
            "trainval",
            "pascal-context",
        ),
        Source(
            "59_labels.txt",
            (f"https://{PAGE}/59_labels.txt", f"http://www.{PAGE}/59_labels.txt"),
            "993901f2d930cc038c406845f08fa082",
            "",
            "pascal-context",
        ),
    ),
    prepare=prepare,
)
