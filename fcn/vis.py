"""Pictures of segmentations, in PASCAL VOC's colours."""

import numpy as np


def make_palette(num_classes):
    """VOC's colours, num_classes x 3 uint8: class k's bits, dealt to the high bits of R, G, B."""
    palette = np.zeros((num_classes, 3), dtype=np.uint8)
    labels = np.arange(num_classes)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((labels >> (3 * bit + channel) & 1) << (7 - bit)).astype("u1")
    return palette


def color_seg(seg, palette):
    """The H x W class indices as an H x W x 3 picture."""
    return np.asarray(palette)[np.asarray(seg).astype(int)]


def vis_seg(img, seg, palette, alpha=0.5):
    """Blend the colours over img (H x W x 3) by alpha, except where the class is 0."""
    picture = np.array(img, dtype=np.float32)
    marked = np.asarray(seg) > 0
    picture[marked] = (1 - alpha) * picture[marked] + alpha * color_seg(seg, palette)[marked]
    return picture.astype(np.uint8)
