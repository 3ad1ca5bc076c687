"""Boxes (xmin, ymin, xmax, ymax): overlaps, codes relative to prior boxes, non-maximum suppression
(util/bbox_util.cpp of SSD)."""

from __future__ import annotations

import numpy as np
import torch

from .proto import caffe_pb2

CODE = caffe_pb2.PriorBoxParameter


def areas(boxes: torch.Tensor) -> torch.Tensor:
    """Areas of boxes (..., 4); 0 for those turned inside out."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def overlaps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Intersection over union of each of a (n, 4) with each of b (m, 4): (n, m)."""
    corner = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (corner[1] - corner[0]).clamp(min=0).prod(-1)
    union = areas(a)[:, None] + areas(b) - shared
    return torch.where(union > 0, shared / union, 0)


def pixel_overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of each of a (n, 4) with each of b (m, 4), in whole pixels: (n, m)."""
    near, far = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:4], b[:, 2:4])
    shared = np.maximum(far - near + 1, 0).prod(-1)
    of_a, of_b = ((boxes[:, 2:4] - boxes[:, :2] + 1).prod(-1) for boxes in (a, b))
    return shared / (of_a[:, None] + of_b - shared)


def centres_and_sizes(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """((..., 2), (..., 2)) of boxes (..., 4)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def decode(
    code: int, d: torch.Tensor, priors: torch.Tensor, variances: torch.Tensor
) -> torch.Tensor:
    """The boxes that codes d (..., 4) mean beside priors (..., 4); variances scale the codes."""
    d = d * variances
    centre, size = centres_and_sizes(priors)
    if code == CODE.CENTER_SIZE:
        half = size * d[..., 2:].exp() / 2
        middle = d[..., :2] * size + centre
        return torch.cat([middle - half, middle + half], -1)
    return priors + (d * torch.cat([size, size], -1) if code == CODE.CORNER_SIZE else d)


def encode(
    code: int, boxes: torch.Tensor, priors: torch.Tensor, variances: torch.Tensor
) -> torch.Tensor:
    """The codes of boxes (..., 4) beside priors (..., 4): what `decode` undoes."""
    centre, size = centres_and_sizes(priors)
    if code == CODE.CENTER_SIZE:
        of_centre, of_size = centres_and_sizes(boxes)
        d = torch.cat([(of_centre - centre) / size, (of_size / size).log()], -1)
    else:
        d = boxes - priors
        d = d / torch.cat([size, size], -1) if code == CODE.CORNER_SIZE else d
    return d / variances


def suppress(
    boxes: np.ndarray, threshold: float, eta: float = 1.0, one: float = 0.0, most: int = -1
) -> list[int]:
    """Greedy non-maximum suppression of boxes (n, 4) in falling order of scores: which are kept.

    A box goes if it overlaps with one before by more than `threshold`, which shrinks by `eta` at
    each box kept while it is above .5. `one` is added to each side, for boxes in whole pixels;
    `most`: stop at so many (-1: at none).
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2] + one, 0)
    area = sides.prod(1)
    kept: list[int] = []
    for i in range(len(boxes)):
        near = np.maximum(boxes[kept, :2], boxes[i, :2])
        far = np.minimum(boxes[kept, 2:], boxes[i, 2:])
        shared = np.maximum(far - near + one, 0).prod(1)
        union = area[kept] + area[i] - shared
        if (shared <= threshold * union).all():
            kept.append(i)
            threshold = threshold * eta if eta < 1 and threshold > 0.5 else threshold
        if len(kept) == most:
            break
    return kept
