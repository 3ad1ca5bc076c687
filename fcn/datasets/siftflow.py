"""SIFT Flow outdoor scenes (Liu et al., Tighe and Lazebnik): 33 semantic and 3 geometric classes.

Semantic labels 0 to 32, geometric 0 to 2, void 255; on disk both count from 1, with 0 (semantic)
or -1 (geometric) for void.
"""

from pathlib import Path
from typing import Any

import numpy as np

from .layer import SegDataLayer
from .record import (
    DataError,
    Dataset,
    Source,
    Tree,
    compare,
    digest,
    names,
    python_data,
    require_folder,
    write_ids,
)

CLASSES = names("siftflow/classes.txt")
GEO_CLASSES = names("siftflow/geo_classes.txt")
ABSENT_FROM_TEST = ("cow", "desert", "moon")  # no truth there, so they are left out of its means
UNLABELLED = {"highway_bost181", "street_urb506"}  # two pictures without annotation
MEAN = (114.578, 115.294, 108.353)  # BGR
# (count, digest) of the published splits
SPLITS = {
    "test": (200, "772854924eb149c3c9f4c3e7d99a332bf032af5847ac18159ae40f67c4ae5896"),
    "trainval": (2486, "646d97910f15f0c014835f7b01c7a908441e6d280c3aae09dfc20f3d54cd34c6"),
}
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"


class SIFTFlowSegDataLayer(SegDataLayer):
    """Tops data, sem, geo. param_str: siftflow_dir, split; seed, randomize."""

    dataset = "siftflow"
    required = ("siftflow_dir", "split")
    classes = len(CLASSES)
    geo_classes = len(GEO_CLASSES)
    tops = {"data": "load_image", "sem": "load_semantic", "geo": "load_geometric"}
    files = {
        "split": "{siftflow_dir}/{split}.txt",
        "data": "{siftflow_dir}/Images/" + SCENES + "/{id}.jpg",
        "sem": "{siftflow_dir}/SemanticLabels/" + SCENES + "/{id}.mat",
        "geo": "{siftflow_dir}/GeoLabels/" + SCENES + "/{id}.mat",
    }
    mean = np.array(MEAN)

    def load_image(self, idx):
        """3 x H x W float32, BGR minus mean."""
        return self.bgr("data", idx, self.mean)

    def load_semantic(self, idx):
        """1 x H x W uint8: 0 to 32, void 255."""
        return self.rotated_label(self.mat("sem", idx, "S"), "sem", idx)

    def load_geometric(self, idx):
        """1 x H x W uint8: sky 0, horizontal 1, vertical 2, void 255."""
        values = self.mat("geo", idx, "S").astype(np.int64)
        values[values == -1] = 0
        return self.rotated_label(values, "geo", idx, self.geo_classes)

    def load_label(self, idx, label_type="semantic"):
        """The original's name for both kinds: label_type is 'semantic' or 'geometric'."""
        kinds = {"semantic": self.load_semantic, "geometric": self.load_geometric}
        if label_type not in kinds:
            raise self.fail(ValueError, f"label_type is semantic or geometric, not {label_type!r}")
        return kinds[label_type](idx)


def add_data(n: Any, split: str) -> None:
    """Add the tops data, sem and geo to a NetSpec."""
    params = dict(siftflow_dir="../data/sift-flow", split=split, seed=1337)
    python_data(n, ["data", "sem", "geo"], "siftflow_layers", "SIFTFlowSegDataLayer", **params)


def prepare(folder: Path) -> None:
    """test: the archive's own list; trainval: all other pictures that have annotation."""
    root = folder / "sift-flow"
    require_folder(root / "Images" / SCENES, "siftflow")
    ids = sorted(path.stem for path in (root / "Images" / SCENES).glob("*.jpg"))
    test = test_ids(root, set(ids))
    trainval = [id for id in ids if id not in test and id not in UNLABELLED]
    for split, chosen in (("test", sorted(test)), ("trainval", trainval)):
        compare(f"siftflow {split}", chosen, SPLITS[split])
        write_ids(root / f"{split}.txt", chosen)


def test_ids(root: Path, ids: set[str]) -> set[str]:
    """The ids of the list of test pictures, found by its content: names with folders, any slash."""
    lists = {}
    for path in sorted(root.rglob("*.txt")):
        lines = path.read_text(errors="replace").replace("\\", "/").splitlines()
        names = {line.strip().split("/")[-1].removesuffix(".jpg") for line in lines if line.strip()}
        if names and names <= ids:
            lists[path] = names
    for names in lists.values():
        if digest(names) == SPLITS["test"][1]:
            return names
    for path, names in lists.items():
        if "test" in path.name.lower():
            return names
    raise DataError(f"no list of test pictures among the .txt files of {root.absolute()}")


DATASET = Dataset(
    "siftflow",
    CLASSES,
    MEAN,
    trees=(
        Tree(
            SIFTFlowSegDataLayer,
            {"siftflow_dir": ("sift-flow", "SemanticLabels")},
            ("trainval", "test"),
        ),
    ),
    sources=(
        Source(
            "SiftFlowDataset.zip",
            ("http://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip",),
            None,
            "SemanticLabels",
            "sift-flow",
        ),
    ),
    prepare=prepare,
    scores=("score_sem", "score_geo"),
    geo_classes=GEO_CLASSES,
)
