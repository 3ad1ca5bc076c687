"""Stored weights that BVLC Caffe 1.0 wrote, and their values."""

import numpy as np
from places import GOLDEN

FORMATS = GOLDEN / "formats"
STATES = GOLDEN / "solvers/sgd_momentum"


def array_of(blob, diff=False):
    """A stored blob's values, or its diff's, in a new array."""
    array = np.full(blob.shape, np.nan, np.float32)
    (blob.read_diff_into if diff else blob.read_into)(array)
    return array


def golden_values(path):
    """{layer/i: array} from the values.npz beside a golden file."""
    with np.load(path.with_name("values.npz")) as stored:
        return {k[len("param/") :]: stored[k] for k in stored if k.startswith("param/")}
