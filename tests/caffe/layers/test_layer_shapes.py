"""Sizes by the rules that BVLC Caffe 1.0 follows: rounding, truncation, padding, cropping."""

import json

import pytest
from gradient_check import Layers
from places import GOLDEN

RULES = json.loads((GOLDEN / "rules.json").read_text())
WINDOW = [
    f"{name}: {{{name}}}"
    for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w")
]
CONVOLUTION = " ".join(WINDOW) + " dilation: {dilation_h} dilation: {dilation_w} num_output: 3"


def rows(table):
    columns = RULES[table]["columns"]
    return [dict(zip(columns, row)) for row in RULES[table]["rows"]]


def top_shape(text, *shapes):
    run = Layers(text, shapes)
    return list(run.top[0].shape)


@pytest.mark.parametrize("row", rows("pooling_shapes"), ids=str)
def test_pooling(row):
    text = " ".join(WINDOW).format(**row)
    shape = top_shape(
        f'type: "Pooling" pooling_param {{ {text} round_mode: {row["round_mode"]} }}',
        (2, 3, row["h"], row["w"]),
    )
    assert shape == [2, 3, row["out_h"], row["out_w"]]


@pytest.mark.parametrize(
    "kind, table",
    [
        ("Convolution", "convolution_shapes"),
        ("Deconvolution", "deconvolution_shapes"),
        ("Im2col", "im2col_shapes"),
    ],
)
def test_convolution(kind, table):
    for row in rows(table):
        text = f'type: "{kind}" convolution_param {{ {CONVOLUTION.format(**row)} }}'
        shape = top_shape(text, (1, 2, row["h"], row["w"]))
        assert shape[1:] == [row["out_channels"], row["out_h"], row["out_w"]], row


@pytest.mark.parametrize("row", rows("crop_shapes"), ids=str)
def test_crop(row):
    offsets = " ".join(f"offset: {offset}" for offset in row["offset"])
    text = f'type: "Crop" crop_param {{ axis: {row["axis"]} {offsets} }}'
    assert top_shape(text, row["bottom0"], row["bottom1"]) == row["top"]


@pytest.mark.parametrize("row", rows("spp_shapes"), ids=str)
def test_spp(row):
    text = f'type: "SPP" spp_param {{ pyramid_height: {row["pyramid_height"]} }}'
    assert top_shape(text, (2, 3, row["h"], row["w"])) == row["top"]
