"""Words of forks: read as Caffe's own, and refused where two of them contradict each other."""

import pytest

from caffe.files.prototxt import parse_text
from caffe.files.spelling import SAME_TYPES
from caffe.files.upgrade import upgrade_net
from caffe.proto import caffe_pb2


def net(text):
    return upgrade_net(parse_text(text, caffe_pb2.NetParameter()), "n.prototxt")


def layer(text):
    return net(f'layer {{ name: "l" {text} }}').layer[0]


CONVOLUTION = 'type: "Convolution" convolution_param {{ {} }}'
POOLING = 'type: "Pooling" pooling_param {{ {} }}'


@pytest.mark.parametrize(
    "theirs, ours",
    [
        (CONVOLUTION.format("hole: 2"), CONVOLUTION.format("dilation: 2")),
        (CONVOLUTION.format("hole: 1"), CONVOLUTION.format("")),
        (CONVOLUTION.format("hole: 4 dilation: 4"), CONVOLUTION.format("dilation: 4")),
        (CONVOLUTION.format("hole_h: 2 hole_w: 3"), CONVOLUTION.format("dilation: [2, 3]")),
        (CONVOLUTION.format("hole_h: 2"), CONVOLUTION.format("dilation: [2, 1]")),
        (POOLING.format("ceil_mode: false"), POOLING.format("round_mode: FLOOR")),
        (POOLING.format("ceil_mode: true"), POOLING.format("")),
        (
            CONVOLUTION.format('weight_filler { type: "bilinear_upsampling" }'),
            CONVOLUTION.format('weight_filler { type: "bilinear" }'),
        ),
        ('type: "SOFTMAX_LOSS"', 'type: "SoftmaxWithLoss"'),
        ('type: "INNER_PRODUCT"', 'type: "InnerProduct"'),
        ('type: "SmoothL1LossOHEM"', 'type: "SmoothL1Loss"'),
    ],
)
def test_same_words(theirs, ours):
    assert layer(theirs) == layer(ours)
    assert layer(ours) == parse_text(f'name: "l" {ours}', caffe_pb2.LayerParameter())


@pytest.mark.parametrize(
    "text, says",
    [
        (CONVOLUTION.format("hole: 2 dilation: 3"), r"dilation \[3\] and hole \[2\] are two words"),
        (
            POOLING.format("ceil_mode: false round_mode: CEIL"),
            "round_mode CEIL and ceil_mode false",
        ),
    ],
)
def test_contradictions(text, says):
    with pytest.raises(ValueError, match=rf"n\.prototxt: layer 'l' \(.*\): {says}"):
        layer(text)


@pytest.mark.parametrize(
    "old, new",
    [
        ("DENSE_CRF", "DenseCRF"),
        ("IMAGE_SEG_DATA", "ImageSegData"),
        ("INTERP", "Interp"),
        ("MULTI_STAGE_MEANFIELD", "MultiStageMeanfield"),
        ("BN", "BN"),
        ("ROI_POOLING", "ROIPooling"),
        ("SMOOTH_L1_LOSS", "SmoothL1Loss"),
        ("CROP", "Crop"),
    ],
)
def test_types_of_the_old_format(old, new):
    assert net(f'layers {{ name: "l" type: {old} }}').layer[0].type == new


def test_settings_of_the_old_format_move_along():
    text = """layers { name: "i" type: INTERP interp_param { zoom_factor: 8 } strict_dim: false }
    layers { name: "s" type: SOFTMAX_LOSS softmaxloss_param { ignore_label: 255 } }
    layers { name: "c" type: CONVOLUTION convolution_param { hole: 12 } }"""
    interp, loss, convolution = net(text).layer
    assert interp.interp_param.zoom_factor == 8
    assert list(loss.softmaxloss_param.ignore_label) == [255]
    assert list(convolution.convolution_param.dilation) == [12]


def test_same_types_are_the_ends_of_the_way():
    assert not SAME_TYPES.keys() & set(SAME_TYPES.values())
