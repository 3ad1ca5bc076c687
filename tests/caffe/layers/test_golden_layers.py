"""Every layer against BVLC Caffe 1.0: what it computed, forward and backward, for 316 small
nets."""

import os

import numpy as np
import pytest
import replay
from places import GOLDEN


@pytest.mark.parametrize("name", replay.LAYERS)
def test_layer(name, device):
    assert [error for error in replay.layer(name) if not error.within()] == []


def test_all_cases_are_here():
    assert len(replay.LAYERS) == 316
    assert os.path.isfile(GOLDEN / "layers" / "HDF5Data_wraps.txt")


@pytest.mark.parametrize(
    "found, off",
    [
        ([1, 2, np.inf], 0.0),
        ([1, 2.2, np.inf], 0.2 / 5**0.5),
        ([1, 2, -np.inf], np.inf),
        ([1, 2, 3], np.inf),
        ([1, np.nan, np.inf], np.inf),
        ([1, 2], np.inf),
    ],
)
def test_distance(found, off):
    assert replay.distance(np.array([1, 2, np.inf]), np.array(found)) == pytest.approx(off)
