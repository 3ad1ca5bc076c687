"""SIFT Flow outdoor scenes (Liu et al., Tighe and Lazebnik): 33 semantic and 3 geometric classes.

Semantic labels 0 to 32, geometric 0 to 2, void 255; on disk both count from 1, with 0 (semantic)
or -1 (geometric) for void. Classes: data/siftflow/__init__.py.
"""

import numpy as np

from data.siftflow import CLASSES, GEO_CLASSES
from seg_layer import SegDataLayer

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
    mean = np.array((114.578, 115.294, 108.353))

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
