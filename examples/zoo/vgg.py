"""VGG-16 (Simonyan and Zisserman 2014), and HED (Xie and Tu 2015) on top of it."""

import caffe
from caffe import layers as L

from .alexnet import fully_connected
from .parts import LEARN, conv, gauss, pool, relu


def _vgg_features(n, pad=1):
    """conv1_1 ... conv5_3 of the 16-layer net (column D), with pools between the five stages."""
    bottom = n.data
    for stage, (width, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        if stage > 1:
            n[f"pool{stage - 1}"] = bottom = pool(bottom, 2, 2)
        for i in range(1, depth + 1):
            first = stage == i == 1
            n[f"conv{stage}_{i}"] = bottom = conv(bottom, width, 3, pad=pad if first else 1)
            n[f"relu{stage}_{i}"] = relu(bottom)
    return bottom


def vgg16(n, classes):
    """VGG-16, table 1, D."""
    n.pool5 = pool(_vgg_features(n), 2, 2)
    fully_connected(n, n.pool5, classes, gauss(0.005), gauss(0.01))


def hed(n, classes):
    """Edges from five side outputs of VGG-16 and their weighted sum; a loss on each."""
    _vgg_features(n, pad=35)
    sides = []
    for stage, depth in enumerate((2, 2, 3, 3, 3), 1):
        bottom, name = n[f"conv{stage}_{depth}"], f"score-dsn{stage}"
        n[name] = side = conv(bottom, classes, 1, gauss(0.01))
        if stage > 1:
            stride = 2 ** (stage - 1)
            up = dict(num_output=classes, kernel_size=2 * stride, stride=stride, bias_term=False)
            n[f"{name}-up"] = side = L.Deconvolution(
                side,
                convolution_param=dict(weight_filler=dict(type="bilinear"), **up),
                param=[dict(lr_mult=0)],
            )
        n[f"upscore-dsn{stage}"] = side = caffe.coord_map.crop(side, n.data)
        n[f"dsn{stage}_loss"] = L.SigmoidCrossEntropyLoss(side, n.label)
        sides.append(side)
    n["concat-upscore"] = L.Concat(*sides)
    fuse = dict(weight_filler=dict(type="constant", value=0.2))
    n["upscore-fuse"] = L.Convolution(
        n["concat-upscore"], num_output=classes, kernel_size=1, param=LEARN, **fuse
    )
    n.fuse_loss = L.SigmoidCrossEntropyLoss(n["upscore-fuse"], n.label)
