"""A data layer that reads pictures with weak labels, in the form of whats-the-point's losses."""

from pathlib import Path
from typing import Any

import numpy as np

from fcn.datasets.voc import SBDDSegDataLayer
from fcn.weak import labels
from fcn.weak.saliency import saliency

UNLABELLED = 255
CLICKS, OBJECTNESS, LISTS = range(3)  # channels
TAGS, SIZES = range(2)  # rows of the third


class WeakDataLayer(SBDDSegDataLayer):
    """Tops data, label (1 x 3 x H x W) from SBD's pictures and a file of weak labels.

    Channel 0 of label: the classes of points, 255 elsewhere; with `points: False` there are none. Channel 1:
    how much a pixel looks like an object's, 0 to 255. Channel 2: the classes that are there in the first
    row, the large ones in the second, each list ended by a 0. param_str as SBD's, with `weak`, the file in
    sbdd_dir, and `saliency`, a folder in it of gray pictures ID.png (without: fcn.weak.saliency).
    """

    optional = (*SBDDSegDataLayer.optional, "weak", "points", "saliency")
    weak: str
    points = True
    saliency = ""

    def configure(self, params: dict[str, Any]) -> None:
        """Read the file. Each picture's record is checked when the picture is read."""
        super().configure(params)
        self.weak = params.get("weak", labels.NAME.format(split=self.split))
        self.points, self.saliency = params.get("points", True), params.get("saliency", "")
        path = Path(vars(self)["sbdd_dir"]) / self.weak
        if not path.is_file():
            raise self.missing(f"no weak labels {path}")
        self.records = labels.read(path)

    def load_label(self, idx: str) -> np.ndarray:
        """3 x H x W uint8."""
        if idx not in self.records:
            raise self.failure(ValueError, f"{self.weak} has no weak labels of {idx}")
        record = self.records[idx]
        pixels = self.load_rgb("data", idx)
        size = pixels.shape[:2]
        labels.check(record, size)
        found = np.zeros((3, *size), np.uint8)
        found[CLICKS] = UNLABELLED
        if self.points:
            for y, x, k in record["points"]:
                found[CLICKS, y, x] = k
        found[OBJECTNESS] = self.objectness(idx, pixels)
        for row, key in ((TAGS, "tags"), (SIZES, "large")):
            listed = record[key]
            if len(listed) >= size[1]:
                raise self.failure(
                    ValueError, f"{idx}: {len(listed)} classes in a picture {size[1]} pixels wide"
                )
            found[LISTS, row, : len(listed)] = listed
        return found

    def objectness(self, idx: str, pixels: np.ndarray) -> np.ndarray:
        """H x W uint8, from a file or from the picture."""
        if not self.saliency:
            return saliency(pixels)
        path = Path(vars(self)["sbdd_dir"]) / self.saliency / f"{idx}.png"
        self.files = {**self.files, "saliency": str(path)}
        found = np.asarray(self.open_picture("saliency", idx).convert("L"))
        if found.shape != pixels.shape[:2]:
            raise self.failure(
                ValueError,
                f"{path} is {found.shape[0]}x{found.shape[1]}, its picture "
                f"{pixels.shape[0]}x{pixels.shape[1]}",
            )
        return found
