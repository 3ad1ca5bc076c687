"""Loading and saving the net's weights, beside torch.load and torch.save of the same arrays."""

import tempfile
from pathlib import Path

import numpy as np
import torch

import caffe

from . import contest
from .contest import OURS, Contestant, Target

WARM = 1
TARGETS = (Target("load", 1.0, ("torch.load",)), Target("save", 1.0, ("torch.save",)))


def files(options, folder):
    """Median seconds, files in the system's cache; what was loaded is compared bit by bit."""
    weights = folder / "fcn8s.caffemodel"
    net = caffe.Net(str(folder / "fcn8s.prototxt"), str(weights), caffe.TEST)
    blobs = {f"{n}.{i}": blob for n, own in net.params.items() for i, blob in enumerate(own)}
    arrays = {name: blob.data.copy() for name, blob in blobs.items()}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def clear():  # so that an array that was not loaded is noticed
        for blob in blobs.values():
            blob.data[...] = np.nan

    def load(_):
        net.copy_from(str(weights))
        return {name: blob.data for name, blob in blobs.items()}

    def peer_load(_):
        return {name: tensor.numpy() for name, tensor in torch.load(there).items()}

    def same(loaded, _):
        return 0.0 if all(np.array_equal(loaded[n], a) for n, a in arrays.items()) else np.inf

    rounds = range(options.runs + WARM)
    with tempfile.TemporaryDirectory() as made:
        here, there = Path(made, "ours.caffemodel"), Path(made, "torch.pt")
        savers = [
            Contestant(OURS, "save", lambda _: net.save(str(here))),
            Contestant("torch.save", "save", lambda _: torch.save(tensors, there)),
        ]
        saved = contest.compete(savers, rounds, WARM)
        loaders = [
            Contestant(OURS, "load", load, clear),
            Contestant("torch.load", "load", peer_load),
        ]
        loaded = contest.compete(loaders, rounds, WARM, difference=same)
        size = here.stat().st_size / 1e6
    title = f"files: the {size:.0f} MB of FCN-8s's weights, median of {options.runs} times"
    rows = loaded + saved
    return {"title": title, "unit": "s", "rows": rows, "left_out": {}, "targets": TARGETS}
