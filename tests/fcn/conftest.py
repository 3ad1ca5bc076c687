"""Fixtures of the FCN tests: a project folder of its own, a small model, a picture to segment."""

import file_server
import numpy as np
import pytest
import tiny_model
from colours import BLUE, GREEN, RED

from fcn import places


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder in place of the checkout, and the working directory."""
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "HOME", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def server():
    """A server of one file on this machine."""
    with file_server.serving() as server:
        yield server


@pytest.fixture(scope="session")
def scene():
    """40 x 60 RGB: green on the left, red on the right, blue below; no two sides alike."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20], pixels[:, 20:], pixels[30:] = GREEN, RED, BLUE
    return pixels


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model folder that is named by its path; class 0, 1, 2: blue, green, red is strongest (BGR)."""
    folder = tmp_path / "voc-tiny"
    tiny_model.write_model(folder)
    weights = folder / "voc-tiny.caffemodel"
    tiny_model.write_weights(folder, weights, score=np.eye(3))
    monkeypatch.chdir(tmp_path)
    return folder
