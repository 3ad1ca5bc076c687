"""What a TEST net folds into the convolution before: factors of the channels, ReLU."""

import numpy as np
import pytest
from nets import build, conv, layer, source

import caffe
from caffe.running.runner import LayerByLayer

FACTORS = (
    'scale_param { bias_term: true filler { type: "uniform" min: 0.5 max: 2 } '
    'bias_filler { type: "gaussian" } }'
)
HEAD = source(13, 18) + conv("c", "data", 40)
BEHIND = {
    "all": [("n", "BatchNorm", ""), ("s", "Scale", FACTORS), ("r", "ReLU", "")],
    "two scales": [("s", "Scale", FACTORS), ("t", "Scale", FACTORS)],
    "statistics of the batch": [
        ("n", "BatchNorm", "batch_norm_param { use_global_stats: false }"),
        ("s", "Scale", FACTORS),
    ],
    "another axis": [("s", "Scale", "scale_param { axis: 3 }"), ("r", "ReLU", "")],
    "one factor": [("s", "Scale", "scale_param { num_axes: 0 }"), ("r", "ReLU", "")],
}


@pytest.fixture(params=BEHIND)
def net(request, tmp_path):
    behind = "".join(
        layer(name, kind, ["c"], "c", text) for name, kind, text in BEHIND[request.param]
    )
    made = build(HEAD + behind + conv("last", "c", 3), tmp_path)
    draw = np.random.default_rng(0)
    for blobs in made.params.values():
        for blob in blobs:
            blob.data[...] = draw.uniform(0.5, 2, blob.shape)
    made.params["c"][0].data[...] -= 1.25
    return made


def new_picture(net, seed):
    net.blobs["data"].data[...] = np.random.default_rng(seed).normal(0, 1, net.blobs["data"].shape)


def check_all_maps(net):
    """Run the net; its maps are those of the layers one by one."""
    net.forward()
    found = {name: blob.data.copy() for name, blob in net.blobs.items()}
    plain = LayerByLayer(net._topology)
    plain.forward(0, net._topology.last)
    for name, blob in net.blobs.items():
        assert np.abs(found[name] - blob.data).max() <= 1e-5 * np.abs(blob.data).max(), name


def test_maps_are_those_of_layers_one_by_one_whatever_is_changed(net):
    for seed in range(2):
        new_picture(net, seed)
        check_all_maps(net)
    for name, blobs in net.params.items():
        for blob in blobs:
            blob.data[...] *= 1.5
            check_all_maps(net)
            if name == "c":
                blob.x.mul_(0.75)
                check_all_maps(net)
    net.blobs["data"].reshape(2, 3, 9, 18)
    new_picture(net, 5)
    check_all_maps(net)


def test_a_part_of_the_group_shows_the_map_between(net):
    new_picture(net, 1)
    net.forward()
    net.forward(end="c")
    plain = net.blobs["c"].data.copy()
    LayerByLayer(net._topology).forward(1, 1)
    assert np.allclose(plain, net.blobs["c"].data, rtol=1e-5, atol=1e-5)


def test_gradients_in_test_are_those_of_layers_one_by_one(net):
    new_picture(net, 2)
    found = []
    for run in (net.forward, lambda: LayerByLayer(net._topology).forward(0, net._topology.last)):
        net.clear_param_diffs()
        run()
        net.blobs["last"].diff[...] = np.random.default_rng(3).normal(0, 1, net.blobs["last"].shape)
        net.backward()
        found.append({name: [b.diff.copy() for b in own] for name, own in net.params.items()})
    for name, blobs in found[1].items():
        for ours, plain in zip(found[0][name], blobs):
            assert np.abs(ours - plain).max() <= 2e-5 * max(1e-20, np.abs(plain).max()), name


def test_forced_gradients_fold_nothing(tmp_path):
    behind = "".join(layer(name, kind, ["c"], "c", text) for name, kind, text in BEHIND["all"])
    made = build("force_backward: true " + HEAD + behind, tmp_path)
    convolution = made.layer_dict["c"]
    assert made.phase == caffe.TEST and convolution.fuses(list(made.layers)[2:]) == 0
