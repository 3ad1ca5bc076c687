"""Average precision of detections, as PASCAL VOC counts it: with eleven points (VOC2007) or the area under
the curve (since 2010). With masks for boxes it is AP^r (Hariharan et al. 2014)."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Overlaps = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Found(NamedTuple):
    """What was found of one class in one picture."""

    scores: np.ndarray  # (n,)
    shapes: np.ndarray  # (n, 4) boxes, or (n, H, W) masks


class Truth(NamedTuple):
    """What there is of one class in one picture."""

    shapes: np.ndarray  # (G, 4) boxes, or (G, H, W) masks
    difficult: np.ndarray | None = None  # (G,) bool: neither wanted nor wrong


def box_overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4) and (m, 4) in whole pixels: (n, m)."""
    near, far = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared = np.maximum(far - near + 1, 0).prod(-1)
    of_a, of_b = ((boxes[:, 2:] - boxes[:, :2] + 1).prod(-1) for boxes in (a, b))
    return shared / (of_a[:, None] + of_b - shared)


def mask_overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of masks (n, H, W) and (m, H, W): (n, m); 0 of two empty ones."""
    a, b = (masks.reshape(len(masks), -1).astype(np.float32) for masks in (a, b))
    shared = a @ b.T
    union = a.sum(1)[:, None] + b.sum(1) - shared
    return np.where(union > 0, shared / np.maximum(union, 1), 0)


def hits(
    found: Sequence[Found], truth: Sequence[Truth], least: float, overlaps: Overlaps
) -> tuple[np.ndarray, np.ndarray]:
    """(scores, whether each is right) of all pictures' detections of a class, without those that fall on
    difficult objects. Each object is found once, by the best that lies on it."""
    scores, right = [], []
    for each, there in zip(found, truth):
        difficult = (
            np.zeros(len(there.shapes), bool) if there.difficult is None else there.difficult
        )
        taken = np.zeros(len(there.shapes), bool)
        shared = overlaps(each.shapes, there.shapes) if len(each.scores) and len(taken) else None
        for i in np.argsort(-each.scores, kind="stable"):
            at = int(shared[i].argmax()) if shared is not None else -1
            on = shared is not None and shared[i, at] >= least
            if on and difficult[at]:
                continue
            scores.append(each.scores[i])
            right.append(on and not taken[at])
            if on:
                taken[at] = True
    return np.array(scores), np.array(right, bool)


def curve(scores: np.ndarray, right: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """(recall, precision) behind each detection, the best first, of `wanted` objects."""
    true = right[np.argsort(-scores, kind="stable")].cumsum()
    return true / max(wanted, 1), true / np.arange(1, len(true) + 1)


def of_eleven_points(recall: np.ndarray, precision: np.ndarray) -> float:
    """The mean of the best precisions at recalls of 0, .1, ... 1 and above."""
    points = np.arange(11) / 10
    return float(np.mean([precision[recall >= p - 1e-9].max(initial=0) for p in points]))


def area(recall: np.ndarray, precision: np.ndarray) -> float:
    """The area under the curve, whose precisions are made to fall."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * best).sum())


RULES = {"area": area, "11 points": of_eleven_points}


def average_precisions(
    found: Mapping[int, Sequence[Found]],
    truth: Mapping[int, Sequence[Truth]],
    least: float = 0.5,
    rule: str = "area",
    overlaps: Overlaps = box_overlaps,
) -> dict[int, float]:
    """Class -> its average precision, for the classes of which there is an object.

    `found` and `truth` list each class's shapes, an entry a picture. ValueError if they are not of as
    many pictures.
    """
    values = {}
    for value, there in truth.items():
        wanted = sum(
            len(each.shapes) - (0 if each.difficult is None else int(each.difficult.sum()))
            for each in there
        )
        if len(found[value]) != len(there):
            raise ValueError(
                f"class {value}: detections of {len(found[value])} pictures, truth of {len(there)}"
            )
        if wanted:
            scores, right = hits(found[value], there, least, overlaps)
            values[value] = RULES[rule](*curve(scores, right, wanted))
    return values
