"""Fixtures of the tests of commands: a scene, and a tiny model that answers exactly."""

import numpy as np
import pytest
import tiny_model
from tiny_model import BLUE, GREEN, RED


@pytest.fixture
def scene():
    """40 x 60 RGB: green on the left, red on the right, blue below; no two sides alike."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20], pixels[:, 20:], pixels[30:] = GREEN, RED, BLUE
    return pixels


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model folder called by its path; class 0, 1, 2: blue, green, red is strongest (BGR)."""
    folder = tmp_path / "voc-tiny"
    tiny_model.write_model(folder)
    weights = folder / "voc-tiny.caffemodel"
    tiny_model.write_weights(folder, weights, score=np.eye(3))
    monkeypatch.chdir(tmp_path)
    return folder
