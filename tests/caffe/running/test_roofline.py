"""Multiply-adds and bytes of layers, whose time is whose, and the table they are told in."""

import pytest
import torch

import caffe
from caffe.running import roofline
from caffe.running.roofline import Peak, Work

INPUT = 'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {} }} }} }}\n'


def net_text(shape, kind, text, more=""):
    dims = " ".join(f"dim: {size}" for size in shape)
    field = "inner_product_param" if kind == "InnerProduct" else "convolution_param"
    return (
        f"force_backward: true {INPUT.format(dims)}"
        f'layer {{ name: "y" type: "{kind}" bottom: "x" top: "y" {field} {{ bias_term: false '
        f'weight_filler {{ type: "constant" value: 1 }} {text} }} }}\n{more}'
    )


ROWS = [
    ([2, 4, 7, 6], "Convolution", "num_output: 6 kernel_size: 3"),
    ([2, 4, 7, 6], "Convolution", "num_output: 6 kernel_h: 3 kernel_w: 2 stride: 2 group: 2"),
    ([1, 4, 9, 9], "Convolution", "num_output: 4 kernel_size: 3 dilation: 2 group: 4"),
    ([2, 4], "Convolution", "num_output: 3"),
    ([2, 4, 9], "Convolution", "num_output: 6 kernel_size: 3 stride: 2 group: 2"),
    ([1, 2, 5, 6, 7], "Convolution", "num_output: 3 kernel_size: 2 dilation: 2"),
    ([2, 4, 3, 5], "Convolution", "num_output: 3 kernel_size: 2 axis: 2"),
    ([2, 4, 3, 5], "Deconvolution", "num_output: 6 kernel_size: 4 stride: 2"),
    ([2, 4, 3, 5], "Deconvolution", "num_output: 6 kernel_size: 3 stride: 2 group: 2"),
    ([1, 4, 5], "Deconvolution", "num_output: 2 kernel_size: 3 dilation: 2"),
    ([2, 3, 4], "InnerProduct", "num_output: 5"),
    ([2, 3, 4], "InnerProduct", "num_output: 5 axis: 2 transpose: true"),
]


@pytest.mark.parametrize(("shape", "kind", "text"), ROWS)
def test_multiply_adds_are_what_ones_add_up_to(net_of, shape, kind, text):
    """Every product of two ones adds 1: to the tops, to the weights' gradient, to the bottom's."""
    net = net_of(net_text(shape, kind, text), caffe.TRAIN)
    x, y, layer = net.blobs["x"], net.blobs["y"], net.layers[1]
    x.data[...] = 1
    net.forward()
    macs = roofline.forward_work(net, 1).macs
    assert macs == y.data.sum()
    y.diff[...] = 1
    layer.backward([y], [True], [x])
    assert layer.blobs[0].diff.sum() == x.diff.sum() == macs
    for flags in ((True, True), (True, False), (False, True), (False, False)):
        layer.param_propagate_down[0], net._topology.bottom_need_backward[1] = flags[0], [flags[1]]
        assert roofline.backward_work(net, 1).macs == sum(flags) * macs


def test_cells_of_the_pad_count(net_of):
    net = net_of(net_text([1, 3, 5, 5], "Convolution", "num_output: 2 kernel_size: 3 pad: 100"))
    assert roofline.forward_work(net, 1).macs == 203**2 * 2 * 27


def test_several_bottoms_count_each(net_of):
    text = net_text([1, 2, 4, 4], "Convolution", "num_output: 3 kernel_size: 3")
    text = text.replace('top: "x"', 'top: "x" top: "z"')
    text = text.replace('bottom: "x" top: "y"', 'bottom: "x" bottom: "z" top: "y" top: "w"')
    net = net_of(text, caffe.TRAIN)
    one = 2 * 2 * 3 * 18
    assert roofline.forward_work(net, 1).macs == 2 * one
    net._topology.bottom_need_backward[1] = [False, True]
    assert roofline.backward_work(net, 1).macs == 3 * one


def test_bytes(net_of):
    more = 'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }'
    net = net_of(net_text([2, 3, 4], "InnerProduct", "num_output: 5", more), caffe.TRAIN)
    x, y, w = 4 * 24, 4 * 10, 4 * 60
    assert roofline.forward_work(net, 0) == Work(0, 0)
    assert roofline.forward_work(net, 1).bytes == x + y + w
    assert roofline.forward_work(net, 2) == Work(0, 2 * y)
    net._topology.bottom_need_backward[1:] = [[True], [True]]
    assert roofline.backward_work(net, 1).bytes == y + (x + 2 * w) + (x + w)
    assert roofline.backward_work(net, 2) == Work(0, 2 * y)
    net._topology.bottom_need_backward[1:] = [[False], [False]]
    assert roofline.backward_work(net, 1).bytes == y + x + 2 * w
    assert roofline.backward_work(net, 2) == Work(0, 0)


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_layers_computed_as_one_have_their_time_in_the_first(net_of, phase):
    more = 'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }'
    net = net_of(net_text([1, 3, 8, 8], "Convolution", "num_output: 2 kernel_size: 3", more), phase)
    spent = roofline.forward_ms(net)
    assert len(spent) == 3 and spent[1] > 0
    assert (spent[2] == 0) == (phase == caffe.TEST)


def test_share_is_of_the_peak_that_bounds_the_layer():
    peak = Peak(gmac_s=100.0, gb_s=10.0)
    by_products = roofline.row("a", "InnerProduct", 2.0, Work(10**8, 10**6), peak)
    assert by_products["gmac_s"] == 50 and by_products["gb_s"] == 0.5
    assert by_products["share"] == 0.5
    assert roofline.row("a", "InnerProduct", 2.0, Work(10**6, 10**7), peak)["share"] == 0.5
    assert roofline.row("b", "ReLU", 1.0, Work(0, 10**6), peak)["share"] == pytest.approx(0.1)
    assert roofline.row("c", "ReLU", 0.0, Work(0, 10**6), peak).keys() == {"layer", "type", "ms"}


def test_table(net_of):
    net = net_of(net_text([1, 512, 10, 10], "Convolution", "num_output: 100 kernel_size: 1"))
    made = roofline.record(net, [0.0, 2.0], 2.25, roofline.forward_work, Peak(25.6, 10.0))
    assert [" ".join(line.split()) for line in roofline.table(made).splitlines()] == [
        "layer type ms of all GMAC GMAC/s GB/s of peak",
        "x Input 0.00 0.0%",
        "y Convolution 2.00 100.0% 0.005 2.6 0.2 10%",
        "sum of layers 2.00 ms; whole passes 2.25 ms",
        "peak of this machine: 26 GMAC/s, a float32 convolution bound by arithmetic; 10.0 GB/s, "
        "a large copy, read and written",
    ]


def test_peaks_are_of_the_device_and_precision_in_force(monkeypatch):
    monkeypatch.setattr(roofline, "SECONDS", 0)
    monkeypatch.setattr(caffe.context, "_precision", "bf16")  # slow here perhaps, but measured
    kinds = []
    convolve = torch.nn.functional.conv2d
    monkeypatch.setattr(
        roofline.F, "conv2d", lambda x, w, **how: (kinds.append(x.dtype), convolve(x, w, **how))[1]
    )
    monkeypatch.setattr(roofline, "SIDE", 8)
    peak = roofline.peak()
    assert peak.gmac_s > 0 and peak.gb_s > 0
    assert kinds == [torch.bfloat16] * roofline.FEWEST
