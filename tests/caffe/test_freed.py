"""Nets, solvers and data layers are freed when the last reference goes, without the garbage collector.

(Nets of every layer, in every way of running: tests/caffe/running/test_ways.py.)
"""

import gc
import os
import threading
import weakref

import numpy as np
import pytest
from databases import data_layer, write
from nets import NET, SOLVER, build
from PIL import Image

import caffe

KINDS = {
    "Data": 'data_param { source: "db" backend: LMDB batch_size: 2 }',
    "ImageData": 'image_data_param { source: "list" batch_size: 2 }',
    "WindowData": 'transform_param { crop_size: 2 } window_data_param { source: "windows" '
    "batch_size: 2 fg_threshold: 0.5 bg_threshold: 0.5 fg_fraction: 0.5 }",
    "DenseImageData": 'dense_image_data_param { source: "masks" batch_size: 1 }',
}
PYTHON = """
import caffe

class Ahead(caffe.Layer):
    def setup(self, bottom, top):
        self.thread = caffe.Background("ahead")
        self.next = self.thread.submit(self.read, 1)

    def read(self, value):
        return value + 1

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[...] = self.next.result()
        self.next = self.thread.submit(self.read, self.next.result())
"""


@pytest.fixture(autouse=True)
def no_garbage_collected():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Image.new("RGB", (5, 5)).save("a.png")
    Image.new("L", (5, 5)).save("mask.png")
    (tmp_path / "list").write_text("a.png 0\n")
    (tmp_path / "masks").write_text("a.png mask.png\n")
    (tmp_path / "windows").write_text("# 0\na.png\n3\n5\n5\n2\n1 0.9 0 0 3 3\n0 0.1 0 0 2 2\n")
    return tmp_path


def references(*things):
    return [weakref.ref(thing) for thing in things]


def alive(found):
    return [thing for thing in (reference() for reference in found) if thing is not None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_layer_its_thread_and_its_files_go_with_the_net(kind, folder):
    if kind == "Data":
        write(folder / "db")
    net = build(
        f'layer {{ name: "d" type: "{kind}" top: "data" top: "label" {KINDS[kind]} }}', folder
    )
    for _ in range(3):
        net.forward()
    layer = net.layers[0]
    threads = list(layer.thread._threads)
    found = references(net, layer, layer.thread, layer.transform, *net._blobs)
    del net, layer
    assert not alive(found)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    with open("/proc/self/maps") as maps:
        assert f"{folder}/db" not in maps.read()


def test_so_does_a_layer_that_could_not_read(folder):
    (folder / "list").write_text("a.png 0\nnone.png 0\n")
    net = build(
        'layer { name: "d" type: "ImageData" top: "data" top: "label" '
        'image_data_param { source: "list" batch_size: 1 } }',
        folder,
    )
    net.forward()
    net.layers[0].thread.rest()  # it has failed, and nobody has asked
    found = references(net, *net.layers)
    del net
    assert not alive(found)


def test_a_python_layer_that_reads_ahead_goes_too(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (folder / "reading_ahead.py").write_text(PYTHON)
    net = build(
        'layer { name: "d" type: "Python" top: "data" '
        'python_param { module: "reading_ahead" layer: "Ahead" } }',
        folder,
    )
    assert [net.forward()["data"][0] for _ in range(3)] == [2, 3, 4]
    found = references(net, *net.layers, net.layers[0].thread)
    del net
    assert not alive(found)


def test_a_thread_holds_its_layer_while_it_works_and_no_longer():
    class Reader:
        def __init__(self):
            self.thread, self.go = caffe.Background("slow"), threading.Event()

        def read(self):
            return self.go.wait(10)

        def fail(self):
            raise ValueError("as it must")

    reader = Reader()
    result, found = reader.thread.submit(reader.read), references(reader)
    reader.go.set()
    assert result.result() is True
    failed = reader.thread.submit(reader.fail)
    assert isinstance(failed.exception(), ValueError)
    del reader
    assert not alive(found)


def test_a_solver_and_its_nets(folder):
    write(folder / "db")
    (folder / "net.prototxt").write_text(
        data_layer("db") + 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
        'inner_product_param { num_output: 3 weight_filler { type: "xavier" } } } '
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
    )
    (folder / "solver.prototxt").write_text(SOLVER.replace("1000", "2"))
    solver = caffe.get_solver("solver.prototxt")
    solver.step(5)
    nets = [solver.net, *solver.test_nets]
    found = references(solver, *nets, *(layer for net in nets for layer in net.layers))
    found += references(*solver.history)
    del solver, nets
    assert not alive(found)


@pytest.mark.parametrize("policy", ["", "reuse_memory", "recompute"])
def test_a_net_after_every_kind_of_use(policy, folder):
    (folder / "net.prototxt").write_text(NET % {"label": 1})
    net = caffe.Net("net.prototxt", caffe.TRAIN if policy != "reuse_memory" else caffe.TEST)
    getattr(net, policy or "reshape")()
    net.after_forward(lambda index: None)
    net.forward()
    if policy != "reuse_memory":
        net.backward()
    with pytest.raises(ValueError, match="no layer 'none'"):
        net.forward(end="none")
    net.save("w.caffemodel")
    net.copy_from("w.caffemodel")
    assert repr(net) and net._repr_html_()
    found = references(net, net._topology, net._running, *net.layers, *net._blobs)
    del net
    assert not alive(found)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_nets_in_a_loop_take_the_memory_of_one(folder):
    text = (
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: [1, 12, 1024, 1024] } } }'
        'layer { name: "r" type: "Power" bottom: "d" top: "r" }'
    )
    picture = np.ones((1, 12, 1024, 1024), np.float32)
    taken = []
    for _ in range(9):
        net = build(text, folder)
        net.forward(d=picture)
        taken.append(resident())
        del net
    # the first may find memory that other tests have left
    assert max(taken[1:]) - taken[0] < 1.1 * 2 * picture.nbytes
