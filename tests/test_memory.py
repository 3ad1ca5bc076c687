"""Nets that make do with less memory compute the same."""

import random
import re

import numpy as np
import pytest
import torch
from conftest import ROOT
from test_changes import build, complete, conv, layer, random_net, source

import caffe
from caffe import memory
from caffe.memory import GIB, OutOfMemory, need
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
    pool = sum(block.numel() * block.element_size() for _, block in net._reuse.pool.free)
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
