"""A training step of FCN-8s: the published solver beside its like in PyTorch."""

import tempfile
from pathlib import Path
from statistics import median

import torch
from torch import nn

import caffe

from . import contest, fcn8s, peer_torch, peers
from .contest import OURS, Contestant, LeftOut, Target

WARM = 1
TARGETS = (Target("float32", 0.85, ("PyTorch eager",)),)
PEERS = {"float32": "PyTorch eager", "tf32": "PyTorch eager", "bf16": "PyTorch autocast"}
# Of the gradients: behind the first layer's are twice as many roundings as behind a score
TOLERANCE = {"float32": 1e-5, "tf32": 1e-2, "bf16": 5e-2}


def training(options, folder):
    """Median seconds a step, Dropout and all; gradients are compared before, without Dropout."""
    height, width = options.size
    rows, left_out = [], {}
    for precision in (p for p in PEERS if p != "tf32" or options.device.type == "cuda"):
        try:
            contestants = [ours(options, precision), peer(options, folder, precision)]
        except LeftOut as error:
            left_out[f"{OURS} {precision}"] = str(error)
            continue
        pictures = fcn8s.pictures(height, width, options.runs + WARM)
        rows += contest.compete(contestants, pictures, WARM, median)
        del contestants
    differs = gradients_differ(options, folder, [(r["name"], r["group"]) for r in rows])
    for row, off in zip(rows, differs):
        row |= {"differs": off, "tolerance": TOLERANCE[row["group"]]}
    title = (
        f"training: FCN-8s, {height}x{width}, median of {options.runs} steps, each on a new picture"
    )
    return {"title": title, "unit": "s", "rows": rows, "left_out": left_out, "targets": TARGETS}


def ours(options, precision):
    """A contestant: our training step."""
    peers.switch(OURS, precision)
    solver = fcn8s.solver(*options.size, options.narrow)
    blobs = solver.net.blobs

    def step(item):
        feed(blobs, item)
        solver.step(1)
        return float(blobs["loss"].data)

    return Contestant(OURS, precision, step, lambda: peers.switch(OURS, precision))


def peer(options, folder, precision):
    """A contestant: PyTorch's training step."""
    trainer = peer_torch.Trainer(peer_torch.read(folder, options.device), precision)
    name = PEERS[precision]

    def step(item):
        return trainer.step(*(torch.from_numpy(array).to(options.device) for array in item))

    return Contestant(name, precision, step, lambda: peers.switch(name, precision))


def feed(blobs, item):
    """Put a picture and its label into a net's blobs."""
    for name, array in zip(("data", "label"), item):
        blobs[name].data[...] = array


# ---- agreement


def gradients_differ(options, folder, who):
    """How far the gradients of all weights are from autograd's, of one picture without Dropout.

    `who` is a list of (name, precision).
    """
    picture = next(fcn8s.pictures(*options.size, 1, seed=1))
    right = peer_gradients(options, folder, *contest.REFERENCE, picture)
    size = sum(float(b.square().sum(dtype=torch.float64)) for b in right.values())
    differs = []
    for name, precision in who:
        made = our_gradients if name == OURS else peer_gradients
        found = made(options, folder, name, precision, picture)
        pairs = [(found[key], right[key]) for key in right]
        off = sum(float((a - b).square().sum(dtype=torch.float64)) for a, b in pairs)
        differs.append((off / size) ** 0.5)
    return differs


def our_gradients(options, folder, name, precision, picture):
    """{(layer, position of the blob): diff} of a train net without Dropout."""
    peers.switch(name, precision)
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "train.prototxt")
        path.write_text(fcn8s.prototxt("train", *options.size, options.narrow, dropout=False))
        net = caffe.Net(str(path), str(folder / "fcn8s.caffemodel"), caffe.TRAIN)
    feed(net.blobs, picture)
    net.forward()
    net.backward()
    return {
        (layer, i): torch.from_numpy(blob.diff)
        for layer, blobs in net.params.items()
        for i, blob in enumerate(blobs)
    }


def peer_gradients(options, folder, name, precision, picture):
    """The same of a model without Dropout, of the weights that learn."""
    peers.switch(name, precision)
    model = peer_torch.read(folder, options.device)
    model.drop = nn.Identity()
    x, label = (torch.from_numpy(array).to(options.device) for array in picture)
    peer_torch.loss(model, x, label, precision).backward()
    return {
        (layer, i): weight.grad.cpu()
        for layer, module in model.named().items()
        for i, weight in enumerate(module.parameters())
        if weight.requires_grad
    }
