"""Well-known nets, written with NetSpec from their papers' tables.

    python examples/known_nets.py googlenet > googlenet.prototxt

Each builder in examples/zoo adds a net's layers to a NetSpec that has `data` and `label`; `net` adds
Input layers for these, and `NETS` holds each net's input, number of classes and paper.
"""

import argparse
from typing import NamedTuple

from zoo.alexnet import alexnet, caffenet
from zoo.googlenet import googlenet
from zoo.resnet import resnet50
from zoo.small import cifar10_full, cifar10_quick, lenet
from zoo.squeezenet import squeezenet
from zoo.vgg import hed, vgg16

import caffe
from caffe import layers as L


class KnownNet(NamedTuple):
    """A builder, and what its net is for."""

    build: object
    data: tuple  # channels, height, width
    classes: int
    paper: str


NETS = {
    "lenet": KnownNet(lenet, (1, 28, 28), 10, "LeCun et al. 1998"),
    "cifar10_quick": KnownNet(cifar10_quick, (3, 32, 32), 10, "Krizhevsky's cuda-convnet"),
    "cifar10_full": KnownNet(cifar10_full, (3, 32, 32), 10, "Krizhevsky's cuda-convnet"),
    "alexnet": KnownNet(alexnet, (3, 227, 227), 1000, "Krizhevsky et al. 2012"),
    "caffenet": KnownNet(caffenet, (3, 227, 227), 1000, "Krizhevsky et al. 2012, Jia et al. 2014"),
    "vgg16": KnownNet(vgg16, (3, 224, 224), 1000, "Simonyan and Zisserman 2014"),
    "googlenet": KnownNet(googlenet, (3, 224, 224), 1000, "Szegedy et al. 2014"),
    "resnet50": KnownNet(resnet50, (3, 224, 224), 1000, "He et al. 2015"),
    "squeezenet": KnownNet(squeezenet, (3, 224, 224), 1000, "Iandola et al. 2016"),
    "hed": KnownNet(hed, (3, 400, 400), 1, "Xie and Tu 2015"),
}


def net(name, batch=1, size=None):
    """A net of NETS on Input layers, as a NetParameter; `size`: another height and width."""
    known = NETS[name]
    shape = [batch, *known.data] if size is None else [batch, known.data[0], *size]
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=shape))
    label = [batch, 1, *shape[2:]] if known.build is hed else [batch]
    n.label = L.Input(shape=dict(dim=label))
    known.build(n, known.classes)
    proto = n.to_proto()
    proto.name = name
    return proto


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("net", choices=NETS, help="its prototxt is printed")
    print(net(parser.parse_args().net), end="")
