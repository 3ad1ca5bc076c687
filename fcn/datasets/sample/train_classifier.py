"""Trains the embedded task's classifier from random weights; `ilsvrc-nets/solve.py` is its command.

A narrow VGG-16 without batch normalization does not learn at first. So its layers are scaled on data,
and conv1_1 learns at 1/3600 of the rate, because raw pixels are some 60 times as large as later
blobs. Without either, the classifier stays at chance for minutes.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import caffe

SCALED = ("Convolution", "InnerProduct")
LAST = 0.1  # standard deviation of the class scores at the start; small, so no class is preferred


def scale_layers(net: caffe.Net) -> None:
    """Scale weights and biases, layer by layer, so that each channel of each top has unit variance.

    After Mishkin and Matas' layer-sequential unit-variance initialization (ICLR 2016), but with a
    scale for each channel, and on one batch of the net's own data. The last layer's scores get the
    standard deviation LAST.
    """
    scaled = [name for name, layer in net.layer_dict.items() if layer.type in SCALED]
    start = next(iter(net.layer_dict))
    for name in scaled:
        net.forward(start=start, end=name)  # stops before an in-place ReLU overwrites the top
        top = net.blobs[net.top_names[name][0]].data
        deviation = top.std(axis=(0, *range(2, top.ndim)), dtype=np.float64)
        deviation[deviation == 0] = 1  # a constant channel is not scaled
        factor = (LAST if name == scaled[-1] else 1) / deviation
        for blob in net.params[name]:
            blob.data[...] *= factor.reshape(-1, *[1] * (blob.data.ndim - 1))
        start = name  # the next pass keeps the data and runs this layer with its new weights


def train(solver_file: str | Path, steps: int, show: int = 50) -> tuple[Any, float]:
    """Scale the layers, then train; returns the solver and the accuracy on its first test net.

    The nets have the tops label, loss and (in the test net) accuracy. The progress bar shows the
    loss every `show` steps.
    """
    solver = caffe.get_solver(str(solver_file))
    scale_layers(solver.net)
    with tqdm(total=steps, desc="classifier", unit="step") as bar:
        while bar.n < steps:
            count = min(show, steps - bar.n)
            solver.step(count)
            bar.set_postfix(loss=f"{float(solver.net.blobs['loss'].data):.3f}")
            bar.update(count)
    return solver, accuracy(solver)


def accuracy(solver: Any, batches: int = 10) -> float:
    """The mean of the top `accuracy` over some batches of the first test net."""
    net = solver.test_nets[0]
    net.share_with(solver.net)
    return float(np.mean([net.forward()["accuracy"] for _ in range(batches)]))
