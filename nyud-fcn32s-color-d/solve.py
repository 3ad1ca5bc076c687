"""Train FCN-32s on colour and depth of NYUDv2, from VGG-16 and a first filter for depth."""

import caffe
from fcn.surgery import transplant
from fcn.train import Recipe, solve


def add_depth(net: caffe.Net, vgg16: caffe.Net) -> None:
    """Copy VGG-16 by name. The depth filters are the mean of the colour filters."""
    transplant(net, vgg16)
    weights, bias = vgg16.params["conv1_1"]
    new_weights, new_bias = net.params["conv1_1_bgrd"]
    new_weights.data[:, :3] = weights.data
    new_weights.data[:, 3] = weights.data.mean(axis=1)
    new_bias.data[...] = bias.data


RECIPE = Recipe(start="ilsvrc-nets/vgg16-fcn", initialize=add_depth, rounds=50, steps=2000)

if __name__ == "__main__":
    solve(__file__, RECIPE)
