"""What a net needs is predicted, and told where there is too little memory."""

import re

import numpy as np
import pytest
import torch
from memory_nets import NETS, Exhausted, bytes_of, fill, sample, training
from nets import build

import caffe
from caffe.running import memory
from caffe.running.memory import GIB, need
from caffe.running.out_of_memory import OutOfMemory


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
    monkeypatch.setattr(net.layer_dict["conv3_1"], "forward_fused", Exhausted(error))
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


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_after_it_training_goes_on(method, tmp_path, monkeypatch):
    """Diffs of the step that failed are free again, and the next step's gradients are right."""
    solver = training(tmp_path)
    solver.step(1)
    with monkeypatch.context() as patch, pytest.raises(OutOfMemory):
        patch.setattr(solver.net.layer_dict["b"], method, Exhausted(MemoryError()))
        solver.step(1)
    net, other = solver.net, training(tmp_path).net
    assert bytes_of(set(net._blobs) - {net.blobs["loss"]}, ["_diff"]) == 0
    other.share_with(net)
    gradients = []
    for each in (net, other):
        each.clear_param_diffs()
        caffe.set_random_seed(5)  # data and Dropout
        each.forward()
        each.backward()
        gradients.append([blob.diff.copy() for blobs in each.params.values() for blob in blobs])
    for found, wanted in zip(*gradients):
        np.testing.assert_array_equal(found, wanted)
    assert any(wanted.any() for wanted in gradients[1])


def test_other_errors_pass(net, monkeypatch):
    monkeypatch.setattr(net.layer_dict["norm"], "forward_window", Exhausted(RuntimeError("else")))
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
    assert bytes_of(net._blobs) < 1.5 * need(net).maps  # nor is one now


def test_memory_of_this_machine():
    total, mine = memory.device_memory(torch.device("cpu"))
    assert 0 < mine <= total
