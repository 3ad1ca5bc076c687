"""GoogLeNet (Szegedy et al. 2014)."""

from caffe import layers as L
from caffe import params as P

from .parts import XAVIER, classify, conv, dense, pool, relu

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
    """GoogLeNet, with its two auxiliary classifiers."""

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
