"""Builds the nets: bodies (VGG-16, CaffeNet), decoders, upsampling and loss, from caffe.NetSpec.

Blob and layer names are the published ones, because weights are copied from net to net by name. The
first convolution is padded by 100, so that every later blob is larger than its kernel however small
the picture is. `crop` computes where the picture then lies in the scores (`fcn explain voc-fcn8s`
shows this layer by layer).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop

Top: TypeAlias = Any  # net_spec's Top: an output of a layer under construction

LEARNED = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]  # weights, bias
FIXED = [dict(lr_mult=0)]
VGG16 = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels of each stage


def vgg16(
    n: caffe.NetSpec,
    data: Top,
    suffix: str = "",
    first: str = "conv1_1",
    narrow: int = 1,
    fc6: int = 7,
    drop: float = 0.5,
    first_rate: float = 1,
    **more: Any,
) -> Top:
    """VGG-16 through drop7, fully convolutional: 4096 channels at stride 32.

    `suffix` ends every name, and `first` names the first convolution. Small nets change four more:
    `narrow` divides all widths, `fc6` is the kernel size of that layer, `drop` the share of outputs
    that Dropout sets to zero, `first_rate` the lr_mult of the first weights. `more` goes to every
    convolution (fillers).
    """
    # A smaller fc6 takes less from its input, 32 pixels a cell. With this pad the crops of the scores
    # stay at 19, 27 and 31, and a picture of one pixel fills fc6. FCN-8s needs an fc6 of 4 at least:
    # the offset of its crop of pool3 is 2 fc6 - 5, and then up to 3 cells must be left behind the crop.
    pad = 100 - 16 * (7 - fc6)
    x = vgg16_stages(n, data, suffix, first, pad, narrow, first_rate, **more)
    for fc, kernel in (("6", fc6), ("7", 1)):
        conv = dict(num_output=4096 // narrow, kernel_size=kernel, stride=1, pad=0, param=LEARNED)
        x = conv_relu(n, f"fc{fc}{suffix}", f"relu{fc}{suffix}", x, **conv, **more)
        x = n[f"drop{fc}{suffix}"] = dropout(x, drop)
    return x


def vgg16_stages(
    n: caffe.NetSpec,
    data: Top,
    suffix: str = "",
    first: str = "conv1_1",
    pad: int = 1,
    narrow: int = 1,
    first_rate: float = 1,
    **more: Any,
) -> Top:
    """VGG-16 through pool5.

    `pad` is the first convolution's padding and `first_rate` the lr_mult of its weights. `more`
    goes to every convolution (fillers).
    """
    x = data
    for stage, (depth, channels) in enumerate(VGG16, 1):
        for i in range(1, depth + 1):
            at = f"{stage}_{i}"
            conv = dict(num_output=channels // narrow, kernel_size=3, stride=1, pad=1, **more)
            conv["param"] = LEARNED
            name = f"conv{at}"
            if at == "1_1":
                name, conv["pad"] = first, pad
                conv["param"] = [dict(LEARNED[0], lr_mult=first_rate), LEARNED[1]]
            x = conv_relu(n, name + suffix, f"relu{at}{suffix}", x, **conv)
        x = n[f"pool{stage}{suffix}"] = max_pool(x, 2, 2)
    return x


def caffenet(n: caffe.NetSpec, data: Top) -> Top:
    """CaffeNet, Caffe's AlexNet, through drop7, fully convolutional: 4096 channels at stride 32."""
    x = caffenet_stages(n, data, pad=100)
    for fc, kernel in (("6", 6), ("7", 1)):
        conv = dict(num_output=4096, kernel_size=kernel, stride=1, pad=0, group=1)
        x = conv_relu(n, f"fc{fc}", f"relu{fc}", x, **conv)
        x = n[f"drop{fc}"] = dropout(x)
    return x


def caffenet_stages(n: caffe.NetSpec, data: Top, pad: int = 0) -> Top:
    """CaffeNet through pool5. `pad` is the first convolution's padding.

    No layer has a `param`, as published.
    """
    x = data
    for at, channels, kernel, stride, padding, group in (
        ("1", 96, 11, 4, pad, 1),
        ("2", 256, 5, 1, 2, 2),
        ("3", 384, 3, 1, 1, 1),
        ("4", 384, 3, 1, 1, 2),
        ("5", 256, 3, 1, 1, 2),
    ):
        conv = dict(num_output=channels, kernel_size=kernel, stride=stride, pad=padding)
        x = conv_relu(n, f"conv{at}", f"relu{at}", x, group=group, **conv)
        if at in "125":
            x = n[f"pool{at}"] = max_pool(x, 3, 2)
        if at in "12":
            x = n[f"norm{at}"] = L.LRN(x, local_size=5, alpha=1e-4, beta=0.75)
    return x


def conv_relu(n: caffe.NetSpec, conv: str, relu: str, bottom: Top, **settings: Any) -> Top:
    """Add a convolution and its in-place ReLU under the two names given."""
    n[conv] = L.Convolution(bottom, **settings)
    n[relu] = L.ReLU(n[conv], in_place=True)
    return n[relu]


def max_pool(bottom: Top, kernel: int, stride: int) -> Top:
    """A max pooling layer."""
    return L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=kernel, stride=stride)


def dropout(bottom: Top, ratio: float = 0.5) -> Top:
    """An in-place Dropout layer."""
    return L.Dropout(bottom, dropout_ratio=ratio, in_place=True)


def decoder(
    n: caffe.NetSpec,
    classes: int,
    skips: Sequence[str] = (),
    task: str = "",
    scales: Mapping[str, float] | None = None,
    kernel: int | None = None,
) -> None:
    """Add the decoder: scores of drop7, fused with the scores of each skip, cropped to the data.

    Before each fusion the scores are upsampled by 2; after the last one, to the picture's size.
    `skips` names the blobs to fuse, the coarsest first. `task` ("sem", "geo") ends every name.
    `scales` maps a skip to a constant that it is multiplied by before it is scored. `kernel` is the
    kernel size of the last upsampling (default: twice its stride).
    """
    end = f"_{task}" if task else ""
    x = n["score_fr" + end] = score(n.drop7, classes)
    stride, name = 32, "upscore2"
    for skip in skips:
        x = n[name + end] = upscore(x, classes, 2)
        side = n[skip]
        if scales:
            filler = dict(type="constant", value=scales[skip])
            side = n[f"scale_{skip}"] = L.Scale(side, filler=filler, param=FIXED)
        side = n[f"score_{skip}{end}"] = score(side, classes)
        side = n[f"score_{skip}{end}c"] = crop(side, x)
        x = n[f"fuse_{skip}{end}"] = L.Eltwise(x, side, operation=P.Eltwise.SUM)
        stride, name = stride // 2, f"upscore_{skip}"
    name = f"upscore{stride}" if skips else "upscore"
    x = n[name + end] = upscore(x, classes, stride, kernel)
    n["score" + end] = crop(x, n.data)


def score(bottom: Top, classes: int) -> Top:
    """A 1x1 convolution that gives one score a class.

    It has no filler, so it starts from zero: a new skip changes nothing at first.
    """
    return L.Convolution(bottom, num_output=classes, kernel_size=1, pad=0, param=LEARNED)


def upscore(bottom: Top, classes: int, stride: int, kernel: int | None = None) -> Top:
    """A deconvolution that is not learned; `surgery.interp` makes it bilinear interpolation."""
    return L.Deconvolution(
        bottom,
        convolution_param=dict(
            num_output=classes, kernel_size=kernel or 2 * stride, stride=stride, bias_term=False
        ),
        param=FIXED,
    )


def seg_loss(score: Top, label: Top, normalize: bool = False) -> Top:
    """Softmax loss over the pixels, summed or, if `normalize`, averaged. Label 255 is ignored."""
    return L.SoftmaxWithLoss(score, label, loss_param=dict(ignore_label=255, normalize=normalize))
