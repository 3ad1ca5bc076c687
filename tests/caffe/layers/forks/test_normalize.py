"""Normalize of SSD and of caffe-windows."""

import numpy as np
import pytest
from gradient_check import Case, Layers, build, check_gradient, check_reference

from caffe.layers.forks.normalize import ItemNormalize, SSDNormalize

SSD = 'type: "Normalize" norm_param {{ eps: 0.1 {} }}'


def normalize(axes, eps=0.1, scaled=True):
    def reference(bottoms, params):
        x = bottoms[0]
        scale = params[0].reshape(1, -1, *[1] * (x.ndim - 2)) if scaled else 1
        return scale * x / np.sqrt((x**2).sum(axes, keepdims=True) + eps)

    return reference


CASES = [
    Case(SSD.format(""), [(2, 3, 2, 2)], normalize((1, 2, 3))),
    Case(SSD.format("across_spatial: false"), [(2, 3, 2, 2)], normalize(1)),
    Case(SSD.format("across_spatial: false channel_shared: false"), [(2, 3, 2, 2)], normalize(1)),
    Case(SSD.format("channel_shared: false"), [(2, 3)], normalize(1)),
    Case('type: "Normalize" normalize_param { }', [(2, 3, 2, 1)], normalize((1, 2, 3), 0, False)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_and_gradient(case):
    check_reference(case)
    check_gradient(case)


def test_the_scale_begins_at_1_or_as_filled():
    assert Layers(SSD.format(""), [(1, 2)]).params[0].data == 1
    text = SSD.format('channel_shared: false scale_filler { type: "constant" value: 20 }')
    assert Layers(text, [(1, 2)]).params[0].data.tolist() == [20, 20]


@pytest.mark.parametrize(
    "text, cls",
    [
        ("norm_param { }", SSDNormalize),
        ("param { lr_mult: 0 }", SSDNormalize),
        ("normalize_param { }", ItemNormalize),
    ],
)
def test_what_is_stated_decides(text, cls):
    assert type(build(f'type: "Normalize" {text}')) is cls


def test_what_does_not_decide_names_both():
    with pytest.raises(ValueError, match="SSD's, to be told by norm_param.*caffe-windows's, to be"):
        build('type: "Normalize"')


def test_bad_settings():
    with pytest.raises(ValueError, match="two axes at least"):
        Layers(SSD.format(""), [(3,)])
    with pytest.raises(ValueError, match="normalize_type is L2 here, got 'L1'"):
        Layers('type: "Normalize" normalize_param { normalize_type: "L1" }', [(1, 2)])
    run = Layers(SSD.format("channel_shared: false"), [(1, 2)])
    run.bottom[0].reshape(1, 3)
    with pytest.raises(ValueError, match="the scales are of 2 channels"):
        run.forward()
