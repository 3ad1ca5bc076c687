"""What the nets are made of: layers with their usual fillers and rates."""

import caffe
from caffe import layers as L
from caffe import params as P

LEARN = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]


XAVIER = dict(weight_filler=dict(type="xavier"), bias_filler=dict(type="constant"))


def gauss(std, bias=0):
    """Normal weights of a deviation, constant biases."""
    return dict(
        weight_filler=dict(type="gaussian", std=std), bias_filler=dict(type="constant", value=bias)
    )


def conv(bottom, outputs, kernel, fill=XAVIER, **more):
    """A convolution, filled, that learns its biases twice as fast."""
    return L.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, param=LEARN, **fill, **more
    )


def dense(bottom, outputs, fill=XAVIER):
    """An inner product, filled likewise."""
    return L.InnerProduct(bottom, num_output=outputs, param=LEARN, **fill)


def relu(bottom):
    """A ReLU in place."""
    return L.ReLU(bottom, in_place=True)


def pool(bottom, kernel, stride, method="MAX", **more):
    """A pooling layer of a kernel and a stride."""
    return L.Pooling(
        bottom, pool=getattr(P.Pooling, method), kernel_size=kernel, stride=stride, **more
    )


def classify(n, score):
    """Loss and accuracy of class scores."""
    n.loss = L.SoftmaxWithLoss(n[score], n.label)
    n.accuracy = L.Accuracy(n[score], n.label, include=dict(phase=caffe.TEST))
