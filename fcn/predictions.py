"""The class that scores give each pixel."""

from typing import Any

import numpy as np

import caffe


def array_predicted(blob: Any, item: int = 0) -> np.ndarray:
    """`caffe.predicted` in NumPy, for BVLC's pycaffe."""
    return blob.data[item].argmax(0)


predicted = getattr(caffe, "predicted", array_predicted)
