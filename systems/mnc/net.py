"""The mask stage of MNC (Dai et al. 2016), upon the boxes of Faster R-CNN, on the embedded task."""

import argparse
from pathlib import Path

import caffe
from caffe import layers as L
from caffe import params as P
from fcn.datasets.sample import MEAN
from fcn.detection.masks import SIDE
from fcn.detection.nets import RATES, gaussian
from fcn.nets import FIXED, VGG16, conv_relu
from fcn.prototxts import NetParameter, text_of

NARROW, STAGES = (
    8,
    3,
)  # features are conv3_3's, of four pixels a cell: digits' strokes are 6 to 14 wide
WARPED = 14  # cells of a region along each side
BOXES = 3  # to learn from, of each object


def mask_net(split: str) -> NetParameter:
    """The net of "train", or that of "test": masks of regions that are given."""
    n = caffe.NetSpec()
    if split == "train":
        text = repr(dict(mean=MEAN, boxes=BOXES))
        n.data, n.rois, n.mask_targets = L.Python(
            ntop=3, module="fcn.detection.masks", layer="MaskDataLayer", param_str=text
        )
    else:
        n.data = L.Input(shape=dict(dim=[1, 3, 224, 224]))
        n.rois = L.Input(shape=dict(dim=[1, 5]))
    x = n.data
    for stage, (depth, channels) in enumerate(VGG16[:STAGES], 1):
        for i in range(1, depth + 1):
            conv = dict(num_output=channels // NARROW, pad=1, kernel_size=3, param=FIXED * 2)
            x = conv_relu(n, f"conv{stage}_{i}", f"relu{stage}_{i}", x, **conv)
        if stage < STAGES:
            x = n[f"pool{stage}"] = L.Pooling(x, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    shape = dict(pooled_h=WARPED, pooled_w=WARPED, spatial_scale=1 / 2 ** (STAGES - 1))
    n.roi_interpolate = L.ROIWarping(x, n.rois, roi_warping_param=shape)
    fc = dict(num_output=256, param=RATES, weight_filler=dict(type="xavier"))
    n.fc6_maskest = L.InnerProduct(n.roi_interpolate, **fc)
    n.relu6_maskest = L.ReLU(n.fc6_maskest, in_place=True)
    n.mask_pred = L.InnerProduct(
        n.relu6_maskest, num_output=SIDE * SIDE, param=RATES, **gaussian(0.01)
    )
    if split == "train":
        n.loss_mask = L.SigmoidCrossEntropyLoss(
            n.mask_pred, n.mask_targets, loss_param=dict(normalization=P.Loss.VALID)
        )
    else:
        n.mask_prob = L.Sigmoid(n.mask_pred)
    return n.to_proto()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="write this system's prototxts")
    parser.add_argument(
        "--sample", action="store_true", help="those of the embedded task: all there are"
    )
    parser.parse_args()
    for stem in ("train", "test"):
        path = Path(__file__).resolve().parent / f"sample/{stem}.prototxt"
        path.write_text(text_of(mask_net(stem)))
        print(f"wrote {path}")
