"""A simple saliency map: how far a pixel's colour is from that of its surroundings and of the picture
(after Achanta et al. 2009, frequency-tuned saliency)."""

import numpy as np
from scipy import ndimage

FINE, WIDE = 1.5, 40.0  # deviations, in pixels, of the blurs


def saliency(pixels: np.ndarray) -> np.ndarray:
    """H x W uint8 of a picture H x W x 3: 0 like its surroundings, 255 least like them."""
    values = np.asarray(pixels, np.float32)
    near = ndimage.gaussian_filter(values, (FINE, FINE, 0))
    far = ndimage.gaussian_filter(values, (WIDE, WIDE, 0))
    apart = np.linalg.norm(near - far, axis=2)
    top = np.percentile(apart, 99.5)
    return np.clip(255 * apart / max(float(top), 1e-6), 0, 255).astype(np.uint8)
