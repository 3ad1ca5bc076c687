"""Trains the sample's classifier from nothing; knows only pycaffe's names.

A narrow VGG-16 without batch normalisation does not start by itself: its layers are first scaled on
data, and conv1_1's weights learn at 1/3600 of the rate, because pixels are raw (that
large is their square). Without either it stays at chance for minutes.
"""

import numpy as np
from tqdm import tqdm

import caffe

SCALED = ("Convolution", "InnerProduct")
LAST = 0.1  # standard deviation of the class scores at the start: all classes nearly even


def scale_layers(net):
    """Scale weights and biases, layer by layer, so that each channel of each top has unit variance.

    After Mishkin and Matas' layer-sequential unit-variance initialisation, with a scale a channel
    and on one batch of the net's own data. The last layer's scores get LAST instead of one.
    """
    names = list(net._layer_names)
    scaled = [name for name, layer in zip(names, net.layers) if layer.type in SCALED]
    start = names[0]
    for name in scaled:
        net.forward(start=start, end=name)  # stops before an in-place ReLU overwrites the top
        top = net.blobs[net.top_names[name][0]].data
        deviation = top.std(axis=(0, *range(2, top.ndim)), dtype=np.float64)
        deviation[deviation == 0] = 1  # a channel that does not move stays as it is
        factor = (LAST if name == scaled[-1] else 1) / deviation
        for blob in net.params[name]:
            blob.data[...] *= factor.reshape(-1, *[1] * (blob.data.ndim - 1))
        start = name  # the data stay the same; this layer runs again with its new weights


def train(solver_file, steps, show=50):
    """Train by a solver file, from scaled layers; returns (solver, accuracy on its first test net).

    The nets' tops are label, loss and (in the test net) accuracy.
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


def accuracy(solver, batches=10):
    """Mean of `accuracy` over some batches of the first test net, on the trained weights."""
    net = solver.test_nets[0]
    net.share_with(solver.net)
    return float(np.mean([net.forward()["accuracy"] for _ in range(batches)]))
