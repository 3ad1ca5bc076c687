"""Masks from boxes (Dai, He and Sun 2015, BoxSup): regions that a box may mean, and which of them it does.

A region's cost is 1 - IoU of its own box with the given one, and, once there is a net, RATIO times the mean
loss of the net's scores for it. One of the best BEST is taken at random, so that the net is not sure of one
mistake.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

RATIO, BEST = 3.0, 5
VOID = 255
MARGIN = 0.35  # of a box's size: what lies around it tells what its background looks like
COLOURS = 8  # of a channel: bins of the histograms
LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the likelihood of an object's colour
SMOOTH = (0.7, 1.5)  # deviations of the blurs of the likelihood, in pixels


def likelihood(pixels: np.ndarray, box: Sequence[int]) -> np.ndarray:
    """For each pixel of a box, how likely its colour is an object's: that of the middle against that around.

    H x W of 0 to 1, by histograms of the box and of a frame around it.
    """
    y0, x0, y1, x1 = box[:4]
    height, width = y1 - y0 + 1, x1 - x0 + 1
    pads = (max(3, int(MARGIN * side)) for side in (height, width))
    (top, left), (bottom, right) = zip(
        *(
            (max(0, low - pad), min(side, high + 1 + pad))
            for low, high, pad, side in zip((y0, x0), (y1, x1), pads, pixels.shape)
        )
    )
    bins = pixels[top:bottom, left:right].astype(int) * COLOURS // 256
    codes = (bins * (COLOURS**2, COLOURS, 1)).sum(2)
    inside = np.zeros(codes.shape, bool)
    inside[y0 - top : y1 + 1 - top, x0 - left : x1 + 1 - left] = True
    smooth = dict(sigma=1.0, mode="nearest")
    counts = [
        ndimage.gaussian_filter(
            np.bincount(part, minlength=COLOURS**3).reshape((COLOURS,) * 3).astype(float), **smooth
        ).ravel()
        for part in (codes[inside], codes[~inside])
    ]
    within, around = (each / max(each.sum(), 1e-9) for each in counts)
    object_like = np.clip(within - around, 0, None)
    found = object_like / np.maximum(object_like + around, 1e-9)
    return found[codes[inside].reshape(height, width)]


def candidates(pixels: np.ndarray, box: Sequence[int]) -> list[np.ndarray]:
    """Regions of a box's size, H x W bool, the whole box the last of them."""
    like = likelihood(pixels, box)
    found: list[np.ndarray] = []
    for sigma in SMOOTH:
        blurred = ndimage.gaussian_filter(like, sigma)
        for level in LEVELS:
            region = largest(blurred > level)
            if region.any() and not any(np.array_equal(region, each) for each in found):
                found.append(region)
    return [*found, np.ones(like.shape, bool)]


def largest(region: np.ndarray) -> np.ndarray:
    """The parts of a region that are a tenth of its largest one at least, holes kept."""
    parts, count = ndimage.label(region)
    if count < 2:
        return region
    sizes = np.bincount(parts.ravel())[1:]
    return np.isin(parts, 1 + np.flatnonzero(sizes >= sizes.max() / 10))


def overlap(region: np.ndarray) -> float:
    """IoU of a region's own box with the one that it lies in."""
    if not region.any():
        return 0.0
    sides = [np.flatnonzero(region.any(axis)) for axis in (1, 0)]
    area = np.prod([side[-1] - side[0] + 1 for side in sides])
    return float(area / region.size)


def costs(regions: Sequence[np.ndarray], k: int, losses: np.ndarray | None = None) -> np.ndarray:
    """The cost of each region; `losses` are -log P of the box's pixels, classes x H x W, of a net."""
    found = np.array([1 - overlap(region) for region in regions])
    if losses is not None:
        fits = [np.where(region, losses[k], losses[0]).mean() for region in regions]
        return found + RATIO * np.array(fits)
    found[-1] += 1  # all of a box overlaps with it by itself: without a net it is the last choice
    return found


def mask(
    pixels: np.ndarray,
    boxes: Sequence[Sequence[int]],
    rng: np.random.RandomState,
    losses: np.ndarray | None = None,
) -> np.ndarray:
    """The classes of a picture, H x W uint8, by its boxes; small ones lie before large ones.

    `losses` are -log P of a net, classes x H x W. Without, the region in the middle of the best is taken.
    """
    found = np.zeros(pixels.shape[:2], np.uint8)
    for y0, x0, y1, x1, k in sorted(boxes, key=lambda b: -(b[2] - b[0] + 1) * (b[3] - b[1] + 1)):
        spot = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        regions = candidates(pixels, (y0, x0, y1, x1))
        order = np.argsort(
            costs(regions, k, None if losses is None else losses[(slice(None), *spot)])
        )
        best = order[: min(BEST, len(regions))]
        region = regions[best[rng.randint(len(best))]]
        found[spot][region] = k
    return found


def grabcut(pixels: np.ndarray, boxes: Sequence[Sequence[int]]) -> np.ndarray:
    """The same by OpenCV's GrabCut, which later work compares with; ImportError without OpenCV."""
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise ImportError("GrabCut is OpenCV's: pip install opencv-python-headless") from error
    found = np.zeros(pixels.shape[:2], np.uint8)
    image: Any = np.ascontiguousarray(pixels[:, :, ::-1])
    for y0, x0, y1, x1, k in sorted(boxes, key=lambda b: -(b[2] - b[0] + 1) * (b[3] - b[1] + 1)):
        cut = np.zeros(pixels.shape[:2], np.uint8)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        size = x0, y0, x1 - x0 + 1, y1 - y0 + 1
        cv2.grabCut(image, cut, size, *models, 3, cv2.GC_INIT_WITH_RECT)
        found[(cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD)] = k
    return found
