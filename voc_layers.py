"""PASCAL VOC segmentation: 20 classes on a background, from VOC's own tree and from SBD's.

Labels 0 (background) to 20, void 255 at object borders (VOC). Classes: data/voc/__init__.py.
"""

import numpy as np

from data.voc import CLASSES
from seg_layer import SegDataLayer


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
