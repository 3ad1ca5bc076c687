"""A training step of FCN-8s: the published solver beside its like in eager PyTorch."""

import tempfile
from pathlib import Path
from statistics import median

import torch
from torch import nn

import caffe

from . import contest, fcn8s, peer_torch, peers
from .contest import OURS, Contestant, Target

WARM = 1
TARGETS = (Target("float32", 0.85, ("PyTorch eager",)),)
# A gradient is not continuous where two of a pool's values, or a ReLU's and zero, are nearly equal,
# and of so many some are
TOLERANCE = 1e-3


def training(options, folder):
    """Median seconds a step, Dropout and all; gradients compared before, without Dropout."""
    height, width = options.size
    off = gradients_differ(options, folder)
    contestants = [
        contestant
        for precision in (["float32", "tf32"] if options.device.type == "cuda" else ["float32"])
        for contestant in (ours(options, precision), eager(options, folder, precision))
    ]
    pictures = fcn8s.pictures(height, width, options.runs + WARM)
    rows = contest.compete(contestants, pictures, WARM, median)
    for row in rows:
        if row["group"] == "float32":
            row |= {"differs": off if row["name"] == OURS else 0.0, "tolerance": TOLERANCE}
    title = (
        f"training: FCN-8s, {height}x{width}, median of {options.runs} steps, each on a new picture"
    )
    return {"title": title, "unit": "s", "rows": rows, "left_out": {}, "targets": TARGETS}


def ours(options, precision):
    peers.switch(OURS, precision)
    solver = fcn8s.solver(*options.size, options.narrow)
    blobs = solver.net.blobs

    def step(item):
        for name, array in zip(("data", "label"), item):
            blobs[name].data[...] = array
        solver.step(1)
        return float(blobs["loss"].data)

    return Contestant(OURS, precision, step, lambda: peers.switch(OURS, precision))


def eager(options, folder, precision):
    trainer = peer_torch.Trainer(peer_torch.read(folder, options.device))

    def step(item):
        return trainer.step(*(torch.from_numpy(array).to(options.device) for array in item))

    name = "PyTorch eager"
    return Contestant(name, precision, step, lambda: peers.switch(name, precision))


def gradients_differ(options, folder):
    """How far the gradients of all weights are from autograd's, of one picture without Dropout."""
    height, width = options.size
    picture = next(fcn8s.pictures(height, width, 1, seed=1))
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "train.prototxt")
        path.write_text(fcn8s.prototxt("train", height, width, options.narrow, dropout=False))
        net = caffe.Net(str(path), str(folder / "fcn8s.caffemodel"), caffe.TRAIN)
    peers.switch(OURS, "float32")
    for name, array in zip(("data", "label"), picture):
        net.blobs[name].data[...] = array
    net.forward()
    net.backward()
    model = peer_torch.read(folder, options.device)
    model.drop = nn.Identity()
    x, label = (torch.from_numpy(array).to(options.device) for array in picture)
    peers.switch("PyTorch eager", "float32")
    peer_torch.loss(model, x, label).backward()
    gradients = [
        (torch.from_numpy(blob.diff), weight.grad.cpu())
        for name, module in model.named().items()
        for blob, weight in zip(net.params[name], module.parameters())
        if weight.requires_grad
    ]
    off = sum(float((a - b).square().sum(dtype=torch.float64)) for a, b in gradients)
    return (off / sum(float(b.square().sum(dtype=torch.float64)) for _, b in gradients)) ** 0.5
