"""Well-known nets, written with NetSpec from their papers' tables.

    python examples/known_nets.py googlenet > googlenet.prototxt

Each builder adds a net's layers to a NetSpec that has `data` and `label`; `net` adds Input layers for
these, and `NETS` holds each net's input, number of classes and paper.
"""

import sys
from typing import NamedTuple

import caffe
from caffe import layers as L
from caffe import params as P

LEARN = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]
XAVIER = dict(weight_filler=dict(type="xavier"), bias_filler=dict(type="constant"))


def gauss(std, bias=0):
    return dict(
        weight_filler=dict(type="gaussian", std=std), bias_filler=dict(type="constant", value=bias)
    )


def conv(bottom, outputs, kernel, fill=XAVIER, **more):
    return L.Convolution(
        bottom, num_output=outputs, kernel_size=kernel, param=LEARN, **fill, **more
    )


def dense(bottom, outputs, fill=XAVIER):
    return L.InnerProduct(bottom, num_output=outputs, param=LEARN, **fill)


def relu(bottom):
    return L.ReLU(bottom, in_place=True)


def pool(bottom, kernel, stride, method="MAX", **more):
    return L.Pooling(
        bottom, pool=getattr(P.Pooling, method), kernel_size=kernel, stride=stride, **more
    )


def classify(n, score):
    """Loss and accuracy of class scores."""
    n.loss = L.SoftmaxWithLoss(n[score], n.label)
    n.accuracy = L.Accuracy(n[score], n.label, include=dict(phase=caffe.TEST))


# ---- digits and thumbnails


def lenet(n, classes):
    n.conv1 = conv(n.data, 20, 5)
    n.pool1 = pool(n.conv1, 2, 2)
    n.conv2 = conv(n.pool1, 50, 5)
    n.pool2 = pool(n.conv2, 2, 2)
    n.ip1 = dense(n.pool2, 500)
    n.relu1 = relu(n.ip1)
    n.ip2 = dense(n.ip1, classes)
    classify(n, "ip2")


def cifar10_quick(n, classes):
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


# ---- AlexNet


def _alexnet(n, classes, norm_first):
    """Two GPUs in the paper, hence group 2. CaffeNet pools before it normalizes."""

    def norm_and_pool(i, bottom):
        steps = [("norm", lambda b: L.LRN(b, local_size=5, alpha=1e-4, beta=0.75))]
        steps.insert(len(steps) if norm_first else 0, ("pool", lambda b: pool(b, 3, 2)))
        for name, make in steps:
            bottom = n[f"{name}{i}"] = make(bottom)
        return bottom

    n.conv1 = conv(n.data, 96, 11, gauss(0.01), stride=4)
    n.relu1 = relu(n.conv1)
    n.conv2 = conv(norm_and_pool(1, n.conv1), 256, 5, gauss(0.01, 0.1), pad=2, group=2)
    n.relu2 = relu(n.conv2)
    n.conv3 = conv(norm_and_pool(2, n.conv2), 384, 3, gauss(0.01), pad=1)
    n.relu3 = relu(n.conv3)
    n.conv4 = conv(n.conv3, 384, 3, gauss(0.01, 0.1), pad=1, group=2)
    n.relu4 = relu(n.conv4)
    n.conv5 = conv(n.conv4, 256, 3, gauss(0.01, 0.1), pad=1, group=2)
    n.relu5 = relu(n.conv5)
    n.pool5 = pool(n.conv5, 3, 2)
    _fully_connected(n, n.pool5, classes, gauss(0.005, 0.1), gauss(0.01))


def _fully_connected(n, bottom, classes, fill, last):
    for i in (6, 7):
        n[f"fc{i}"] = bottom = dense(bottom, 4096, fill)
        n[f"relu{i}"] = relu(bottom)
        n[f"drop{i}"] = L.Dropout(bottom, dropout_ratio=0.5, in_place=True)
    n.fc8 = dense(bottom, classes, last)
    classify(n, "fc8")


def alexnet(n, classes):
    _alexnet(n, classes, norm_first=True)


def caffenet(n, classes):
    _alexnet(n, classes, norm_first=False)


# ---- VGG


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
    n.pool5 = pool(_vgg_features(n), 2, 2)
    _fully_connected(n, n.pool5, classes, gauss(0.005), gauss(0.01))


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


# ---- GoogLeNet

# widths of 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool projection (the paper's table 1)
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(n, classes):
    def add(name, bottom, outputs, kernel, **more):
        n[name] = conv(bottom, outputs, kernel, dict(XAVIER, bias_filler=dict(value=0.2)), **more)
        n[name.replace("/", "/relu_", 1)] = relu(n[name])
        return n[name]

    def inception(which, bottom):
        one, reduce3, three, reduce5, five, projection = INCEPTIONS[which]
        at = f"inception_{which}/"
        n[at + "pool"] = pool(bottom, 3, 1, pad=1)
        three_in = add(at + "3x3_reduce", bottom, reduce3, 1)
        five_in = add(at + "5x5_reduce", bottom, reduce5, 1)
        branches = (
            add(at + "1x1", bottom, one, 1),
            add(at + "3x3", three_in, three, 3, pad=1),
            add(at + "5x5", five_in, five, 5, pad=2),
            add(at + "pool_proj", n[at + "pool"], projection, 1),
        )
        n[at + "output"] = L.Concat(*branches)
        return n[at + "output"]

    def side_loss(i, bottom):
        at = f"loss{i}/"
        n[at + "ave_pool"] = pool(bottom, 5, 3, "AVE")
        add(at + "conv", n[at + "ave_pool"], 128, 1)
        n[at + "fc"] = dense(n[at + "conv"], 1024)
        n[at + "relu_fc"] = relu(n[at + "fc"])
        n[at + "drop_fc"] = L.Dropout(n[at + "fc"], dropout_ratio=0.7, in_place=True)
        n[at + "classifier"] = dense(n[at + "fc"], classes)
        n[at + "loss"] = L.SoftmaxWithLoss(n[at + "classifier"], n.label, loss_weight=0.3)

    add("conv1/7x7_s2", n.data, 64, 7, pad=3, stride=2)
    n["pool1/3x3_s2"] = pool(n["conv1/7x7_s2"], 3, 2)
    n["pool1/norm1"] = L.LRN(n["pool1/3x3_s2"], local_size=5, alpha=1e-4, beta=0.75)
    add("conv2/3x3_reduce", n["pool1/norm1"], 64, 1)
    add("conv2/3x3", n["conv2/3x3_reduce"], 192, 3, pad=1)
    n["conv2/norm2"] = L.LRN(n["conv2/3x3"], local_size=5, alpha=1e-4, beta=0.75)
    n["pool2/3x3_s2"] = bottom = pool(n["conv2/norm2"], 3, 2)
    for which in INCEPTIONS:
        bottom = inception(which, bottom)
        if which in ("4a", "4d"):
            side_loss(1 if which == "4a" else 2, bottom)
        if which in ("3b", "4e"):
            name = f"pool{which[0]}/3x3_s2"
            n[name] = bottom = pool(bottom, 3, 2)
    n["pool5/7x7_s1"] = L.Pooling(bottom, pool=P.Pooling.AVE, global_pooling=True)
    n["pool5/drop"] = L.Dropout(n["pool5/7x7_s1"], dropout_ratio=0.4, in_place=True)
    n["loss3/classifier"] = dense(n["pool5/7x7_s1"], classes)
    classify(n, "loss3/classifier")


# ---- ResNet, SqueezeNet


def resnet50(n, classes):
    def add(name, bottom, outputs, kernel, active=True, **more):
        """Convolution without bias, batch normalization, scale; ReLU where `active`."""
        fill = dict(weight_filler=dict(type="msra"))
        at = name.replace("res", "bn") if name.startswith("res") else f"bn_{name}"
        n[name] = L.Convolution(
            bottom, num_output=outputs, kernel_size=kernel, bias_term=False, **fill, **more
        )
        n[at] = L.BatchNorm(n[name], in_place=True)
        n[at.replace("bn", "scale", 1)] = L.Scale(n[name], bias_term=True, in_place=True)
        if active:
            n[f"{name}_relu"] = relu(n[name])
        return n[name]

    def bottleneck(name, bottom, width, stride, project):
        shortcut = bottom
        if project:
            shortcut = add(f"{name}_branch1", bottom, 4 * width, 1, active=False, stride=stride)
        x = add(f"{name}_branch2a", bottom, width, 1, stride=stride)
        x = add(f"{name}_branch2b", x, width, 3, pad=1)
        x = add(f"{name}_branch2c", x, 4 * width, 1, active=False)
        n[name] = L.Eltwise(shortcut, x)
        n[f"{name}_relu"] = relu(n[name])
        return n[name]

    n.pool1 = bottom = pool(add("conv1", n.data, 64, 7, pad=3, stride=2), 3, 2)
    for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), 2):
        for i in range(depth):
            stride = 2 if stage > 2 and i == 0 else 1
            name = f"res{stage}{chr(ord('a') + i)}"
            bottom = bottleneck(name, bottom, width, stride, project=i == 0)
    n.pool5 = L.Pooling(bottom, pool=P.Pooling.AVE, global_pooling=True)
    n.fc1000 = dense(n.pool5, classes, dict(weight_filler=dict(type="msra")))
    classify(n, "fc1000")


def squeezenet(n, classes):
    """Version 1.0: fire modules squeeze by 1x1, then expand by 1x1 and 3x3."""

    def add(name, bottom, outputs, kernel, **more):
        n[name] = conv(bottom, outputs, kernel, **more)
        n[name.replace("/", "/relu_") if "/" in name else f"relu_{name}"] = relu(n[name])
        return n[name]

    n.pool1 = bottom = pool(add("conv1", n.data, 96, 7, stride=2), 3, 2)
    for i, squeeze in enumerate((16, 16, 32, 32, 48, 48, 64, 64), 2):
        at = f"fire{i}/"
        narrow = add(at + "squeeze1x1", bottom, squeeze, 1)
        wide = add(at + "expand1x1", narrow, 4 * squeeze, 1)
        wider = add(at + "expand3x3", narrow, 4 * squeeze, 3, pad=1)
        n[at + "concat"] = bottom = L.Concat(wide, wider)
        if i in (4, 8):
            n[f"pool{i}"] = bottom = pool(bottom, 3, 2)
    n.drop9 = L.Dropout(bottom, dropout_ratio=0.5, in_place=True)
    last = add("conv10", bottom, classes, 1)
    n.pool10 = L.Pooling(last, pool=P.Pooling.AVE, global_pooling=True)
    classify(n, "pool10")


# ---- all of them


class KnownNet(NamedTuple):
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
    if len(sys.argv) != 2 or sys.argv[1] not in NETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(NETS)}")
    print(net(sys.argv[1]), end="")
