"""Masks under boxes: what a net of instances learns, and what it says of a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

import caffe
from fcn.datasets import param_str

SIDE = 21  # cells of a mask along each side of its box
INK = 0.4  # probability from which on a pixel belongs to the object
JITTER = 0.1  # how far corners of boxes to learn from move, as a share of the box's sides


def cells(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """What a mask (H, W) is at the centres of the SIDE x SIDE cells of a box; outside of the picture it
    is 0. (SIDE, SIDE) float32."""
    x1, y1, x2, y2 = box
    share = (np.arange(SIDE) + 0.5) / SIDE
    rows = np.floor(y1 + share * (y2 - y1 + 1)).astype(int)
    columns = np.floor(x1 + share * (x2 - x1 + 1)).astype(int)
    height, width = mask.shape
    inside = ((rows >= 0) & (rows < height))[:, None] & (columns >= 0) & (columns < width)
    found = mask[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    return (found & inside).astype(np.float32)


def paste(probability: np.ndarray, box: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask (height, width) that probabilities (SIDE, SIDE) mean under a box. One of no area, or
    outside, gives an empty mask."""
    mask = np.zeros((height, width), bool)
    x1, y1, x2, y2 = (int(np.floor(edge + 0.5)) for edge in box)
    if x2 < x1 or y2 < y1:
        return mask
    size = x2 - x1 + 1, y2 - y1 + 1
    values = np.asarray(
        Image.fromarray(probability.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    )
    top, left = max(y1, 0), max(x1, 0)
    part = values[top - y1 : max(height - y1, 0), left - x1 : max(width - x1, 0)] >= INK
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    return mask


def masks_of(net: Any, picture: np.ndarray, mean: Sequence[float], boxes: np.ndarray) -> np.ndarray:
    """The masks (n, H, W) that a net with inputs data and rois says lie under boxes (n, 4)."""
    height, width = picture.shape[:2]
    if not len(boxes):
        return np.zeros((0, height, width), bool)
    data, rois = net.blobs["data"], net.blobs["rois"]
    data.reshape(1, 3, height, width)
    data.data[0] = (picture[:, :, ::-1] - np.array(mean, np.float32)).transpose(2, 0, 1)
    rois.reshape(len(boxes), 5)
    rois.data[...] = np.pad(boxes, ((0, 0), (1, 0)))
    net.forward()
    found = net.blobs["mask_prob"].data.reshape(-1, SIDE, SIDE)
    return np.array([paste(each, box, height, width) for each, box in zip(found, boxes)])


class MaskDataLayer(caffe.Layer):
    """Pictures, boxes in them, and the masks under the boxes, for a net that learns masks.

    `set_scenes` gives it what it reads, in random order. Tops: a picture (1, 3, H, W), boxes (R, 5), each
    object's `boxes` times with its corners moved, and their masks (R, 441). param_str: mean, BGR, boxes
    and seed.
    """

    param_str: str

    def setup(self, bottom: Any, top: Any) -> None:
        """Read param_str."""
        params = param_str.parse(self.param_str)
        if said := param_str.unknown_keys(params, ("mean", "boxes", "seed")):
            raise ValueError(said)
        self.mean = np.array(params["mean"], np.float32)
        self.boxes, self.random = params["boxes"], np.random.default_rng(params.get("seed", 0))
        self.entries: list[Mapping[str, Any]] = []
        self.waiting: list[int] = []

    def set_scenes(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Read from entries with `picture` (H, W, 3) RGB, `boxes` (G, 4) and `masks` (G, H, W); those
        without a box are left out. ValueError if none has one."""
        self.entries = [entry for entry in entries if len(entry["boxes"])]
        if not self.entries:
            raise ValueError(f"MaskDataLayer: none of {len(entries)} pictures has a box")

    def reshape(self, bottom: Any, top: Any) -> None:
        """Nominal shapes; those of a picture follow when it is read."""
        for blob, shape in zip(top, ((1, 3, 100, 100), (1, 5), (1, SIDE * SIDE))):
            blob.reshape(*shape)

    def moved(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (G, 4) with each corner moved at random."""
        sides = np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)
        return boxes + self.random.uniform(-JITTER, JITTER, boxes.shape) * sides

    def forward(self, bottom: Any, top: Any) -> None:
        """Read the next picture."""
        if not self.entries:
            raise ValueError("MaskDataLayer: set_scenes(entries) was not called")
        if not self.waiting:
            self.waiting = self.random.permutation(len(self.entries)).tolist()
        entry = self.entries[self.waiting.pop()]
        which = np.repeat(np.arange(len(entry["boxes"])), self.boxes)
        boxes = self.moved(np.asarray(entry["boxes"], float)[which])
        data = (entry["picture"][:, :, ::-1] - self.mean).transpose(2, 0, 1)[None]
        masks = [cells(entry["masks"][i], box).ravel() for i, box in zip(which, boxes)]
        for blob, values in zip(top, (data, np.pad(boxes, ((0, 0), (1, 0))), np.array(masks))):
            blob.reshape(*values.shape)
            blob.data[...] = values

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Nothing is learned below."""
