"""The digits of the embedded task's scenes as boxes and masks, read from their class maps."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.io
from PIL import Image
from scipy import ndimage

from fcn.datasets.dataset import VOID

PLACES = {  # tree -> (picture, labels, split list)
    "sbd": ("img/{}.jpg", "cls/{}.mat", "{}.txt"),
    "voc": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png", "ImageSets/Segmentation/{}.txt"),
}
SPLITS = {"train": "sbd", "tune": "voc", "seg11valid": "voc"}


class Scene(NamedTuple):
    """A picture and what is in it."""

    path: Path
    boxes: np.ndarray  # (G, 4): x1, y1, x2, y2 in whole pixels, both corners included
    classes: np.ndarray  # (G,), 1..10
    masks: np.ndarray  # (G, H, W) bool


def instances(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(boxes (G, 4), classes (G,), masks (G, H, W)) of a class map: a connected part is an instance.

    Borders marked VOID belong to the instance that they surround.
    """
    boxes, classes, masks = [], [], []
    for value in range(1, 11):
        parts, count = ndimage.label(labels == value, np.ones((3, 3)))
        for part in range(1, count + 1):
            mask = parts == part
            mask |= ndimage.binary_dilation(mask, np.ones((3, 3))) & (labels == VOID)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            boxes.append([columns[0], rows[0], columns[-1], rows[-1]])
            classes.append(value)
            masks.append(mask)
    shape = (len(boxes), *labels.shape)
    return np.reshape(boxes, (-1, 4)), np.array(classes, int), np.reshape(masks, shape).astype(bool)


def scenes(folder: Path, split: str, most: int | None = None) -> Iterator[Scene]:
    """The scenes of a split, at `most` so many. FileNotFoundError if they are not drawn."""
    tree = SPLITS[split]
    picture, labels, listed = (folder / tree / place for place in PLACES[tree])
    path = Path(str(listed).format(split))
    if not path.is_file():
        raise FileNotFoundError(f"no list {path}\nThe scenes are made by: fcn data sample")
    for id in path.read_text().split()[:most]:
        yield Scene(Path(str(picture).format(id)), *instances(read(str(labels).format(id))))


def read(path: str) -> np.ndarray:
    """A class map (H, W), of SBD's or VOC's kind."""
    if path.endswith(".mat"):
        return scipy.io.loadmat(path)["GTcls"][0, 0]["Segmentation"]
    with Image.open(path) as image:
        return np.asarray(image)


def roidb(found: list[Scene], proposals: np.ndarray | None = None) -> list[dict[str, Any]]:
    """What RoIDataLayer reads: the scenes, with `proposals` (n, 4) beside their boxes. None is mirrored, for
    that would make another digit of some."""
    more = np.zeros((0, 4)) if proposals is None else proposals
    return [
        dict(
            image=str(scene.path),
            boxes=np.concatenate([scene.boxes, more]),
            gt_classes=np.append(scene.classes, np.zeros(len(more), int)),
            flipped=False,
        )
        for scene in found
    ]
