"""RoIDataLayer: pictures with boxes for Fast and Faster R-CNN, where theirs is not there
(lib/roi_data_layer of py-faster-rcnn)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from ...glog import warning
from ...layer import Layer, describe
from .faster_rcnn import CFG, Sampler, order, settings_of

READING: dict[str, Any] = {  # what its cfg says of pictures
    "scale": 600,  # what the shortest side becomes
    "max_size": 1000,  # if the longest does not become more
    "pixel_means": (102.9801, 115.9465, 122.7717),  # BGR
}


class RoIDataLayer(Layer):
    """Pictures, and boxes in them, as roi_data_layer.layer.RoIDataLayer of py-faster-rcnn.

    `set_roidb` gives it what it reads, in random order, before its first forward. Tops of Faster R-CNN:
    a picture (1, 3, H, W), its height, width and scale (1, 3), boxes (G, 5) with their classes. Tops of
    Fast R-CNN: two pictures, padded to one size, and of the boxes of each 64 regions (R, 5), their
    labels (R,), codes (R, 4 classes), and the codes' weights, twice. param_str states num_classes, and
    may state ims_per_batch and the numbers of CFG and READING.
    """

    num_bottom, num_top = 0, (3, 6)
    draws_random = shapes_follow_values = True

    def setup(self, bottom, top):
        regions = [name for name in CFG if not name.startswith("rpn_")]
        known = [*regions, *READING, "ims_per_batch"]
        self.settings = {**READING, **settings_of(self, "num_classes", known)}
        self.of_regions = len(top) == 6
        self.pictures = self.settings.get("ims_per_batch", 2 if self.of_regions else 1)
        if not self.of_regions and self.pictures != 1:
            raise self.error(
                f"ims_per_batch {self.pictures}: a region proposal net takes 1 picture"
            )
        share = dict(self.settings, batch_size=self.settings["batch_size"] // self.pictures)
        self.sampler = Sampler(self.settings["num_classes"], share)
        self.roidb: list[dict[str, Any]] = []
        self.waiting: list[int] = []

    def reshape(self, bottom, top):
        width = 4 * self.settings["num_classes"]
        shapes = ((1, 5), (1,), (1, width), (1, width), (1, width))
        for blob, shape in zip(
            top, ((1, 3, 100, 100), *(shapes if self.of_regions else ((1, 3), (1, 5))))
        ):
            blob.set_shape(shape)

    def set_roidb(self, roidb: Sequence[Mapping[str, Any]]) -> None:
        """Read from `roidb`: a mapping a picture, with `image` (a path), `boxes` (n, 4) in whole pixels,
        `gt_classes` (n,), 0 for boxes that are only proposed, and `flipped`.

        Boxes of no area and those outside are named and left out, parts outside cut off, pictures
        without a box left out. ValueError if no picture is left.
        """
        self.roidb = [good for entry in roidb if (good := self.usable(entry))]
        if not self.roidb:
            raise self.error(f"none of {len(roidb)} pictures has a box")
        self.waiting = []

    def usable(self, entry: Mapping[str, Any]) -> dict[str, Any] | None:
        """An entry with its boxes inside the picture; None if it has none of a class."""
        boxes = np.asarray(entry["boxes"], np.float64).reshape(-1, 4)
        classes = np.asarray(entry["gt_classes"]).ravel()
        with Image.open(entry["image"]) as picture:
            edge = np.array([picture.width, picture.height]) - 1
        cut = np.concatenate([np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], edge)], 1)
        good = (boxes[:, 2:] >= boxes[:, :2]).all(1) & (cut[:, 2:] >= cut[:, :2]).all(1)
        for box in boxes[~good]:
            what = "has no area" if (box[2:] < box[:2]).any() else "lies outside of the picture"
            self.say(f"{entry['image']}: box {box.tolist()} {what} ({edge + 1}): left out")
        if (classes[good] < 0).any() or (classes[good] >= self.settings["num_classes"]).any():
            raise self.error(
                f"{entry['image']}: classes {classes[good].tolist()}, num_classes is "
                f"{self.settings['num_classes']}"
            )
        if not (classes[good] > 0).any():
            self.say(f"{entry['image']} has no box: left out")
            return None
        return {**entry, "boxes": cut[good], "gt_classes": classes[good]}

    def say(self, text: str) -> None:
        """Warn, with the layer's name."""
        warning("roi_data_layer.cpp:0", f"{describe(self.layer_param)}: {text}")

    def next_entries(self) -> list[dict[str, Any]]:
        """What the next batch is made of."""
        if not self.roidb:
            raise self.error("set_roidb(roidb) was not called: there is nothing to read")
        if len(self.waiting) < self.pictures:
            count = max(len(self.roidb), self.pictures)
            self.waiting += [int(i) % len(self.roidb) for i in order(count)]
        chosen, self.waiting = self.waiting[: self.pictures], self.waiting[self.pictures :]
        return [self.roidb[i] for i in chosen]

    def read(self, entry: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, float]:
        """(picture (3, H, W) without its mean, boxes (n, 5) with their classes, scale)."""
        with Image.open(entry["image"]) as file:
            image = file.convert("RGB")
        boxes = np.asarray(entry["boxes"], np.float64)
        if entry.get("flipped"):
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            boxes = np.stack(
                [
                    image.width - 1 - boxes[:, 2],
                    boxes[:, 1],
                    image.width - 1 - boxes[:, 0],
                    boxes[:, 3],
                ],
                1,
            )
        short, long = sorted(image.size)
        scale = min(self.settings["scale"] / short, self.settings["max_size"] / long)
        if scale != 1:
            size = [max(1, round(side * scale)) for side in image.size]
            image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
        values = np.asarray(image, np.float32)[:, :, ::-1] - np.float32(
            self.settings["pixel_means"]
        )
        classes = np.asarray(entry["gt_classes"], np.float64)[:, None]
        return values.transpose(2, 0, 1), np.concatenate([boxes * scale, classes], 1), scale

    def forward(self, bottom, top):
        read = [self.read(entry) for entry in self.next_entries()]
        sides = np.array([picture.shape[1:] for picture, _, _ in read]).max(0)
        data = np.zeros((len(read), 3, *sides), np.float32)
        for place, (picture, _, _) in zip(data, read):
            place[:, : picture.shape[1], : picture.shape[2]] = picture
        if self.of_regions:
            blobs = [data, *self.regions([boxes for _, boxes, _ in read])]
        else:
            _, boxes, scale = read[0]
            blobs = [data, np.array([[*sides, scale]]), boxes[boxes[:, 4] > 0]]
        for blob, values in zip(top, blobs):
            blob.set_shape(values.shape)
            blob.data[...] = values

    def regions(self, boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The blobs of Fast R-CNN behind the pictures, from the boxes of each."""
        columns: list[list[np.ndarray]] = [[] for _ in range(5)]
        for number, each in enumerate(boxes):
            parts = self.sampler.sample(each[:, :4], each[each[:, 4] > 0])
            parts[0] = np.pad(parts[0], ((0, 0), (1, 0)), constant_values=number)
            for column, part in zip(columns, parts):
                column.append(part)
        return [np.concatenate(column) for column in columns]

    def backward(self, top, propagate_down, bottom):
        pass
