"""The Python layers of py-faster-rcnn that choose what its nets learn from, where they are not there
(lib/rpn). Boxes are in whole pixels: both corners belong to them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ... import context
from ...boxes import pixel_overlaps
from ...glog import warning
from ...layer import Layer, describe
from .proposal import anchors, around

# Numbers of its cfg.TRAIN; param_str may state others, by these names in small letters
CFG: dict[str, float] = {
    "rpn_batchsize": 256,
    "rpn_fg_fraction": 0.5,
    "rpn_positive_overlap": 0.7,
    "rpn_negative_overlap": 0.3,
    "batch_size": 128,
    "fg_fraction": 0.25,
    "fg_thresh": 0.5,
    "bg_thresh_hi": 0.5,
    "bg_thresh_lo": 0.0,  # as faster_rcnn_end2end.yml states it
}
SPREAD = np.array([0.1, 0.1, 0.2, 0.2])  # of codes, which the second stage learns in units of it


def encode(boxes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The codes of boxes `wanted` (n, 4) beside boxes (n, 4): offsets of centres, in sides, and the
    logarithms of the ratios of sides."""
    sides, to = (b[:, 2:4] - b[:, :2] + 1 for b in (boxes, wanted))
    return np.concatenate(
        [(wanted[:, :2] + to / 2 - boxes[:, :2] - sides / 2) / sides, np.log(to / sides)], 1
    )


def settings_of(layer: Layer, needed: str, known: Sequence[str]) -> dict[str, Any]:
    """What a param_str states, which must have `needed`, above the numbers of CFG. ValueError if it is
    no dict, or has what is not `known`."""
    text = layer.layer_param.python_param.param_str.strip()
    try:
        stated = ast.literal_eval(text if text.startswith("{") else f"{{{text}}}")
        missing = needed not in stated
    except (SyntaxError, ValueError, TypeError) as error:
        raise layer.error(f"param_str is no Python dict: {text!r} ({error})") from None
    if missing:
        raise layer.error(f"param_str must state '{needed}', got {text!r}")
    if unknown := sorted(set(stated) - {needed, *known}):
        raise layer.error(f"param_str: unknown {', '.join(map(repr, unknown))}")
    return {**{name: CFG[name] for name in known if name in CFG}, **stated}


def with_area(layer: Layer, boxes: np.ndarray) -> np.ndarray:
    """Those of boxes (G, 5), with their classes, that have an area; the others are named and left out."""
    if boxes.shape[1:] != (5,):
        raise layer.error(
            f"needs boxes (G, 5), x1, y1, x2, y2 and the class, got {list(boxes.shape)}"
        )
    good = (boxes[:, 2:4] >= boxes[:, :2]).all(1) & np.isfinite(boxes).all(1)
    for box in boxes[~good]:
        where = describe(layer.layer_param)
        warning("layer.cpp:0", f"{where}: box {box[:4].tolist()} has no area: left out")
    return boxes[good]


def some(indices: np.ndarray, most: int) -> np.ndarray:
    """`most` of the indices, drawn at random, or all of them if they are fewer."""
    if len(indices) <= most:
        return indices
    return indices[order(len(indices))[:most]]


def order(count: int) -> np.ndarray:
    """The numbers below `count`, in random order."""
    return torch.randperm(
        count, generator=context.generator(context.CPU), device=context.CPU
    ).numpy()


class NoGradient(Layer):
    """A layer that chooses among what it is given: its tops' shapes follow from values, and no gradient
    passes it."""

    draws_random = shapes_follow_values = True

    def backward(self, top, propagate_down, bottom):
        for blob, propagates in zip(bottom, propagate_down):
            if propagates:
                blob.dx.zero_()


class AnchorTargetLayer(NoGradient):
    """What each anchor should say, as rpn.anchor_target_layer.AnchorTargetLayer of py-faster-rcnn.

    Bottoms: the scores (1, 2A, H, W), whose shape alone counts, boxes (G, 5) with their classes, the
    picture's height, width and scale, the picture. Tops: labels (1, 1, A H, W): 1 for the anchors that
    overlap a box by .7 or more and for each box's best, 0 below .3, -1 for those between, beyond the
    picture, and not drawn; codes of the nearest box (1, 4A, H, W), the weights of those that have one,
    and the weights of all that count, one over their number.
    """

    num_bottom, num_top = 4, 4

    def setup(self, bottom, top):
        known = ("scales", "allowed_border", *(name for name in CFG if name.startswith("rpn_")))
        self.settings = settings_of(self, "feat_stride", known)
        self.anchors = anchors(16, [0.5, 1, 2], list(self.settings.get("scales", (8, 16, 32))))

    def reshape(self, bottom, top):
        num, channels, *plane = bottom[0].shape
        count = len(self.anchors)
        if num != 1 or channels != 2 * count or len(plane) != 2:
            raise self.error(
                f"{count} anchors need scores (1, {2 * count}, H, W) of one picture, got "
                f"{list(bottom[0].shape)}"
            )
        top[0].set_shape([1, 1, count * plane[0], plane[1]])
        for blob in top[1:]:
            blob.set_shape([1, 4 * count, *plane])

    def forward(self, bottom, top):
        height, width = bottom[0].shape[2:]
        boxes = with_area(self, bottom[1].data.reshape(-1, bottom[1].shape[-1]))
        rows, columns = bottom[2].data.ravel()[:2]
        every = around(self.anchors, height, width, self.settings["feat_stride"])
        border = self.settings.get("allowed_border", 0)
        within = (every[:, :2] >= -border).all(1)
        within &= (every[:, 2:] < np.array([columns, rows]) + border).all(1)
        labels = np.full(len(every), -1.0)
        codes = np.zeros((len(every), 4))
        inside = np.flatnonzero(within)
        labels[inside], codes[inside] = self.judged(every[inside], boxes)
        counted, positive = labels >= 0, labels == 1
        share = 1 / max(1, counted.sum())
        weights = (np.repeat(positive[:, None], 4, 1), np.repeat(counted[:, None], 4, 1) * share)
        top[0].data[...] = (
            labels.reshape(height, width, -1).transpose(2, 0, 1).reshape(top[0].shape)
        )
        for blob, values in zip(top[1:], (codes, *weights)):
            blob.data[...] = values.reshape(height, width, -1).transpose(2, 0, 1)[None]

    def judged(self, boxes: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(labels (n,), codes (n, 4)) of anchors inside the picture."""
        s = self.settings
        labels, codes = np.full(len(boxes), -1.0), np.zeros((len(boxes), 4))
        if len(boxes) == 0 or len(wanted) == 0:
            labels[:] = 0
        else:
            overlap = pixel_overlaps(boxes, wanted)
            most = overlap.max(1)
            labels[most < s["rpn_negative_overlap"]] = 0
            # a box that no anchor touches has no best: it would make all of them its own
            best = (overlap == overlap.max(0)) & (overlap > 0)
            labels[best.any(1) | (most >= s["rpn_positive_overlap"])] = 1
            codes = encode(boxes, wanted[overlap.argmax(1)])
        positive = some(np.flatnonzero(labels == 1), int(s["rpn_fg_fraction"] * s["rpn_batchsize"]))
        negative = some(np.flatnonzero(labels == 0), int(s["rpn_batchsize"]) - len(positive))
        labels[:] = -1
        labels[positive], labels[negative] = 1, 0
        return labels, codes


class Sampler:
    """Draws regions to learn from: some that lie on a box, the others background."""

    def __init__(self, classes: int, settings: dict[str, Any]) -> None:
        """Of so many classes, background counted."""
        self.classes, self.settings = classes, settings

    def sample(self, regions: np.ndarray, boxes: np.ndarray) -> list[np.ndarray]:
        """[regions (R, 4), labels (R,), codes (R, 4 classes), their weights twice] of regions (n, 4) and
        boxes (G, 5). Codes stand at their class's place, in units of SPREAD."""
        s = self.settings
        overlap = (
            pixel_overlaps(regions, boxes[:, :4]) if len(boxes) else np.zeros((len(regions), 1))
        )
        nearest, most = overlap.argmax(1), overlap.max(1)
        wanted = int(np.round(s["fg_fraction"] * s["batch_size"]))
        on = some(np.flatnonzero(most >= s["fg_thresh"]), wanted)
        off = np.flatnonzero((most < s["bg_thresh_hi"]) & (most >= s["bg_thresh_lo"]))
        kept = np.append(on, some(off, int(s["batch_size"]) - len(on)))
        labels = np.zeros(len(kept))
        codes, weights = np.zeros((2, len(kept), self.classes, 4))
        if len(on):
            found = boxes[nearest[on]]
            labels[: len(on)] = found[:, 4]
            at = np.arange(len(on)), found[:, 4].astype(int)
            codes[at] = encode(regions[on], found) / SPREAD
            weights[at] = 1
        codes, weights = (
            values.reshape(len(kept), 4 * self.classes) for values in (codes, weights)
        )
        return [regions[kept], labels, codes, weights, weights]


class ProposalTargetLayer(NoGradient):
    """Regions to learn from, and what they should say, as rpn.proposal_target_layer.ProposalTargetLayer
    of py-faster-rcnn.

    Bottoms: proposals (n, 5), boxes (G, 5) with their classes. Tops: of the proposals and the boxes at
    most 128 regions (R, 5), a quarter of them on a box; their classes (R,), codes (R, 4 classes) and
    the codes' weights, twice. A picture with neither has one region, its corner, which is background.
    """

    num_bottom, num_top = 2, 5

    def setup(self, bottom, top):
        known = [name for name in CFG if not name.startswith("rpn_")]
        settings = settings_of(self, "num_classes", known)
        self.sampler = Sampler(settings["num_classes"], settings)

    def reshape(self, bottom, top):
        width = 4 * self.sampler.classes
        for blob, shape in zip(top, ((1, 5), (1,), (1, width), (1, width), (1, width))):
            blob.set_shape(shape)

    def forward(self, bottom, top):
        boxes = with_area(self, bottom[1].data.reshape(-1, bottom[1].shape[-1]).astype(np.float64))
        if (boxes[:, 4] >= self.sampler.classes).any() or (boxes[:, 4] < 0).any():
            raise self.error(
                f"boxes are of classes {boxes[:, 4].min():g}..{boxes[:, 4].max():g}, num_classes is "
                f"{self.sampler.classes}: classes go from 1 to one less"
            )
        regions = np.concatenate([bottom[0].data.reshape(-1, 5)[:, 1:], boxes[:, :4]])
        found = self.sampler.sample(regions, boxes)
        if not len(found[0]):
            found = [np.zeros((1, *part.shape[1:])) for part in found]
        found[0] = np.pad(found[0], ((0, 0), (1, 0)))
        for blob, values in zip(top, found):
            blob.set_shape(values.shape)
            blob.data[...] = values
