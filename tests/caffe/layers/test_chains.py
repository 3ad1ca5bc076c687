"""Layers that share memory, one behind the other: the gradient reaches what is below.

BVLC Caffe loses it where a Flatten follows one that shares diffs from the start (its issue 6769).
"""

import itertools

import numpy as np
import pytest
from nets import build, layer

import caffe

LINKS = {
    "reshape": "reshape_param { shape { dim: 0 dim: -1 dim: 1 } }",
    "concat": "",
    "slice": "slice_param { axis: 1 }",
    "flatten": "",
    "split": "",
}
NUMBERS = np.arange(24.0).reshape(2, 3, 4)


def link(i, kind):
    return layer(f"link{i}", kind.capitalize(), [f"x{i}"], f"x{i + 1}", LINKS[kind])


def gradient(net, name, policy=""):
    """The gradient of the sum of squares, half of it, by a blob: the blob itself."""
    if policy:
        getattr(net, policy)(keep=[name])
    for _ in range(2):  # the second pass finds the memory as the first has left it
        net.clear_param_diffs()
        net.forward()
        net.backward()
    return net


@pytest.mark.parametrize("kinds", [*itertools.product(LINKS, repeat=3)], ids="-".join)
def test_a_chain_lets_the_gradient_through(kinds, tmp_path):
    text = 'force_backward: true layer { name: "d" type: "Input" top: "d" input_param { shape '
    text += "{ dim: [2, 3, 4] } } }" + layer("p", "Power", ["d"], "x0", "power_param { scale: 3 }")
    text += "".join(link(i, kind) for i, kind in enumerate(kinds))
    text += layer(
        "sum", "Reduction", ["x3"], "sum", "loss_weight: 1 reduction_param { operation: SUMSQ }"
    )
    net = build(text, tmp_path)
    net.blobs["d"].data[...] = NUMBERS
    gradient(net, "d")
    np.testing.assert_allclose(net.blobs["d"].diff, 2 * 9 * NUMBERS)


@pytest.mark.parametrize("policy", ["", "recompute"])
@pytest.mark.parametrize("kind", LINKS)
def test_behind_a_parameter(kind, policy, tmp_path):
    text = 'layer { name: "w" type: "Parameter" top: "x0" parameter_param { shape { dim: [2, 3, 4] } } }'
    text += link(0, kind) + link(1, "flatten")
    text += layer(
        "sum", "Reduction", ["x2"], "sum", "loss_weight: 1 reduction_param { operation: SUMSQ }"
    )
    (tmp_path / "n.prototxt").write_text(text)
    net = caffe.Net(str(tmp_path / "n.prototxt"), caffe.TRAIN)
    net.params["w"][0].data[...] = NUMBERS
    gradient(net, "x0", policy)
    np.testing.assert_allclose(net.params["w"][0].diff, 2 * NUMBERS)
