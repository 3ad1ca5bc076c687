"""Fixtures of all commands: a working directory, one with the golden logs, pictures."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from places import GOLDEN

from caffe import glog
from caffe.layers import hdf5 as hdf5_layers
from caffe.running import roofline


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory, everything logged, one thread: the machine may be busy. Its peaks
    are not measured."""
    monkeypatch.setattr(roofline, "peak", lambda: roofline.Peak(100.0, 10.0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "0")
    glog.init_log()
    monkeypatch.setattr(hdf5_layers, "_logged", set())
    handlers, threads = list(glog.logger.handlers), torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)
    for handler in set(glog.logger.handlers) - set(handlers):
        handler.close()
    glog.logger.handlers[:] = handlers
    monkeypatch.undo()
    glog.init_log()


@pytest.fixture
def training(folder):
    """The folder in which BVLC Caffe printed its logs."""
    for path in (GOLDEN / "log").iterdir():
        shutil.copy(path, folder)
    (folder / "snapshot").mkdir()
    return folder


@pytest.fixture
def pictures(folder):
    """Two pictures of 2 x 3 pixels, BGR of each known, and their list."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 2, 3, 3), np.uint8)
    (folder / "root").mkdir()
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / "root" / f"a {i}.png")
    (folder / "list.txt").write_text("a 1.png 7\n\na 0.png 300\n")
    return pixels[::-1]  # in the list's order
