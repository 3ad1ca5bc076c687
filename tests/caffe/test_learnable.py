"""A net that cannot learn is told from one that starts from zeros and can."""

import numpy as np
import pytest

import caffe

HEAD = """layer { name: "in" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } shape { dim: 1 dim: 1 dim: 6 dim: 6 }
    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
"""
LOSS = 'layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "{}" bottom: "label" top: "loss" }}\n'
XAVIER = 'weight_filler { type: "xavier" }'


def layer(name, bottom, filler="", lr="", kind="Convolution", bias="true", outputs=3):
    param = f"param {{ lr_mult: {lr} }}" if lr != "" else ""
    return (
        f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {param}'
        f" convolution_param {{ num_output: {outputs} kernel_size: 1 bias_term: {bias} {filler} }} }}\n"
    )


def relu(name):
    return f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'


def stuck(net_of, *layers, scores="score"):
    return caffe.learnable.stuck(net_of(HEAD + "".join(layers) + LOSS.format(scores), caffe.TRAIN))


def up(filler="", lr=0):
    return layer("up", "score", filler, lr, "Deconvolution", "false")


SUM = 'layer { name: "sum" type: "Eltwise" bottom: "score" bottom: "skip" top: "sum" }\n'
HEALTHY = {
    "all filled": [layer("conv", "data", XAVIER), relu("conv"), layer("score", "conv", XAVIER)],
    "a zero score layer": [layer("conv", "data", XAVIER), relu("conv"), layer("score", "conv")],
    "a frozen body": [layer("conv", "data", XAVIER, 0), layer("score", "conv")],
    "a frozen zero body that feeds no one": [layer("conv", "data", "", 0), layer("score", "data")],
}


@pytest.mark.parametrize("layers", HEALTHY.values(), ids=HEALTHY)
def test_healthy_nets(net_of, layers):
    assert stuck(net_of, *layers) is None


def test_the_fcn_start_is_healthy(net_of):
    conv, score = layer("conv", "data", XAVIER), layer("score", "conv")
    upscore = up(XAVIER)
    assert stuck(net_of, conv, score, upscore, scores="up") is None
    skip = layer("skip", "conv")  # zero, as in FCN-16s
    assert stuck(net_of, conv, layer("score", "conv", XAVIER), skip, SUM, scores="sum") is None
    assert stuck(net_of, conv, score, skip, SUM, scores="sum") is None


def test_an_unfilled_upsampling_is_named_alone(net_of):
    lost = stuck(net_of, layer("conv", "data", XAVIER), layer("score", "conv"), up(), scores="up")
    assert (lost.layers, lost.blocking) == (["conv", "score"], ["'up' (Deconvolution)"])
    assert str(lost) == (
        "no gradient reaches the weights of conv, score: the weights of 'up' (Deconvolution) are zero "
        "and stay so, because their lr_mult is 0; nothing can learn. Way out: load weights, or give a "
        'weight_filler (an upsampling: { type: "bilinear" })'
    )
    # trained, it still gets nothing from a zero score layer, and passes nothing down
    lost = stuck(
        net_of,
        layer("conv", "data", XAVIER),
        layer("score", "conv", bias="false"),
        up("", 1),
        scores="up",
    )
    assert lost is not None


def test_zeros_in_the_middle_are_named_not_those_above(net_of):
    """fc6 and fc7 without weights: only the last bias can learn."""
    lost = stuck(
        net_of,
        layer("conv", "data", XAVIER),
        layer("fc6", "conv"),
        relu("fc6"),
        layer("fc7", "fc6"),
        relu("fc7"),
        layer("score", "fc7"),
    )
    assert lost.blocking == ["'fc6' (Convolution)", "'fc7' (Convolution)"]
    assert lost.biases == ["score"] and lost.learning == []
    assert "only the bias of score can learn" in str(lost)


def test_every_rate_zero(net_of):
    lost = stuck(net_of, layer("score", "data", XAVIER, 0, bias="false"))
    assert str(lost) == "nothing can be learned: lr_mult is 0 for every parameter of the net"


def test_stuck_is_true(net_of):
    """Training moves exactly the layers that it says can move."""
    net = net_of(
        HEAD
        + layer("conv", "data", XAVIER)
        + layer("fc6", "conv")
        + layer("fc7", "fc6")
        + layer("score", "fc7")
        + LOSS.format("score"),
        caffe.TRAIN,
    )
    for _ in range(3):
        net.clear_param_diffs()
        net.forward()
        net.backward()
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] -= 0.1 * blob.diff
    assert not any(net.params[name][0].data.any() for name in ("fc6", "fc7", "score"))
    assert net.params["score"][1].data.any() and not net.params["fc7"][1].data.any()
    assert np.isfinite(net.blobs["loss"].data)
