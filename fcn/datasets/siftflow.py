"""SIFT Flow (Liu et al., Tighe and Lazebnik): outdoor scenes, 33 semantic and 3 geometric classes.

Semantic labels are 0 to 32, geometric ones 0 to 2, void is 255. On disk both count from 1, with 0
(semantic) or -1 (geometric) for void.
"""

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
from fcn.datasets.splits import checksum, compare, require_folder, write_ids

CLASSES = class_names("siftflow/classes.txt")
GEO_CLASSES = class_names("siftflow/geo_classes.txt")
MEAN = (114.578, 115.294, 108.353)  # BGR
SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
UNLABELLED = {"highway_bost181", "street_urb506"}  # the two pictures without annotation
SPLITS = {
    "test": (200, "772854924eb149c3c9f4c3e7d99a332bf032af5847ac18159ae40f67c4ae5896"),
    "trainval": (2486, "646d97910f15f0c014835f7b01c7a908441e6d280c3aae09dfc20f3d54cd34c6"),
}


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

    def load_image(self, idx: str) -> np.ndarray:
        """3 x H x W float32, BGR minus mean."""
        return self.load_bgr("data", idx, self.mean)

    def load_semantic(self, idx: str) -> np.ndarray:
        """1 x H x W uint8: 0 to 32, void 255."""
        return self.label_from_one(self.load_mat("sem", idx, "S"), "sem", idx)

    def load_geometric(self, idx: str) -> np.ndarray:
        """1 x H x W uint8: sky 0, horizontal 1, vertical 2, void 255."""
        values = self.load_mat("geo", idx, "S").astype(np.int64)
        values[values == -1] = 0
        return self.label_from_one(values, "geo", idx, self.geo_classes)

    def load_label(self, idx: str, label_type: str = "semantic") -> np.ndarray:
        """Either label, under the original's name; `label_type` is 'semantic' or 'geometric'."""
        kinds = {"semantic": self.load_semantic, "geometric": self.load_geometric}
        if label_type not in kinds:
            raise self.failure(
                ValueError, f"label_type is semantic or geometric, not {label_type!r}"
            )
        return kinds[label_type](idx)


def add_data_layer(n: caffe.NetSpec, split: str) -> None:
    """Add data, sem and geo."""
    params = dict(siftflow_dir="../data/sift-flow", split=split, seed=SEED)
    layer = "SIFTFlowSegDataLayer"
    add_python_layer(n, ["data", "sem", "geo"], "siftflow_layers", layer, params)


def prepare(folder: Path) -> None:
    """Write test, the archive's own list, and trainval, all other pictures that have annotation."""
    root = folder / "sift-flow"
    require_folder(root / "Images" / SCENES, "siftflow")
    ids = sorted(path.stem for path in (root / "Images" / SCENES).glob("*.jpg"))
    test = find_test_ids(root, set(ids))
    trainval = [id for id in ids if id not in test and id not in UNLABELLED]
    for split, chosen in (("test", sorted(test)), ("trainval", trainval)):
        compare(f"siftflow {split}", chosen, SPLITS[split])
        write_ids(root / f"{split}.txt", chosen)


def find_test_ids(root: Path, ids: set[str]) -> set[str]:
    """The ids of the archive's list of test pictures.

    It is recognized by its content, else by its name; ids stand in it with folders and any slash.
    """
    lists = {}
    for path in sorted(root.rglob("*.txt")):
        lines = path.read_text(errors="replace").replace("\\", "/").splitlines()
        names = {line.strip().split("/")[-1].removesuffix(".jpg") for line in lines if line.strip()}
        if names and names <= ids:
            lists[path] = names
    for names in lists.values():
        if checksum(names) == SPLITS["test"][1]:
            return names
    for path, names in lists.items():
        if "test" in path.name.lower():
            return names
    raise DataError(f"no list of test pictures among the .txt files of {root.absolute()}")


SIFTFLOW = Dataset(
    name="siftflow",
    classes=CLASSES,
    mean=MEAN,
    nets={"trainval": "trainval", "test": "test"},
    add_data_layer=add_data_layer,
    trees=(
        Tree(
            SIFTFlowSegDataLayer,
            {"siftflow_dir": ("sift-flow", "SemanticLabels")},
            ("trainval", "test"),
        ),
    ),
    how_to_get="see data/siftflow/README.md",
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
    geo_classes=GEO_CLASSES,
    scored={"score_sem": "sem", "score_geo": "geo"},
)
