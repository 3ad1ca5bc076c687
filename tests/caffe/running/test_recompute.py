"""TRAIN nets that compute maps again in backward have the same gradients, in less memory."""

import random

import numpy as np
import pytest
from memory_nets import (
    POOL,
    bytes_of,
    caffenet,
    net_with_everything,
    training,
)
from nets import build, conv, layer, random_net, source
from places import ROOT

import caffe
from caffe.blob import Memory
from caffe.running.memory import need
from caffe.running.segments import Segments
from fcn.prototxts import read_net, text_of


def normed():
    """BatchNorm with Scale, in place and not, as residual nets have them, and PReLU."""
    text = source(24, 24, num=2)
    bottom = "data"
    for name in "abc":
        text += conv(name, bottom, 8) + layer(f"{name}_bn", "BatchNorm", [name], f"{name}_bn")
        scale = "scale_param { bias_term: true }"
        text += layer(f"{name}_scale", "Scale", [f"{name}_bn"], f"{name}_bn", scale)
        text += layer(f"{name}_relu", "PReLU", [f"{name}_bn"], f"{name}_relu")
        text += conv(f"{name}_more", f"{name}_relu", 8)
        text += layer(f"{name}_more_bn", "BatchNorm", [f"{name}_more"], f"{name}_more")
        text += layer(f"{name}_sum", "Eltwise", [f"{name}_more", name], f"{name}_sum")
        text += layer(f"{name}_max", "Eltwise", [f"{name}_sum", name], f"{name}_max", MAX)
        text += layer(f"{name}_drop", "Dropout", [f"{name}_max"], f"{name}_drop")
        text += layer(f"{name}_swish", "Swish", [f"{name}_drop"], f"{name}_swish")
        bottom = f"{name}_swish"
    return text + layer("pool", "Pooling", [bottom], "pool", POOL)


def watched_by_python():
    text = source(24, 24, num=2) + conv("a", "data", 8) + layer("ar", "ReLU", ["a"], "a")
    text += 'layer { name: "count" type: "Python" bottom: "a" top: "count" '
    text += f'python_param {{ module: "{__name__}" layer: "Count" }} }}\n'
    text += layer("cr", "ReLU", ["count"], "count") + conv("b", "count", 8) + conv("c", "b", 8)
    return text + layer("drop", "Dropout", ["c"], "c") + conv("d", "c", 4)


class Count(caffe.Layer):
    """Passes its bottom on, times how often it has run."""

    def setup(self, bottom, top):
        self.ran = 0

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.ran += 1
        top[0].data[...] = bottom[0].data * self.ran

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff * self.ran + bottom[0].data


MAX = "eltwise_param { operation: MAX }"


def shared_in_place():
    """Layers in place on a blob that shares its memory with another, which a Pooling has written."""
    text = source(24, 24, num=2)
    bottom = "data"
    for name in "abc":
        text += conv(name, bottom, 8) + layer(f"{name}_p", "Pooling", [name], f"{name}_p", OVERLAP)
        text += layer(f"{name}_one", "Concat", [f"{name}_p"], f"{name}_one")
        text += layer(f"{name}_relu", "TanH", [f"{name}_one"], f"{name}_one")
        bottom = f"{name}_one"
    return text


OVERLAP = "pooling_param { pool: MAX kernel_size: 3 stride: 1 }"


TRAINED = {
    "shared in place": shared_in_place,
    "everything": lambda: net_with_everything().replace("dim: 1", "dim: 2", 1),
    "CaffeNet's": caffenet,
    "normed": normed,
    "Python": watched_by_python,
    **{f"random {i}": lambda i=i: random_net(random.Random(i)) for i in range(12)},
}


def trained(text, folder):
    """A TRAIN net on the prototxt, with a loss of all its outputs."""
    outputs = build(text, folder).outputs
    for name in outputs:
        loss = "reduction_param { operation: SUMSQ }"
        text += layer(f"{name}_loss", "Reduction", [name], f"{name}_loss", loss).replace(
            'type: "Reduction"', 'type: "Reduction" loss_weight: 0.5'
        )
    path = folder / "train.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), caffe.TRAIN)


def passes(net, count=3):
    """Everything that some passes leave behind, over inputs of changing sizes."""
    caffe.set_random_seed(5)
    rng, kept = np.random.default_rng(2), []
    full = list(net.blobs["data"].shape)
    for i in range(count):
        if "fc6" not in net.blobs:
            net.blobs["data"].reshape(*full[:2], full[2] + 4 * i, full[3] + 2 * i)
        net.blobs["data"].data[...] = rng.standard_normal(net.blobs["data"].shape)
        net.clear_param_diffs()
        net.forward()
        net.backward()
        if i == 1 and "a_bn" not in net.blobs:  # a Scale in place has no second backward
            net.backward()  # adds the same again
        kept += [net.blobs[name].data.copy() for name in net.outputs]
        kept += [blob.diff.copy() for layer in net.layers for blob in layer.blobs]
        kept += [blob.data.copy() for layer in net.layers for blob in layer.blobs]
        kept += [net.blobs["data"].diff.copy()]
        kept += [caffe.context.generator().get_state().numpy().copy()]
    return kept


def in_segments_of(length):
    def plan(self):
        count = len(self.net.layers)
        return [range(i, min(i + length, count)) for i in range(0, count, length)]

    return plan


@pytest.mark.usefixtures("same_every_time")
@pytest.mark.parametrize("length", [None, 1, 2, 3, 5])
@pytest.mark.parametrize("name", TRAINED)
def test_gradients_are_the_very_same(name, length, tmp_path, device, monkeypatch):
    if length:
        monkeypatch.setattr(Segments, "_plan", in_segments_of(length))
    text = "force_backward: true\n" + TRAINED[name]()
    plain, net = trained(text, tmp_path), trained(text, tmp_path)
    net.share_with(plain)
    wanted = plain.params["a" if "a" in plain.params else "conv1"][0].data.copy()
    for other, blobs in zip(net.layers, plain.layers):  # weights of their own, equal
        for mine, theirs in zip(other.blobs, blobs.blobs):
            mine._data = Memory(mine.count)
            mine.data[...] = theirs.data
    net.recompute()
    assert net._running.policy.segments.repeated and len(net._running.policy.segments.ranges) > 1
    assert wanted.any()
    for mine, theirs in zip(passes(net), passes(plain)):
        np.testing.assert_array_equal(mine, theirs)
    assert length or any(blob._data.released for blob in net._blobs)


def test_training_is_the_very_same(tmp_path):
    solvers = [training(tmp_path), training(tmp_path)]
    solvers[1].net.recompute()
    losses = []
    for solver in solvers:
        caffe.set_random_seed(3)
        for _ in range(4):
            solver.step(1)
            losses.append(float(solver.net.blobs["loss"].data))
    assert any(blob._data.released for blob in solvers[1].net._blobs)
    assert losses[:4] == losses[4:] and len(set(losses)) == 4
    for a, b in zip(*(solver.net.learnable_params for solver in solvers)):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_map_that_is_not_kept_says_so(tmp_path):
    net = training(tmp_path).net
    net.recompute()
    net.forward()
    with pytest.raises(RuntimeError, match=r"blob 'a'.*recompute\(keep=\['a'\]\)"):
        net.blobs["a"].data  # noqa: B018
    net.backward()
    with pytest.raises(RuntimeError, match=r"blob 'b'.*recompute\(keep"):
        net.blobs["b"].diff  # noqa: B018
    net.recompute(keep=["a", "b"])
    net.forward()
    net.backward()
    assert net.blobs["a"].data.any() and net.blobs["b"].diff.any()
    diffs = net.backward(diffs=["sum"])
    assert diffs["sum"].any()
    with pytest.raises(ValueError, match="no blob 'aa'"):
        net.recompute(keep=["aa"])


def test_recompute_is_for_training(net):
    with pytest.raises(ValueError, match="TEST net, which may reuse_memory"):
        net.recompute()


def test_parts_of_passes_in_training(tmp_path):
    """`caffe time` goes layer by layer."""
    found = []
    for spare in (False, True):
        net = training(tmp_path).net
        if spare:
            net.recompute()
        for i in range(len(net.layers)):
            net._forward(i, i)
        for i in reversed(range(len(net.layers))):
            net._backward(i, i)
        found.append([blob.diff.copy() for blob in net.learnable_params])
    for mine, theirs in zip(*found):
        np.testing.assert_array_equal(mine, theirs)


def peak_of(net):
    """The most bytes of maps and their diffs that a training pass has at once."""
    seen = []
    look = lambda index: seen.append(bytes_of(net._blobs, ["_data", "_diff"]))  # noqa: E731
    net.after_forward(look)
    net.after_backward(look)
    net._forward(0, len(net.layers) - 1)
    net._backward(len(net.layers) - 1, 0)
    return max(seen)


def test_training_takes_less_memory(tmp_path):
    nets = [fcn_8s(tmp_path), fcn_8s(tmp_path)]
    nets[1].recompute()
    needed = [need(net) for net in nets]
    plain, spared = map(peak_of, nets)
    assert plain > 1.8 * spared
    learned = sum(blob.count for blob in nets[0].learnable_params) * 4
    assert plain == needed[0].maps + needed[0].diffs - learned
    # the plan counts a segment's maps and the diffs beside them as if both were at their most
    assert spared <= needed[1].maps + needed[1].diffs - learned <= 1.5 * spared


def fcn_8s(folder):
    """FCN-8s of the embedded task in training, on one size of pictures."""
    text = text_of(read_net(ROOT / "voc-fcn8s/sample/train.prototxt"))
    sizes = "shape { dim: 1 dim: %d dim: 180 dim: 240 } " * 2 % (3, 1)
    text = text[text.index("\nlayer {", text.index("layer {")) :]  # without its data layer
    path = folder / "train.prototxt"
    path.write_text(
        'layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param { '
        f'{sizes} data_filler {{ type: "gaussian" }} data_filler {{ type: "constant" }} }} }}\n{text}'
    )
    return caffe.Net(str(path), caffe.TRAIN)
