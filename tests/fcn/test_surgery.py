"""Net surgery: what is carried, what is coerced, what is dropped, and the bilinear kernels."""

import numpy as np
import pytest

from fcn import surgery

CLASSIFIER = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 3 dim: 3 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "gaussian" } } }
layer { name: "fc6" type: "InnerProduct" bottom: "conv" top: "fc6"
  inner_product_param {
    num_output: 5 weight_filler { type: "gaussian" } bias_filler { value: 2 } } }
layer { name: "fc8" type: "InnerProduct" bottom: "fc6" top: "fc8"
  inner_product_param { num_output: 7 weight_filler { type: "gaussian" } } }
"""
CONVOLUTIONAL = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 5 dim: 4 } } }
layer { name: "convX" type: "Convolution" bottom: "data" top: "convX"
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false } }
layer { name: "fc6X" type: "Convolution" bottom: "convX" top: "fc6X"
  convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "scoreX" type: "Convolution" bottom: "fc6X" top: "scoreX"
  convolution_param { num_output: 6 kernel_size: 1 } }
layer { name: "fc8X" type: "Convolution" bottom: "fc6X" top: "fc8X"
  convolution_param { num_output: 9 kernel_size: 1 } }
"""


@pytest.fixture
def nets(net_of):
    return net_of(CONVOLUTIONAL), net_of(CLASSIFIER)


def test_transplant_carries_by_name_and_in_memory_order(nets):
    new, old = nets
    surgery.transplant(new, old, "X")
    assert np.array_equal(new.params["convX"][0].data, old.params["conv"][0].data)
    weights = old.params["fc6"][0].data
    assert np.array_equal(new.params["fc6X"][0].data, weights.reshape(5, 4, 3, 3))
    assert np.array_equal(new.params["fc6X"][1].data, np.full(5, 2))
    # the converted net computes what the classifier did: an inner product is a convolution
    x = np.random.RandomState(0).randn(1, 2, 3, 3)
    old.blobs["data"].data[...] = x
    new.blobs["data"].reshape(1, 2, 3, 3)
    new.blobs["data"].data[...] = x
    bias = np.zeros(4) + old.params["conv"][1].data  # the new net's conv has none
    assert not bias.any()
    old.forward()
    new.forward(end="fc6X")
    assert np.allclose(new.blobs["fc6X"].data.ravel(), old.blobs["fc6"].data.ravel(), atol=1e-5)


def test_transplant_reports_everything(nets, capsys):
    new, old = nets
    before = new.params["fc8X"][0].data.copy()
    report = surgery.transplant(new, old, "X")
    assert report.copied == ["conv[0]", "fc6[1]"]
    assert report.coerced == ["fc6[0] (5, 36) -> fc6X[0] (5, 4, 3, 3)"]
    assert report.dropped == [
        "conv[1] (4,): 'convX' has 1 parameter arrays",
        "fc8[0] (7, 5) does not fit fc8X[0] (9, 5, 1, 1)",
        "fc8[1] (7,) does not fit fc8X[1] (9,)",
    ]
    assert report.untouched == ["scoreX", "fc8X"]
    assert np.array_equal(new.params["fc8X"][0].data, before)
    assert (
        surgery.transplant(new, old).dropped[0]
        == "conv[0] (4, 2, 1, 1): no layer 'conv' in the new net"
    )
    printed = capsys.readouterr().out
    assert "coerced fc6[0]" in printed and "dropped fc8[1]" in printed


@pytest.mark.parametrize(
    "size, row",
    [
        (1, [1]),
        (2, [0.5, 0.5]),  # factor 1: the mean of two
        (3, [0.5, 1, 0.5]),
        (4, [0.25, 0.75, 0.75, 0.25]),
        (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
    ],
)
def test_upsample_filt(size, row):
    assert np.allclose(surgery.upsample_filt(size), np.outer(row, row))


@pytest.mark.parametrize("group", [1, 3])
def test_interp_upsamples_each_channel_bilinearly(net_of, group):
    net = net_of(f"""
        layer {{ name: "data" type: "Input" top: "data"
          input_param {{ shape {{ dim: 1 dim: 3 dim: 6 dim: 6 }} }} }}
        layer {{ name: "up" type: "Deconvolution" bottom: "data" top: "up" convolution_param {{
          num_output: 3 kernel_size: 4 stride: 2 bias_term: false group: {group} }} }}""")
    surgery.interp(net, ["up"])
    y, x = np.mgrid[:6, :6]
    net.blobs["data"].data[...] = np.stack([y, 10 * x, 3 + 0 * y])
    up = net.forward()["up"][0]
    # away from the border, a plane stays a plane, at half the step: cell i is at (i - 1.5) / 2
    at = (np.arange(14) - 1.5) / 2
    inner = slice(3, 11)
    assert np.allclose(up[0, inner, inner], at[inner, None] + np.zeros(8), atol=1e-5)
    assert np.allclose(up[1, inner, inner], 10 * at[None, inner] + np.zeros((8, 1)), atol=1e-4)
    assert np.allclose(up[2, inner, inner], 3, atol=1e-5)


@pytest.mark.parametrize(
    "shape, wrong",
    [
        ("num_output: 2 kernel_size: 4", "3 channels in, 2 out"),
        ("num_output: 3 kernel_h: 4 kernel_w: 2", "4 x 2"),
    ],
)
def test_interp_refuses(net_of, shape, wrong):
    net = net_of(f"""
        layer {{ name: "data" type: "Input" top: "data"
          input_param {{ shape {{ dim: 1 dim: 3 dim: 6 dim: 6 }} }} }}
        layer {{ name: "up" type: "Deconvolution" bottom: "data" top: "up"
          convolution_param {{ {shape} }} }}""")
    with pytest.raises(ValueError, match=f"'up'.*{wrong}"):
        surgery.interp(net, ["up"])


def test_expand_score(net_of):
    def scoring(classes, filler):
        return net_of(f"""
            layer {{ name: "data" type: "Input" top: "data"
              input_param {{ shape {{ dim: 1 dim: 2 dim: 1 dim: 1 }} }} }}
            layer {{ name: "score" type: "Convolution" bottom: "data" top: "score"
              convolution_param {{ num_output: {classes} kernel_size: 1
                weight_filler {{ type: "gaussian" }} bias_filler {{ value: {filler} }} }} }}""")

    old, new = scoring(3, 5), scoring(4, 7)
    rest = new.params["score"][0].data[3:].copy()
    surgery.expand_score(new, "score", old, "score")
    assert np.array_equal(new.params["score"][0].data[:3], old.params["score"][0].data)
    assert np.array_equal(new.params["score"][0].data[3:], rest)
    assert new.params["score"][1].data.tolist() == [5, 5, 5, 7]
