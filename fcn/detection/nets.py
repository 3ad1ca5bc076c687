"""The nets of Fast R-CNN (Girshick 2015) and Faster R-CNN (Ren et al. 2015), as py-faster-rcnn has them.

Names and shapes are the released ones, because weights are copied from net to net by name.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import caffe
from caffe import layers as L
from caffe import params as P
from fcn.nets import VGG16, Top, conv_relu
from fcn.prototxts import NetParameter

RATES = [dict(lr_mult=1), dict(lr_mult=2)]  # weights, bias
STILL = [dict(lr_mult=0, decay_mult=0)] * 2
RATIOS = 3  # shapes of anchors a scale
STRIDE = 16


class Size(NamedTuple):
    """How wide a net is, and for what."""

    classes: int  # background counted
    rpn: int = 512  # channels of the region proposal net
    fc: int = 4096  # channels of fc6 and fc7
    pooled: int = 7  # a region becomes pooled x pooled cells
    narrow: int = 1  # divides the body's channels
    drop: float = 0.5  # share of fc6 and fc7 that Dropout sets to zero
    scales: tuple[float, ...] = ()  # of anchors, in 16 pixels; () for those of the layers
    numbers: dict[str, Any] = {}  # what param_strs state of py-faster-rcnn's cfg

    @property
    def anchors(self) -> int:
        """How many there are at a place."""
        return RATIOS * len(self.scales or (8, 16, 32))


def gaussian(std: float) -> dict[str, Any]:
    """Fillers of weights and bias."""
    return dict(
        weight_filler=dict(type="gaussian", std=std), bias_filler=dict(type="constant", value=0)
    )


class Published(NamedTuple):
    """A Python layer of py-faster-rcnn."""

    name: str  # in its nets
    module: str
    layer: str


DATA = Published("input-data", "roi_data_layer.layer", "RoIDataLayer")
REGION_DATA = Published("data", DATA.module, DATA.layer)
ANCHOR_TARGETS = Published("rpn-data", "rpn.anchor_target_layer", "AnchorTargetLayer")
PROPOSAL = Published("proposal", "rpn.proposal_layer", "ProposalLayer")
PROPOSAL_TARGETS = Published("roi-data", "rpn.proposal_target_layer", "ProposalTargetLayer")
TARGETS = ("targets", "inside_weights", "outside_weights")  # how tops of both stages end
READING = ("scale", "max_size", "pixel_means")  # numbers of the data layer


def python(
    n: caffe.NetSpec,
    which: Published,
    bottoms: Sequence[Top],
    tops: Sequence[str],
    **numbers: Any,
) -> None:
    """Add a Python layer, whose param_str states `numbers`, and its tops."""
    text = ", ".join(f"{key!r}: {value!r}" for key, value in numbers.items())
    found = L.Python(
        *bottoms,
        ntop=len(tops),
        name=which.name,
        python_param=dict(module=which.module, layer=which.layer, param_str=text),
    )
    for top, value in zip(tops, found if len(tops) > 1 else [found]):
        n[top] = value


def stated(size: Size, *names: str) -> dict[str, Any]:
    """Those of a net's numbers that have one of these names, or begin with it."""
    return {key: value for key, value in size.numbers.items() if key.startswith(names)}


def vgg16_body(n: caffe.NetSpec, data: Top, size: Size) -> Top:
    """VGG-16 through conv5_3, at stride 16. The first two stages learn nothing."""
    x = data
    for stage, (depth, channels) in enumerate(VGG16, 1):
        for i in range(1, depth + 1):
            at, rates = f"{stage}_{i}", STILL if stage < 3 else RATES
            conv = dict(num_output=channels // size.narrow, pad=1, kernel_size=3, param=rates)
            x = conv_relu(n, f"conv{at}", f"relu{at}", x, **conv)
        if stage < 5:
            x = n[f"pool{stage}"] = L.Pooling(x, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    return x


def zf_body(n: caffe.NetSpec, data: Top, size: Size) -> Top:
    """The net of Zeiler and Fergus through conv5, at stride 16."""
    x = data
    norm = dict(local_size=3, alpha=5e-5, beta=0.75, norm_region=P.LRN.WITHIN_CHANNEL)
    for at, channels, kernel, pad, stride in (
        ("1", 96, 7, 3, 2),
        ("2", 256, 5, 2, 2),
        ("3", 384, 3, 1, 1),
        ("4", 384, 3, 1, 1),
        ("5", 256, 3, 1, 1),
    ):
        conv = dict(num_output=channels, kernel_size=kernel, pad=pad, stride=stride, param=RATES)
        x = conv_relu(n, f"conv{at}", f"relu{at}", x, **conv)
        if at in "12":
            x = n[f"norm{at}"] = L.LRN(x, engine=P.LRN.CAFFE, **norm)
            pool = dict(pool=P.Pooling.MAX, kernel_size=3, stride=2, pad=1)
            x = n[f"pool{at}"] = L.Pooling(x, **pool)
    return x


BODIES = {"vgg16": vgg16_body, "zf": zf_body}


def proposals(n: caffe.NetSpec, features: Top, size: Size) -> Top:
    """Add the region proposal net; in training, its losses and the choice of regions to learn from."""
    training = "gt_boxes" in n.tops
    count, scales = size.anchors, dict(scales=list(size.scales)) if size.scales else {}
    conv = dict(num_output=size.rpn, kernel_size=3, pad=1, stride=1, param=RATES)
    x = L.Convolution(features, name="rpn_conv/3x3", **conv, **gaussian(0.01))
    n["rpn/output"], n["rpn_relu/3x3"] = x, L.ReLU(x, in_place=True)
    one = dict(kernel_size=1, pad=0, stride=1, param=RATES, **gaussian(0.01))
    x = n["rpn_relu/3x3"]
    n.rpn_cls_score = L.Convolution(x, num_output=2 * count, **one)
    n.rpn_bbox_pred = L.Convolution(x, num_output=4 * count, **one)
    pairs = dict(dim=[0, 2, -1, 0])
    n.rpn_cls_score_reshape = L.Reshape(n.rpn_cls_score, shape=pairs)
    if training:
        names = ("rpn_labels", *(f"rpn_bbox_{end}" for end in TARGETS))
        judged = (n.rpn_cls_score, n.gt_boxes, n.im_info, n.data)
        numbers = dict(
            feat_stride=STRIDE,
            **scales,
            **stated(size, "rpn_batch", "rpn_fg", "rpn_positive", "rpn_negative"),
        )
        python(n, ANCHOR_TARGETS, judged, names, **numbers)
        targets = [n[name] for name in names]
        counted = dict(ignore_label=-1, normalize=True)
        learned = dict(propagate_down=[1, 0], loss_weight=1, loss_param=counted)
        scores = n.rpn_cls_score_reshape
        n.rpn_cls_loss = L.SoftmaxWithLoss(scores, targets[0], name="rpn_loss_cls", **learned)
        n.rpn_loss_bbox = L.SmoothL1Loss(
            n.rpn_bbox_pred, *targets[1:], loss_weight=1, smooth_l1_loss_param=dict(sigma=3.0)
        )
    n.rpn_cls_prob = L.Softmax(n.rpn_cls_score_reshape)
    n.rpn_cls_prob_reshape = L.Reshape(n.rpn_cls_prob, shape=dict(dim=[0, 2 * count, -1, 0]))
    bottoms = (n.rpn_cls_prob_reshape, n.rpn_bbox_pred, n.im_info)
    numbers = dict(feat_stride=STRIDE, **scales, **stated(size, "rpn_pre", "rpn_post", "rpn_min"))
    python(n, PROPOSAL, bottoms, ["rpn_rois" if training else "rois"], **numbers)
    if training:
        numbers = dict(num_classes=size.classes, **stated(size, "batch", "fg", "bg"))
        names = ("rois", "labels", *(f"bbox_{end}" for end in TARGETS))
        python(n, PROPOSAL_TARGETS, (n.rpn_rois, n.gt_boxes), names, **numbers)
    return n.rois


def head(n: caffe.NetSpec, features: Top, rois: Top, size: Size, body: str) -> None:
    """Add what classifies regions and moves their boxes; in training, its losses."""
    zf = body == "zf"
    shape = dict(pooled_w=size.pooled, pooled_h=size.pooled, spatial_scale=1 / STRIDE)
    pooled, name = ("roi_pool_conv5",) * 2 if zf else ("pool5", "roi_pool5")
    x = L.ROIPooling(features, rois, name=name, roi_pooling_param=shape)
    n[pooled] = x
    drop = dict(dropout_ratio=size.drop, **(dict(scale_train=False) if zf else {}))
    for fc in "67":
        n[f"fc{fc}"] = L.InnerProduct(x, num_output=size.fc, param=RATES)
        n[f"relu{fc}"] = L.ReLU(n[f"fc{fc}"], in_place=True)
        x = n[f"drop{fc}"] = L.Dropout(n[f"relu{fc}"], in_place=True, **drop)
    n.cls_score = L.InnerProduct(x, num_output=size.classes, param=RATES, **gaussian(0.01))
    n.bbox_pred = L.InnerProduct(x, num_output=4 * size.classes, param=RATES, **gaussian(0.001))
    if "labels" not in n.tops:
        n.cls_prob = L.Softmax(n.cls_score)
        return
    counted = dict(loss_param=dict(ignore_label=-1, normalize=True)) if zf else {}
    learned = dict(propagate_down=[1, 0], loss_weight=1, **counted)
    tops = ("cls_loss", "bbox_loss") if zf else ("loss_cls", "loss_bbox")
    n[tops[0]] = L.SoftmaxWithLoss(n.cls_score, n.labels, name="loss_cls", **learned)
    targets = [n[f"bbox_{end}"] for end in TARGETS]
    n[tops[1]] = L.SmoothL1Loss(n.bbox_pred, *targets, name="loss_bbox", loss_weight=1)


# ---- whole nets


def faster_rcnn(split: str, size: Size, body: str = "vgg16") -> NetParameter:
    """Faster R-CNN, end to end: the net of "train", or that of "test"."""
    n = caffe.NetSpec()
    if split == "train":
        names, reading = ("data", "im_info", "gt_boxes"), stated(size, *READING)
        python(n, DATA, (), names, num_classes=size.classes, **reading)
    else:
        n.data = L.Input(shape=dict(dim=[1, 3, 224, 224]))
        n.im_info = L.Input(shape=dict(dim=[1, 3]))
    features = BODIES[body](n, n.data, size)
    head(n, features, proposals(n, features, size), size, body)
    return n.to_proto()


def fast_rcnn(split: str, size: Size, body: str = "vgg16") -> NetParameter:
    """Fast R-CNN, which is given its regions: the net of "train", or that of "test"."""
    n = caffe.NetSpec()
    if split == "train":
        names = ("data", "rois", "labels", *(f"bbox_{end}" for end in TARGETS))
        numbers = stated(size, *READING, "batch", "fg", "bg", "ims")
        python(n, REGION_DATA, (), names, num_classes=size.classes, **numbers)
    else:
        n.data = L.Input(shape=dict(dim=[1, 3, 224, 224]))
        n.rois = L.Input(shape=dict(dim=[1, 5]))
    head(n, BODIES[body](n, n.data, size), n.rois, size, body)
    return n.to_proto()
