"""Draws the shapes of annotations into masks: polygons, circles, run-length coded regions.

A pixel is inside if its centre is. Positions are in pixels from the upper left corner of the picture.
"""

from collections.abc import Sequence

import numpy as np


def polygon(points: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """The pixels inside of a polygon of (x, y) corners, H x W bool; even-odd where it crosses itself."""
    inside = np.zeros((height, width), bool)
    corners = np.asarray(points, float).reshape(-1, 2)
    if not np.isfinite(corners).all():
        raise ValueError("a corner's position is no number")
    if len(corners) < 3:
        return inside
    x0, y0 = corners.T
    x1, y1 = np.roll(corners, -1, axis=0).T
    low = max(0, int(np.floor(y0.min())))
    high = min(height, int(np.ceil(y0.max())))
    for row in range(low, high):
        y = row + 0.5
        crossed = (y0 <= y) != (y1 <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.sort((x0 + (y - y0) / (y1 - y0) * (x1 - x0))[crossed])
        for begin, end in zip(x[::2], x[1::2]):
            first, last = np.ceil(np.clip([begin - 0.5, end - 0.5], 0, width)).astype(int)
            inside[row, first:last] ^= True
    return inside


def circle(centre: Sequence[float], edge: Sequence[float], height: int, width: int) -> np.ndarray:
    """The pixels inside of a circle through a point, H x W bool."""
    rows, columns = np.ogrid[:height, :width]
    radius = np.hypot(edge[0] - centre[0], edge[1] - centre[1])
    return (columns + 0.5 - centre[0]) ** 2 + (rows + 0.5 - centre[1]) ** 2 < radius**2


def rectangle(one: Sequence[float], other: Sequence[float], height: int, width: int) -> np.ndarray:
    """The pixels inside of an upright rectangle between two corners, H x W bool."""
    (x0, y0), (x1, y1) = one, other
    return polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], height, width)


def runs(counts: str | bytes | Sequence[int], height: int, width: int) -> np.ndarray:
    """The pixels of COCO's run-length code, H x W bool: lengths outside, inside, outside, ...

    Runs go down the columns. ValueError if they do not fill the picture.
    """
    lengths = unpacked(counts) if isinstance(counts, str | bytes) else list(counts)
    if sum(lengths) != height * width or min(lengths, default=0) < 0:
        raise ValueError(f"run lengths make {sum(lengths)} pixels, not {height} x {width}")
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return inside.reshape(width, height).T


def unpacked(text: str | bytes) -> list[int]:
    """The run lengths in COCO's compressed text, five bits a character; from the third on, differences."""
    data = text.encode() if isinstance(text, str) else text
    lengths: list[int] = []
    value = shift = 0
    for byte in data:
        bits = byte - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:  # negative
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    return lengths


def placed(part: np.ndarray, corner: Sequence[float], height: int, width: int) -> np.ndarray:
    """A small mask with its upper left corner at (x, y), H x W bool."""
    inside = np.zeros((height, width), bool)
    x, y = (max(0, round(value)) for value in corner)
    spot = inside[y : y + part.shape[0], x : x + part.shape[1]]
    spot[...] = part[: spot.shape[0], : spot.shape[1]]
    return inside
