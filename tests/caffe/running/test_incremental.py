"""A TEST net that computes only what changed agrees with one that computes everything, every time."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from nets import build, complete, conv, layer, random_net, source

from caffe.layer import LAYER_TYPES
from caffe.running import incremental

EVERYTHING = None  # instead of a window
pooling = sys.modules[LAYER_TYPES["Pooling"].__module__]  # caffe.layers is the name of NetSpec's


def agree(net, other):
    for name, blob in net.blobs.items():
        a, b = blob.x.numpy(), other.blobs[name].x.numpy()  # not .data, which makes a blob suspect
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b) + 1e-12, name


# What a user may do between two passes; each is done to both nets alike.


def new_picture(nets, rng, views):
    values = np.random.default_rng(rng.randrange(10**9)).standard_normal(
        nets[0].blobs["data"].shape
    )
    for net in nets:
        net.blobs["data"].data[...] = values


def new_patch(nets, rng, views):
    height, width = nets[0].blobs["data"].shape[2:]
    i, j = rng.randrange(height), rng.randrange(width)
    for net in nets:
        net.blobs["data"].data[:, :, i : i + 3, j : j + 2] += 1


def other_size(nets, rng, views):
    sizes = [(1, 20, 23), (2, 17, 30), (1, 28, 28), (1, rng.randint(14, 30), rng.randint(14, 30))]
    num, height, width = rng.choice(sizes)
    shape = (num, 3, height, width)
    for net in nets:
        net.blobs["data"].reshape(*shape)
    new_picture(nets, rng, views)


def some_param(nets, rng):
    name = rng.choice(list(nets[0].params))
    return name, rng.randrange(len(nets[0].params[name]))


def edited_weights(nets, rng, views):
    name, i = some_param(nets, rng)
    for net in nets:
        net.params[name][i].data.flat[-1] += 0.5


def edited_by_tensor(nets, rng, views):
    name, i = some_param(nets, rng)
    for net in nets:
        net.params[name][i].x.mul_(1.1)


def edited_by_old_view(nets, rng, views):
    """Through a NumPy view taken long before: a part of one, so that the view itself is gone."""
    for view in views:
        view[...] += 0.25


def edited_map(nets, rng, views):
    name = rng.choice([n for n in nets[0].blobs if n != "data"])
    for net in nets:
        net.blobs[name].data.flat[0] = 3


def part_of_net(nets, rng, views):
    names = list(nets[0].layer_dict)
    start = rng.randrange(len(names))
    end = rng.randrange(start, len(names))
    for net in nets:
        net.forward(start=names[start], end=names[end])


def nothing(nets, rng, views):
    pass


def looked_at(nets, rng, views):
    name = rng.choice(list(nets[0].blobs))
    nets[0].blobs[name].data.sum()


DEEDS = [
    new_picture, new_patch, new_patch, other_size, other_size, other_size, edited_weights, edited_by_tensor,
    edited_by_old_view, edited_map, part_of_net, nothing, looked_at,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(60))
def test_agrees_with_computing_everything(seed, tmp_path):
    rng = random.Random(seed)
    text = random_net(rng)
    net = build(text, tmp_path)
    nets = (net, complete(build(text, tmp_path, net)))
    views = [n.params["a"][0].data.reshape(-1)[3:5] for n in nets] if seed % 2 else []
    new_picture(nets, rng, views)
    for _ in range(12):
        for each in nets:
            each.forward()
        agree(*nets)
        rng.choice(DEEDS)(nets, rng, views)


@pytest.fixture
def padded(tmp_path):
    """A picture of 40x40 that is padded by 30: three quarters of conv's map depend on nothing.

    31 outputs are too few for Winograd's filtering, whose windows are of whole tiles.
    """
    text = source(40, 40) + conv("a", "data", 31, pad=30) + layer("a_relu", "ReLU", ["a"], "a")
    text += layer(
        "p", "Pooling", ["a"], "p", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
    )
    net = build(text + conv("b", "p", 31), tmp_path)
    ran = []
    for group in net._running.groups.groups:
        group.run = lambda window, run=group.run, group=group: (
            ran.append((group.layers[0].name, window)),
            run(window),
        )
    net.ran = ran
    return net


def test_only_what_the_picture_reaches(padded):
    padded.forward()
    assert padded.ran == [("a", EVERYTHING), ("p", EVERYTHING), ("b", EVERYTHING)]
    padded.ran.clear()
    padded.blobs["data"].data[...] = 1
    padded.forward()
    assert padded.ran[:2] == [("a", (28, 70, 28, 70)), ("p", (14, 35, 14, 35))]
    assert padded.ran[2] == ("b", EVERYTHING)  # an output, which forward() gave out through NumPy


def test_a_patch_reaches_no_further(padded):
    padded._forward(0, 4)
    padded.blobs["data"].data[...] = 1
    padded._forward(0, 4)
    padded.ran.clear()
    padded.blobs["data"].data[0, 1, 10, 20:22] = 5
    padded._forward(0, 4)
    assert padded.ran == [
        ("a", (38, 41, 48, 52)),
        ("p", (19, 21, 24, 26)),
        ("b", (18, 22, 23, 27)),
    ]


def test_maps_of_other_sizes_are_put_aside(padded):
    """The second time, a size costs what the picture reaches; it holds until weights change."""
    for height, width in ((40, 40), (33, 38), (40, 40), (33, 38)):
        padded.ran.clear()
        padded.blobs["data"].reshape(1, 3, height, width)
        padded.blobs["data"].data[...] = height
        padded._forward(0, 4)
    windows = [("a", (28, 63, 28, 68)), ("p", (14, 32, 14, 34)), ("b", (13, 33, 13, 35))]
    assert padded.ran == windows
    padded.params["a"][0].data[...] *= 2
    padded.blobs["data"].reshape(1, 3, 40, 40)
    padded.ran.clear()
    padded._forward(0, 4)
    assert padded.ran[0] == ("a", EVERYTHING)


def test_maps_put_aside_have_a_limit(padded, monkeypatch):
    monkeypatch.setattr(incremental, "STORED_BYTES", 3_000_000)
    for size in (40, 33, 34, 35, 36):
        padded.blobs["data"].reshape(1, 3, size, size)
        padded._forward(0, 4)
    runner = padded._running.groups
    runner._limit_stored()
    stored = [entry for computed in runner.computed.values() for entry in computed.stored.values()]
    assert 0 < sum(entry.bytes for entry in stored) <= 3_000_000
    assert max(entry.pass_number for entry in stored) == 5  # the latest are kept


def test_nothing_new_costs_nothing(padded):
    padded._forward(0, 4)
    padded.ran.clear()
    padded._forward(0, 4)
    padded.blobs["data"].data  # noqa: B018, read only
    padded._forward(0, 4)
    assert padded.ran == []


def test_map_between_two_layers_in_place_is_true(padded):
    padded.blobs["data"].data[...] = -1
    padded.forward()
    before = padded.forward(end="a")["a"].copy()
    assert before.min() < 0
    assert padded.forward()["b"].shape == (1, 31, 49, 49)
    assert np.allclose(padded.blobs["a"].data, np.maximum(before, 0), atol=1e-5)


def test_old_view_of_weights_is_noticed_by_content(padded):
    view = padded.params["a"][0].data[:1]
    padded._forward(0, 4)
    padded.ran.clear()
    padded._forward(0, 4)
    assert padded.ran == []  # held, but unchanged
    view[...] += 1
    padded._forward(0, 4)
    assert padded.ran[0] == ("a", EVERYTHING)


def test_a_layer_of_phase_train_in_a_test_net_drops_afresh(tmp_path):
    text = (
        source(8, 8) + conv("a", "data", 4) + layer("drop", "Dropout", ["a"], "a", "phase: TRAIN")
    )
    net = build(text, tmp_path)
    net.blobs["data"].data[...] = 1
    first, second = (net.forward()["a"].copy() for _ in range(2))
    assert (first == 0).any() and (first != second).any()


def test_nets_in_threads(tmp_path):
    """Kernels let go of Python's lock; what they work in is each thread's own."""
    text = source(60, 60) + conv("a", "data", 40, pad=9) + conv("b", "a", 64)
    nets = [build(text, tmp_path) for _ in range(2)]
    for net in nets:
        net.blobs["data"].data[...] = np.random.default_rng(3).standard_normal((1, 3, 60, 60))
    wanted = [net.forward()["b"].copy() for net in nets]

    def often(net):
        for _ in range(30):
            net.blobs["data"].data[...] += 0
            net._running.groups.forget()
            net.forward()
        return net.blobs["b"].data.copy()

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(often, nets))
    for a, b in zip(wanted, found):
        assert np.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), 1e8])
def test_a_bad_picture_is_gone_with_the_next(tmp_path, bad):
    """NaN, or the rounding of a huge value, fills a whole tile of Winograd's filtering."""
    text = source(21, 22) + conv("a", "data", 32, pad=10) + layer("a_relu", "ReLU", ["a"], "a")
    net = build(text + conv("b", "a", 33) + conv("c", "b", 34), tmp_path)
    other = complete(build(text + conv("b", "a", 33) + conv("c", "b", 34), tmp_path, net))
    draw = np.random.default_rng(8)
    for turn in range(3):
        picture = draw.standard_normal((1, 3, 21, 22))
        picture[0, :, 0, 3] = picture[0, :, 0, 3] if turn else bad
        for each in (net, other):
            each.blobs["data"].data[...] = picture
            each._forward(0, len(each.layers) - 1)
    agree(net, other)


def test_an_interrupted_pass_is_done_again(padded, monkeypatch):
    padded._forward(0, 4)
    padded.params["a"][0].data[...] *= 2
    group = padded._running.groups.groups[1]

    def interrupted(window, run=group.run):
        run(window)
        raise KeyboardInterrupt

    monkeypatch.setattr(group, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        padded._forward(0, 4)
    monkeypatch.undo()
    padded._forward(0, 4)
    found = padded.blobs["b"].x.clone()
    complete(padded)._forward(0, 4)
    assert torch.allclose(found, padded.blobs["b"].x, atol=1e-5)


def test_memory_shared_between_nets(tmp_path):
    """What a C kernel writes is seen by a net that shares the map."""
    first = build(source(20, 20) + conv("a", "data", 32), tmp_path)
    second = build(source(20, 20, 32) + conv("a", "data", 32), tmp_path)
    second.blobs["data"].share_data(first.blobs["a"])
    for turn in range(3):
        first.blobs["data"].data[...] = turn
        first._forward(0, 1)
        second._forward(0, 1)
    found = second.blobs["a"].x.clone()
    complete(second)._forward(0, 1)
    assert torch.allclose(found, second.blobs["a"].x, atol=1e-4)


def test_maps_of_no_cells(tmp_path):
    net = build(source(5, 5) + layer("r", "ReLU", ["data"], "r"), tmp_path)
    net.blobs["data"].reshape(1, 3, 0, 4)
    for _ in range(3):
        net.blobs["data"].data[...] = 1
        assert net.forward()["r"].shape == (1, 3, 0, 4)


def test_inference_mode(padded):
    with torch.inference_mode():
        padded.forward()
        padded.blobs["data"].data[...] = 2
        fast = padded.forward()["b"].copy()
        assert np.allclose(complete(padded).forward()["b"], fast, atol=1e-5)


def test_callbacks_see_every_layer(padded):
    padded.forward()
    seen = []
    padded.after_forward(seen.append)
    padded.forward()
    assert seen == [0, 1, 2, 3, 4]
