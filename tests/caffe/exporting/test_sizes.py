"""Which sizes are free, and the inputs that an export is tried with."""

import numpy as np
import pytest
from nets import layer

from caffe.exporting import sizes


def source(*shape, name="data"):
    dims = " ".join(f"dim: {n}" for n in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def conv(name, bottom, top, outputs=2, kernel=3, stride=1, pad=0):
    text = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad}"
    return layer(name, "Convolution", [bottom], top, f"convolution_param {{ {text} }}")


def dense(bottom):
    return layer("ip", "InnerProduct", [bottom], "ip", "inner_product_param { num_output: 3 }")


HALVED = "pooling_param { kernel_size: 2 stride: 2 }"


def test_a_convolutional_net_takes_every_plane(net_of):
    net = net_of(source(1, 3, 20, 30) + conv("c", "data", "c", stride=4))
    found = sizes.find(net)
    assert found.free == {"data": {0, 2, 3}, "c": {0, 2, 3}}
    assert list(net.blobs["data"].shape) == [1, 3, 20, 30]
    assert len({tuple(trial["data"]) for trial in found.trials}) == 3
    assert found.words("c") == "?x2x?x?"


def test_a_stride_that_hides_one_cell_more_is_seen_through(net_of):
    net = net_of(
        source(1, 3, 32, 32) + layer("p", "Pooling", ["data"], "p", HALVED.replace("2", "16"))
    )
    assert sizes.find(net).free["p"] == {0, 2, 3}


def test_an_inner_product_fixes_the_plane(net_of):
    net = net_of(source(1, 3, 8, 8) + conv("c", "data", "c") + dense("c"))
    assert sizes.find(net).free == {"data": {0}, "c": {0}, "ip": {0}}


def test_what_rounding_leaves_free_before_an_inner_product(net_of):
    """9 and 10 give the 5 x 5 cells that the weights are for, by one map that differs."""
    net = net_of(
        source(1, 1, 9, 9)
        + conv("c", "data", "c", kernel=1)
        + layer("p", "Pooling", ["c"], "p", HALVED)
        + dense("p")
    )
    found = sizes.find(net)
    assert found.free["data"] == found.free["c"] == {0} or found.free["c"] == {0, 2, 3}
    assert found.free["p"] == {0}
    for trial in found.trials:
        assert all(n in (9, 10) for n in trial["data"][2:])


def test_a_net_that_takes_multiples_only(net_of):
    """Halved and doubled again without a crop."""
    up = "convolution_param { num_output: 3 kernel_size: 8 stride: 8 bias_term: false }"
    text = source(1, 3, 32, 32) + layer(
        "down", "Pooling", ["data"], "down", HALVED.replace("2", "8")
    )
    text += layer("up", "Deconvolution", ["down"], "up", up)
    text += layer("sum", "Eltwise", ["data", "up"], "sum")
    found = sizes.find(net_of(text))
    assert found.free["data"] == {0, 2, 3}
    assert all(n % 8 == 0 for trial in found.trials for n in trial["data"][2:])


def test_sizes_that_must_stay(net_of):
    found = sizes.find(net_of(source(1, 3, 20, 30) + conv("c", "data", "c")), fixed=(2, 3))
    assert found.free["data"] == {0} and {t["data"][2:] for t in found.trials} == {(20, 30)}


def test_inputs_that_belong_together_grow_together(net_of):
    text = source(1, 3, 8, 8) + source(1, 3, 8, 8, name="other")
    text += layer("sum", "Eltwise", ["data", "other"], "sum")
    found = sizes.find(net_of(text))
    assert found.free["data"] == found.free["other"] == {0, 2, 3}
    assert all(trial["data"] == trial["other"] for trial in found.trials)


def test_inputs_that_do_not(net_of):
    text = source(5, name="index") + source(2, 3, 8, 8)
    text += layer("pick", "BatchReindex", ["data", "index"], "pick")
    text += conv("c", "data", "c", kernel=3)
    found = sizes.find(net_of(text))
    assert found.free["index"] == {0} and 0 in found.free["pick"]


def test_steps_and_sequences_of_a_recurrent_layer(net_of):
    text = source(4, 2, 3, name="x") + source(4, 2, name="cont")
    text += layer("l", "LSTM", ["x", "cont"], "l", "recurrent_param { num_output: 2 }")
    assert sizes.find(net_of(text)).free == {"x": {0, 1}, "cont": {0, 1}, "l": {0, 1}}


def test_behind_a_filter_the_first_size_is_free(net_of):
    text = source(3, 2, 4, 4) + source(3, name="keep")
    text += layer("f", "Filter", ["data", "keep"], "f") + conv("c", "f", "c")
    free = sizes.find(net_of(text)).free
    assert 0 in free["f"] and 0 in free["c"]


@pytest.mark.parametrize("shape, largest", [((1, 3, 6, 6), 120), ((1, 2, 6, 6), 1)])
def test_random_inputs_are_like_pictures(net_of, shape, largest):
    net = net_of(source(*shape) + layer("r", "ReLU", ["data"], "r"))
    made = sizes.values(net, {"data": shape}, np.random.default_rng(0))["data"]
    assert made.dtype == np.float32 and largest / 2 < np.abs(made).max() <= largest


def test_indices_are_within_their_range(net_of):
    text = source(50, name="index") + source(4, 2, name="data")
    net = net_of(text + layer("pick", "BatchReindex", ["data", "index"], "pick"))
    assert sizes.index_inputs(net) == {"index"}
    made = sizes.values(net, {"data": (4, 2), "index": (50,)}, np.random.default_rng(0))["index"]
    assert set(made) == {0, 1, 2, 3}
