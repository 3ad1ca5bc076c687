"""Nets for digits and thumbnails."""

from caffe import layers as L
from caffe import params as P

from .parts import classify, conv, dense, gauss, pool, relu


def lenet(n, classes):
    """LeNet for digits of 28x28."""
    n.conv1 = conv(n.data, 20, 5)
    n.pool1 = pool(n.conv1, 2, 2)
    n.conv2 = conv(n.pool1, 50, 5)
    n.pool2 = pool(n.conv2, 2, 2)
    n.ip1 = dense(n.pool2, 500)
    n.relu1 = relu(n.ip1)
    n.ip2 = dense(n.ip1, classes)
    classify(n, "ip2")


def cifar10_quick(n, classes):
    """Caffe's quick net for CIFAR-10."""
    n.conv1 = conv(n.data, 32, 5, gauss(0.0001), pad=2)
    n.pool1 = pool(n.conv1, 3, 2)
    n.relu1 = relu(n.pool1)
    n.conv2 = conv(n.pool1, 32, 5, gauss(0.01), pad=2)
    n.relu2 = relu(n.conv2)
    n.pool2 = pool(n.conv2, 3, 2, "AVE")
    n.conv3 = conv(n.pool2, 64, 5, gauss(0.01), pad=2)
    n.relu3 = relu(n.conv3)
    n.pool3 = pool(n.conv3, 3, 2, "AVE")
    n.ip1 = dense(n.pool3, 64, gauss(0.1))
    n.ip2 = dense(n.ip1, classes, gauss(0.1))
    classify(n, "ip2")


def cifar10_full(n, classes):
    """Caffe's full net for CIFAR-10."""
    within = dict(local_size=3, alpha=5e-5, beta=0.75, norm_region=P.LRN.WITHIN_CHANNEL)
    n.conv1 = conv(n.data, 32, 5, gauss(0.0001), pad=2)
    n.pool1 = pool(n.conv1, 3, 2)
    n.relu1 = relu(n.pool1)
    n.norm1 = L.LRN(n.pool1, **within)
    n.conv2 = conv(n.norm1, 32, 5, gauss(0.01), pad=2)
    n.relu2 = relu(n.conv2)
    n.pool2 = pool(n.conv2, 3, 2, "AVE")
    n.norm2 = L.LRN(n.pool2, **within)
    n.conv3 = conv(n.norm2, 64, 5, gauss(0.01), pad=2)
    n.relu3 = relu(n.conv3)
    n.pool3 = pool(n.conv3, 3, 2, "AVE")
    n.ip1 = L.InnerProduct(
        n.pool3,
        num_output=classes,
        param=[dict(lr_mult=1, decay_mult=250), dict(lr_mult=2, decay_mult=0)],
        **gauss(0.01),
    )
    classify(n, "ip1")
