"""Nets that make do with less memory compute the same."""

import random
import re

import numpy as np
import pytest
import torch
from nets import build, complete, conv, layer, random_net, source
from places import ROOT

import caffe
from caffe.blob import Memory
from caffe.running import memory
from caffe.running.memory import GIB, need
from caffe.running.out_of_memory import OutOfMemory
from caffe.running.segments import Segments
from fcn_nets import deploy, read_net, text_of

POOL = "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"


def net_with_everything():
    """Splits, a map that several layers read, layers in place, and layers that share memory."""
    text = source(30, 26) + conv("a", "data", 32, pad=9) + layer("a_relu", "ReLU", ["a"], "a")
    text += layer("p", "Pooling", ["a"], "p", POOL)
    text += conv("b", "p", 16) + layer("b_tanh", "TanH", ["b"], "b") + conv("c", "p", 16, 1, pad=0)
    text += layer("sum", "Eltwise", ["b", "c"], "sum")
    text += layer("one", "Concat", ["sum"], "one") + layer("norm", "LRN", ["one"], "norm")
    shape = "reshape_param { shape { dim: 0 dim: 4 dim: -1 } }"
    text += layer("flat", "Flatten", ["norm"], "flat") + layer(
        "shaped", "Reshape", ["flat"], "shaped", shape
    )
    text += conv("d", "norm", 8) + layer("both", "Concat", ["d", "c"], "both")
    text += layer("soft", "Softmax", ["both"], "soft") + layer("sig", "Sigmoid", ["shaped"], "sig")
    return text


def sample():
    """The net of the embedded task, which takes sizes 32 apart."""
    return text_of(deploy(read_net(ROOT / "voc-fcn8s/sample/deploy.prototxt"), 112, 144))


def caffenet():
    """CaffeNet's kinds of layers: groups, LRN, InnerProduct, Dropout."""
    text = source(67, 67, num=2) + conv("conv1", "data", 16, 11, 4, 0)
    text += layer("relu1", "ReLU", ["conv1"], "conv1")
    text += layer("pool1", "Pooling", ["conv1"], "pool1", POOL)
    text += layer("norm1", "LRN", ["pool1"], "norm1", "lrn_param { local_size: 5 }")
    text += conv("conv2", "norm1", 32, 5, pad=2, group=2) + layer("r2", "ReLU", ["conv2"], "conv2")
    filler = 'weight_filler { type: "gaussian" std: 0.1 }'
    for name, bottom in (("fc6", "conv2"), ("fc7", "fc6")):
        ip = f"inner_product_param {{ num_output: 12 {filler} }}"
        text += layer(name, "InnerProduct", [bottom], name, ip)
        text += layer(f"{name}_relu", "ReLU", [name], name)
        text += layer(f"{name}_drop", "Dropout", [name], name)
    return text + layer("prob", "Softmax", ["fc7"], "prob")


NETS = {
    "everything": net_with_everything,
    "sample of FCN-8s": sample,
    "CaffeNet's": caffenet,
    **{f"random {i}": lambda i=i: random_net(random.Random(i)) for i in range(12)},
}


def fill(net):
    """Weights that keep the maps' magnitude, where there are none."""
    rng = np.random.default_rng(7)
    for blobs in net.params.values():
        if not blobs[0].data.any():
            shape = list(blobs[0].shape)
            blobs[0].data[...] = rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5


def bytes_of(blobs, sides=("_data",)):
    """What blobs hold, memory that they share counted once."""
    memories = {id(m): m for blob in blobs for m in (getattr(blob, side) for side in sides)}
    flats = [flat for memory in memories.values() for flat in memory.sides.values()]
    return sum(flat.numel() * flat.element_size() for flat in flats)


def held_by(net):
    pool = sum(block.numel() * block.element_size() for _, block in net._running.policy.pool.free)
    return bytes_of(net._blobs) + pool


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_maps_that_are_reused(name, watched, tmp_path, device):
    text = NETS[name]()
    net = build(text, tmp_path)
    fill(net)
    plain = build(text, tmp_path, net)
    complete(plain)
    if watched:  # then layers run one by one, as on a GPU, not several at a time
        net.after_forward(lambda index: None)
    net.reuse_memory()
    rng, sizes = (
        np.random.default_rng(1),
        [(1, None), (1, None), (2, 32), (2, 32), (1, -32), (1, None)],
    )
    full = list(net.blobs["data"].shape)
    for num, more in sizes:
        if name != "CaffeNet's" and more is not None:
            shape = [num, full[1], max(9, full[2] + more), max(9, full[3] + more)]
        else:
            shape = full
        picture = rng.standard_normal(shape).astype("f4")
        for each in (net, plain):
            each.blobs["data"].reshape(*shape)
            each.blobs["data"].data[...] = picture
        wanted, found = plain.forward(), net.forward()
        assert wanted.keys() == found.keys()
        for key in wanted:
            scale = 1e-5 * np.linalg.norm(wanted[key])
            assert np.linalg.norm(wanted[key] - found[key]) <= (0 if watched else scale), key
        assert bytes_of(net._blobs) < bytes_of(plain._blobs)


@pytest.fixture
def net(tmp_path):
    net = build(net_with_everything(), tmp_path)
    net.blobs["data"].data[...] = np.random.default_rng(1).standard_normal(net.blobs["data"].shape)
    return net


def test_a_reused_map_says_so_and_how_to_keep_it(net):
    net.reuse_memory()
    net.forward()
    with pytest.raises(RuntimeError, match=r"blob 'a'.*reused.*keep=\['a'\]"):
        net.blobs["a"].data  # noqa: B018
    with pytest.raises(RuntimeError, match="'norm'.*'flat'"):  # they share it
        net.blobs["flat"].x  # noqa: B018
    with pytest.raises(RuntimeError, match="no backward.*share_with"):
        net.backward()
    with pytest.raises(ValueError, match="no blob 'summ'.*nearest known is 'sum'"):
        net.reuse_memory(keep=["summ"])


def test_maps_that_are_asked_for_stay(net, tmp_path):
    plain = build(net_with_everything(), tmp_path, net)
    plain.blobs["data"].data[...] = net.blobs["data"].data
    wanted = plain.forward(blobs=["a", "p", "flat", "norm"])
    net.reuse_memory(keep=["a", "flat"])
    found = {**net.forward(blobs=["p"]), **{name: net.blobs[name].data for name in ("a", "norm")}}
    for name in found:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    net.forward()
    with pytest.raises(RuntimeError, match="'p'.*reused"):
        net.blobs["p"].data  # noqa: B018


def test_a_view_keeps_what_it_shows(net):
    net.reuse_memory(keep=["p"])
    net.forward()
    view = net.blobs["p"].data
    net.reuse_memory()  # now it may go
    shown = view.copy()
    net.blobs["data"].data[...] = 1
    net.forward()
    np.testing.assert_array_equal(view, shown)


def test_parts_of_a_pass(net):
    net.reuse_memory()
    wanted = net.forward()["soft"].copy()
    net.forward(end="b_tanh")
    assert net.blobs["p"].data.any() and net.blobs["b"].data.any()  # not all their readers have run
    with pytest.raises(RuntimeError, match="blob 'a'"):
        net.forward(start="a_relu", end="a_relu")
    net.forward(end="b_tanh")
    np.testing.assert_array_equal(net.forward(start="c")["soft"], wanted)


def test_weights_that_change_are_noticed(net):
    net.reuse_memory()
    before = net.forward()["soft"].copy()
    net.params["a"][0].data[...] *= 2
    assert (net.forward()["soft"] != before).any()


def test_a_training_net_keeps_its_maps(net_of):
    with pytest.raises(ValueError, match="TRAIN net"):
        net_of(source(8, 8) + conv("a", "data", 4), caffe.TRAIN).reuse_memory()


class Once(caffe.Layer):
    """Writes its top in setup, and never again."""

    def setup(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
        top[0].data[...] = 3

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass


def test_what_a_python_layer_made_stays(net_of):
    text = source(8, 8) + 'layer { name: "once" type: "Python" bottom: "data" top: "once" '
    text += f'python_param {{ module: "{__name__}" layer: "Once" }} }}\n'
    net = net_of(text + layer("sum", "Eltwise", ["once", "data"], "sum"))
    net.reuse_memory()
    for _ in range(2):
        assert (net.forward()["sum"] == 3).all()


def test_the_pool_does_not_grow(tmp_path):
    net = build(sample(), tmp_path)
    net.reuse_memory()
    seen = []
    for _ in range(4):
        net.forward()
        seen.append(held_by(net))
    assert len(set(seen[1:])) == 1
    net.blobs["data"].reshape(1, 3, 48, 48)
    for _ in range(2):
        net.forward()
    assert held_by(net) < 0.6 * seen[-1]  # large blocks went when no large map wanted them


# ---- what a net needs


LABELS = """layer { name: "label" type: "DummyData" top: "label"
  dummy_data_param { shape { dim: 2 dim: 1 dim: 30 dim: 26 } } }
"""


def training(folder, solver='type: "SGD" momentum: 0.9'):
    """A solver, and its net with every kind of sharing and a loss."""
    text = (
        source(30, 26, num=2)
        .replace('type: "Input"', 'type: "DummyData"')
        .replace("input_param {", 'dummy_data_param { data_filler { type: "gaussian" }')
    )
    text += LABELS + net_with_everything().partition("\n")[2]
    text += conv("e", "soft", 5) + layer("e_drop", "Dropout", ["e"], "e")
    text += layer("up", "Deconvolution", ["e"], "up", UP)
    text += layer("score", "Crop", ["up", "label"], "score", "crop_param { axis: 2 offset: 2 }")
    text += layer("loss", "SoftmaxWithLoss", ["score", "label"], "loss")
    text += layer("swallow", "Silence", ["sig"], "").replace('top: ""', "")
    (folder / "train.prototxt").write_text(text)
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/train.prototxt" base_lr: 0.01 lr_policy: "fixed" random_seed: 3 {solver}'
    )
    return caffe.get_solver(str(folder / "solver.prototxt"))


UP = """convolution_param { num_output: 5 kernel_size: 4 stride: 2
  weight_filler { type: "bilinear" } }"""


@pytest.mark.parametrize("kind", ['type: "SGD" momentum: 0.9', 'type: "Adam" momentum2: 0.99'])
def test_what_is_needed_is_what_is_used(kind, tmp_path):
    solver = training(tmp_path, kind)
    net = solver.net
    needed = need(net)
    solver.step(2)
    params = [blob for layer in net.layers for blob in layer.blobs]
    assert needed.weights == bytes_of(params)
    assert needed.maps == bytes_of(net._blobs)
    assert needed.diffs == bytes_of(params, ["_diff"]) + bytes_of(net._blobs, ["_diff"])
    assert needed.history == bytes_of(solver.history)


@pytest.mark.parametrize("name", NETS)
def test_what_a_test_net_needs_with_and_without_reuse(name, tmp_path):
    net = build(NETS[name](), tmp_path)
    net.blobs["data"].data[...] = 0
    net._forward(0, len(net.layers) - 1)
    assert need(net).maps == bytes_of(net._blobs)
    net.reuse_memory()
    needed, seen = need(net).maps, []
    net.after_forward(lambda index: seen.append(bytes_of(net._blobs)))
    net._forward(0, len(net.layers) - 1)
    # blocks are of the sizes that came first: what they are larger than their maps is not foreseen
    assert needed <= max(seen) <= 1.5 * needed


class Exhausted:
    """A layer's forward or backward that an allocator leaves in the lurch."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *args):
        raise self.error


ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
]


@pytest.fixture
def room(monkeypatch):
    """A function that sets how much memory there is."""

    def to(total, room=None):
        there = total, total if room is None else room
        monkeypatch.setattr(memory, "device_memory", lambda where: there)

    return to


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_out_of_memory_says_what_is_needed_and_what_fits(error, tmp_path, room, monkeypatch):
    net = build(sample(), tmp_path)
    picture = net.blobs["data"].data
    picture[...] = 1
    before = net.forward()["score"].copy()
    most = need(net).total - need(net).maps // 2
    room(32 * GIB, most)
    monkeypatch.setattr(net.layer_dict["conv3_1"], "forward_window", Exhausted(error))
    picture[...] = 2
    with pytest.raises(OutOfMemory) as raised:
        net.forward()
    message = str(raised.value)
    assert "data 1x3x112x144 needs about 0.0" in message and "maps" in message
    assert "32.00 GiB" in message and "\n" not in message
    assert "reuse_memory() makes do with" in message
    assert raised.value.__cause__ is error
    height, width = map(int, re.search(r"a picture of (\d+)x(\d+)", message).groups())
    assert (height, width) < (112, 144) and abs(height / width - 112 / 144) < 0.02
    monkeypatch.undo()
    picture[...] = 1  # the search has left the net as it was
    np.testing.assert_array_equal(net.forward()["score"], before)
    net.blobs["data"].reshape(1, 3, height, width)
    net.forward()
    assert need(net).total <= most


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_out_of_memory_in_training(method, tmp_path, monkeypatch, room):
    solver = training(tmp_path)
    monkeypatch.setattr(solver.net.layer_dict["b"], method, Exhausted(MemoryError()))
    with pytest.raises(OutOfMemory, match=r"weights .*maps .*diffs .*history .*work"):
        solver.step(1)
    monkeypatch.undo()
    monkeypatch.setattr(solver, "compute_update", Exhausted(MemoryError()))
    with pytest.raises(OutOfMemory, match="net '.*' with data 2x3x30x26, label 2x1x30x26 needs"):
        solver.step(1)


@pytest.mark.parametrize("reuses", [False, True])
def test_after_it_a_smaller_picture_fits(reuses, tmp_path, monkeypatch):
    """What the pass that failed had allocated is free again."""
    net, plain = build(sample(), tmp_path), None
    fill(net)
    plain = build(sample(), tmp_path, net)
    if reuses:
        net.reuse_memory()
    net.blobs["data"].reshape(1, 3, 240, 240)
    net.blobs["data"].data[...] = 1
    with monkeypatch.context() as patch, pytest.raises(OutOfMemory, match="240x240"):
        patch.setattr(net.layer_dict["score"], "forward", Exhausted(MemoryError()))
        net.forward()
    assert bytes_of(net._blobs) == net.blobs["data"].count * 4
    for each in (net, plain):
        each.blobs["data"].reshape(1, 3, 112, 144)
        each.blobs["data"].data[...] = 2
    np.testing.assert_array_equal(net.forward()["score"], plain.forward()["score"])


def test_other_errors_pass(net, monkeypatch):
    monkeypatch.setattr(net.layer_dict["norm"], "forward", Exhausted(RuntimeError("else")))
    with pytest.raises(RuntimeError, match="^else$"):
        net.forward()


def test_what_cannot_fit_is_not_begun(tmp_path, room):
    net = build(sample(), tmp_path)
    room(1.5 * need(net).total)
    net.forward()
    net.blobs["data"].reshape(1, 3, 560, 720)
    with pytest.raises(
        OutOfMemory, match=r"560x720 needs about .* a picture of (\d+)x(\d+)"
    ) as raised:
        net.forward()
    assert bytes_of(net._blobs) < need(net).maps  # no map of that size was made
    fits = re.search(r"picture of (\d+)x(\d+)", str(raised.value)).groups()
    net.blobs["data"].reshape(1, 3, *map(int, fits))
    net.forward()


def test_memory_of_this_machine():
    total, mine = memory.device_memory(torch.device("cpu"))
    assert 0 < mine <= total


# ---- maps that are computed again


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
