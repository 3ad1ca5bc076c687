"""What a net of the R-CNN line finds in a picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import caffe

SPREAD = np.array([0.1, 0.1, 0.2, 0.2])  # the unit of the codes that the nets learn
SUPPRESSED = 0.3  # overlap with a better box of the class from which on a box goes


def decode(boxes: np.ndarray, codes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The boxes that codes (n, 4 C) mean beside boxes (n, 4), inside the picture: (n, C, 4)."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    centre, sides = (boxes[:, :2] + sides / 2)[:, None], sides[:, None]
    d = codes.reshape(len(boxes), -1, 4)
    middle, half = centre + d[..., :2] * sides, np.exp(d[..., 2:]) * sides / 2
    edge = np.array([width, height, width, height]) - 1
    return np.clip(np.concatenate([middle - half, middle + half], -1), 0, edge)


def sliding_windows(
    height: int, width: int, sides: Sequence[tuple[int, int]], share: float = 0.25
) -> np.ndarray:
    """Boxes (n, 4) of the `sides` (height, width) all over a picture, `share` of a side apart."""
    found = []
    for tall, wide in sides:
        for y in range(0, max(height - tall, 0) + 1, max(1, round(tall * share))):
            for x in range(0, max(width - wide, 0) + 1, max(1, round(wide * share))):
                found.append((x, y, min(x + wide, width) - 1, min(y + tall, height) - 1))
    return np.array(found, np.float64).reshape(-1, 4)


class Detector:
    """A test net of Faster R-CNN, or of Fast R-CNN, which is given regions. `scale` enlarges pictures."""

    def __init__(self, net: Any, mean: Sequence[float], scale: float = 1) -> None:
        """`net` has im_info or rois as its second input; `mean` is BGR."""
        self.net, self.mean, self.scale = net, np.array(mean, np.float32), scale
        self.proposes = "im_info" in net.inputs

    def forward(self, picture: np.ndarray, regions: np.ndarray | None) -> np.ndarray:
        """Run the net on a picture (H, W, 3), RGB; the regions (R, 4) that it judged, in the picture."""
        blobs = self.net.blobs
        data = picture[:, :, ::-1].astype(np.float32) - self.mean
        if self.scale != 1:
            sides = [max(1, round(side * self.scale)) for side in data.shape[:2]]
            data = caffe.io.resize_image(data, sides)
        blobs["data"].reshape(1, 3, *data.shape[:2])
        blobs["data"].data[0] = data.transpose(2, 0, 1)
        if self.proposes:
            blobs["im_info"].reshape(1, 3)
            blobs["im_info"].data[0] = *data.shape[:2], self.scale
        else:
            given = np.zeros((0, 4)) if regions is None else np.asarray(regions)
            blobs["rois"].reshape(len(given), 5)
            blobs["rois"].data[...] = np.pad(given * self.scale, ((0, 0), (1, 0)))
        self.net.forward()
        return blobs["rois"].data[:, 1:].astype(np.float64) / self.scale

    def detect(
        self, picture: np.ndarray, regions: np.ndarray | None = None, least: float = 0.05
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """[(scores (n,), boxes (n, 4))] of each class, background's empty; scores below `least` are left
        out. A picture without a proposal, and one given no region, has none."""
        classes = self.net.blobs["cls_prob"].shape[-1]
        nothing = (np.zeros(0), np.zeros((0, 4)))
        if not self.proposes and (regions is None or not len(regions)):
            return [nothing] * classes
        regions = self.forward(picture, regions)
        if not len(regions):
            return [nothing] * classes
        scores = self.net.blobs["cls_prob"].data
        boxes = decode(regions, self.net.blobs["bbox_pred"].data, *picture.shape[:2])
        found = [nothing]
        for value in range(1, classes):
            order = np.argsort(-scores[:, value], kind="stable")
            order = order[scores[order, value] >= least]
            kept = order[caffe.suppress(boxes[order, value], SUPPRESSED, one=1)]
            found.append((scores[kept, value].copy(), boxes[kept, value]))
        return found


def in_pixels(net: Any) -> None:
    """Make bbox_pred's output codes, not codes in units of SPREAD: for a net that is to be tested."""
    weights, bias = net.params["bbox_pred"]
    unit = np.tile(SPREAD, len(bias.data) // 4)
    weights.data[...] *= unit[:, None]
    bias.data[...] *= unit
