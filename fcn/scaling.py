"""Scales the weights of a net that starts from nothing, on its own data, so that it learns at once.

A narrow VGG-16 without batch normalization does not learn at first otherwise.
"""

import numpy as np

import caffe

SCALED = ("Convolution", "InnerProduct")
LAST = 0.1  # standard deviation of the class scores at the start; small, so no class is preferred


def scale_layers(net: caffe.Net) -> None:
    """Scale weights and biases, layer by layer, so that each channel of each top has unit variance.

    After Mishkin and Matas' layer-sequential unit-variance initialization (ICLR 2016), but with a
    scale for each channel, and on one batch of the net's own data. The last layer's scores get the
    standard deviation LAST; layers that are zero stay so.
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
