"""Boxes by loops: the judge of the vectorized arithmetic."""

import math

import numpy as np


def overlap(a, b):
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def centre_size_code(box, prior, variance):
    """The code of a box beside a prior box."""
    found = []
    for axis in (0, 1):
        size = prior[axis + 2] - prior[axis]
        found.append(((box[axis] + box[axis + 2]) / 2 - (prior[axis] + prior[axis + 2]) / 2) / size)
    for axis in (0, 1):
        found.append(math.log((box[axis + 2] - box[axis]) / (prior[axis + 2] - prior[axis])))
    return np.array(found) / variance
