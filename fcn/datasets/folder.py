"""Users' own data: a folder of pictures, a folder of masks, and lists of which are in which split."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import caffe
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.dataset import SEED, Dataset, add_python_layer, read_names

# Endings that pictures have, in any case
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    *(".ppm", ".pgm", ".pnm", ".jp2", ".avif", ".heic", ".heif"),
}
CLASSES = "classes.txt"
WHERE = "net.py states the folders; after a change, run it"


class FolderDataLayer(SegDataLayer):
    """Tops data, label from pictures of any kind and PNG masks whose values are classes.

    param_str: images_dir, masks_dir, lists_dir, split, mean (BGR), classes; seed, randomize, mask_end.
    The list of a split, `lists_dir/split.txt`, has an id a line: a picture's path below images_dir
    without its ending. Its mask is the PNG of the same path, with mask_end behind it, below
    masks_dir. 255 is void.
    """

    images_dir: Path
    masks_dir: Path
    lists_dir: Path
    mean: Any
    required = ("images_dir", "masks_dir", "lists_dir", "split", "mean", "classes")
    optional = ("seed", "randomize", "mask_end")
    files = {
        "split": "{lists_dir}/{split}.txt",
        "data": "{images_dir}/{id}",
        "label": "{masks_dir}/{id}{mask_end}",
    }

    def configure(self, params: dict[str, Any]) -> None:
        """Check the mean and the number of classes."""
        self.mask_end = str(params.get("mask_end", ""))
        self.listed: dict[Path, dict[str, list[str]]] = {}  # folder -> stem -> endings
        self.require_mean(self.mean)
        if not isinstance(self.classes, int) or not 2 <= self.classes < 256:
            text = f"classes must be a number from 2 to 255, got {self.classes!r}"
            raise self.failure(ValueError, text)

    def find_folder(self, path: str) -> Path:
        """A folder, relative to the working directory."""
        if not Path(path).is_dir():
            raise self.missing(f"no folder {os.path.abspath(path)}")
        return Path(path).absolute()

    def path(self, what: str, id: Any = None) -> Path:
        """The path of the split's list, or of picture `id` for one top, as it is on disk."""
        stem = super().path(what, id)
        if what == "split":
            return stem
        endings = self.endings(stem.parent).get(stem.name, [])
        masks = [ending for ending in endings if ending.lower() == ".png"]
        pictures = [ending for ending in endings if ending not in masks]
        found = masks if what == "label" else pictures + masks
        return stem.with_name(stem.name + (found[0] if found else ".png"))

    def endings(self, folder: Path) -> dict[str, list[str]]:
        """Stem -> endings of the picture files of a folder, which is listed once."""
        if folder not in self.listed:
            stems: dict[str, list[str]] = {}
            names = sorted(os.listdir(folder)) if folder.is_dir() else []
            for stem, ending in map(os.path.splitext, names):
                if ending.lower() in SUFFIXES:
                    stems.setdefault(stem, []).append(ending)
            self.listed[folder] = stems
        return self.listed[folder]

    def load_image(self, idx: str) -> np.ndarray:
        """3 x H x W float32, BGR minus mean."""
        return self.load_bgr("data", idx, self.mean)

    def load_label(self, idx: str) -> np.ndarray:
        """1 x H x W uint8: the mask's values."""
        return self.checked_label(self.load_png_label("label", idx), "label", idx)

    def readme(self) -> str:
        """Where the folders are stated."""
        return WHERE


def folder_dataset(
    script: str,
    images_dir: str,
    masks_dir: str,
    mean: tuple[float, ...],
    mask_end: str = "",
) -> Dataset:
    """The data set of a model folder, for its net.py, which passes __file__.

    Folders are relative to the model's. The classes and the lists train.txt and val.txt are in that
    folder or in the one above.
    """
    folder = Path(script).resolve().parent
    lists_dir = "." if (folder / CLASSES).is_file() else ".."
    classes = read_names(folder / lists_dir / CLASSES)
    params: dict[str, Any] = dict(images_dir=images_dir, masks_dir=masks_dir, lists_dir=lists_dir)
    params |= dict(mean=mean, classes=len(classes), seed=SEED)
    params |= dict(mask_end=mask_end) if mask_end else {}
    return Dataset(
        name=folder.name,
        classes=classes,
        mean=mean,
        nets={"train": "train", "val": "val"},
        add_data_layer=partial(add_data_layer, params=params),
        trees=(),
        how_to_get=WHERE,
    )


def add_data_layer(n: caffe.NetSpec, split: str, params: dict[str, Any]) -> None:
    """Add data and label to a NetSpec."""
    params = dict(split=split, **params)
    add_python_layer(n, ["data", "label"], __name__, FolderDataLayer.__name__, params)
