"""How the two NYUDv2 models that do not start from one net of their own shape are filled."""

import runpy

import numpy as np
from places import ROOT

NET = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: [1, {channels}, 4, 4] }} }} }}
layer {{ name: "{first}" type: "Convolution" bottom: "data" top: "c"
  convolution_param {{ num_output: 2 kernel_size: 3
    weight_filler {{ type: "gaussian" }} bias_filler {{ value: {bias} }} }} }}
"""


def test_depth_channel_is_the_mean_of_the_colour_filters(net_of):
    add_depth = runpy.run_path(str(ROOT / "nyud-fcn32s-color-d" / "solve.py"))["add_depth"]
    vgg16 = net_of(NET.format(channels=3, first="conv1_1", bias=5))
    net = net_of(NET.format(channels=4, first="conv1_1_bgrd", bias=0))
    add_depth(net, vgg16)
    old, new = vgg16.params["conv1_1"][0].data, net.params["conv1_1_bgrd"][0].data
    assert np.array_equal(new[:, :3], old)
    assert np.allclose(new[:, 3], (old[:, 0] + old[:, 1] + old[:, 2]) / 3)
    assert net.params["conv1_1_bgrd"][1].data.tolist() == [5, 5]


def test_late_fusion_takes_each_net_under_its_suffix(net_of):
    join = runpy.run_path(str(ROOT / "nyud-fcn32s-color-hha" / "solve.py"))["join"]
    color = net_of(NET.format(channels=3, first="conv1_1", bias=1))
    hha = net_of(NET.format(channels=3, first="conv1_1", bias=2))
    one = NET.format(channels=3, first="conv1_1color", bias=0)
    two = NET.format(channels=3, first="conv1_1hha", bias=0)
    net = net_of(one + two[two.index("layer", 5) :].replace('top: "c"', 'top: "h"'))
    join(net, color, hha)
    for source, name in ((color, "conv1_1color"), (hha, "conv1_1hha")):
        for old, new in zip(source.params["conv1_1"], net.params[name]):
            assert np.array_equal(old.data, new.data)
