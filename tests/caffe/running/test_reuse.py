"""TEST nets whose maps take over each other's memory compute the same."""

import numpy as np
import pytest
from memory_nets import (
    NETS,
    bytes_of,
    fill,
    net_with_everything,
    sample,
)
from nets import build, complete, conv, layer, source

import caffe


def held_by(net):
    pool = sum(block.numel() * block.element_size() for _, block in net._running.policy.pool.free)
    return bytes_of(net._blobs) + pool


@pytest.mark.usefixtures("same_every_time")
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
