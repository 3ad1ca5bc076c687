"""Pictures of segmentations, in PASCAL VOC's colours."""

from pathlib import Path

import numpy as np
from PIL import Image


def make_palette(num_classes: int) -> np.ndarray:
    """VOC's colours, num_classes x 3 uint8: class k's bits go to the high bits of R, G, B in turn."""
    palette = np.zeros((num_classes, 3), dtype=np.uint8)
    labels = np.arange(num_classes)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((labels >> (3 * bit + channel) & 1) << (7 - bit)).astype("u1")
    return palette


def color_seg(seg: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """H x W class indices as an H x W x 3 picture."""
    return np.asarray(palette)[np.asarray(seg).astype(int)]


def vis_seg(
    img: np.ndarray, seg: np.ndarray, palette: np.ndarray, alpha: float = 0.5
) -> np.ndarray:
    """The colours blended over `img` (H x W x 3) by `alpha`, except where the class is 0."""
    picture = np.array(img, dtype=np.float32)
    marked = np.asarray(seg) > 0
    picture[marked] = (1 - alpha) * picture[marked] + alpha * color_seg(seg, palette)[marked]
    return picture.astype(np.uint8)


def save_classes(classes: np.ndarray, path: str | Path) -> None:
    """Save H x W class indices as a PNG in VOC's palette: its pixels are the classes."""
    image = Image.fromarray(np.asarray(classes).astype(np.uint8))
    image.putpalette(make_palette(256).tobytes())
    image.save(path)
