"""Passes that are captured and launched again, as CUDA graphs are: here by a stand-in for the CPU."""

import numpy as np
import pytest
import torch
from nets import NET, SOLVER
from recorder import Kernels, Recorder

import caffe
from caffe import context
from caffe.running import cuda_graphs as graphs

SOURCE = """
import numpy as np
import caffe


class Source(caffe.Layer):
    sizes = [(9, 9), (9, 9), (9, 9), (8, 11), (9, 9), (8, 11), (8, 11), (9, 9), (8, 11), (10, 6)]

    def setup(self, bottom, top):
        self.at = 0

    def reshape(self, bottom, top):
        height, width = self.sizes[self.at % len(self.sizes)]
        top[0].reshape(1, 2, height, width)
        top[1].reshape(1, 1, height, width)
        top[2].reshape(1)

    def forward(self, bottom, top):
        rng = np.random.default_rng(self.at)
        top[0].data[...] = rng.standard_normal(top[0].data.shape)
        top[1].data[...] = rng.integers(0, 3, top[1].data.shape)
        top[2].data[...] = self.at % 4
        self.at += 1

    def backward(self, top, propagate_down, bottom):
        pass
"""
# without InnerProduct, whose weights are of one size
DATA = 'layer { name: "data" type: "Python" top: "data" top: "label" top: "item" python_param '
DATA += '{ module: "graph_source" layer: "Source" } }'
BODY = NET[NET.index('layer { name: "conv"') :]
IP = BODY[BODY.index('layer { name: "ip"') : BODY.index('layer { name: "accuracy"')]
POOLED = 'layer { name: "item" type: "Silence" bottom: "item" }\n'


@pytest.fixture
def recorder(mock_gpu, monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(graphs, "record", recorder)
    return recorder


@pytest.fixture
def solver_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "graph_source.py").write_text(SOURCE)
    body = BODY.replace(IP, POOLED)

    def build(more=""):
        (tmp_path / "net.prototxt").write_text(DATA + body)
        (tmp_path / "solver.prototxt").write_text(SOLVER + more)
        context._generators.clear()
        return caffe.get_solver("solver.prototxt")

    return build


def state(net):
    """All that a user can see of a net, in NumPy."""
    seen = {f"{name}.data": blob.data.copy() for name, blob in net.blobs.items()}
    seen |= {f"{name}.diff": blob.diff.copy() for name, blob in net.blobs.items()}
    for name, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            seen |= {f"{name}[{i}]": blob.data.copy(), f"{name}[{i}].diff": blob.diff.copy()}
    return seen


def check_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def train(solver, steps):
    """The state after each of some steps; `state` itself moves every blob to the host and back."""
    states = []
    for count in steps:
        solver.step(count)
        states.append(state(solver.net) | {"loss": solver.smoothed_loss})
    return states


@pytest.mark.parametrize("more", ["", "iter_size: 2", 'type: "Adam" clip_gradients: 1'])
@pytest.mark.parametrize("steps", [[8], [30], [7, 9, 5, 9]])
def test_training_by_graphs_is_the_same_training(more, steps, solver_of, recorder):
    """Sizes that come and go, Dropout, blobs read between steps."""
    wanted = train(solver_of(more), steps)
    assert recorder.captured == 0
    caffe.set_cuda_graphs(True)
    for a, b in zip(wanted, train(solver_of(more), steps)):
        check_equal(a, b)
    assert recorder.captured and recorder.launched >= sum(steps) / 3


def test_testing_by_graphs_while_training(solver_of, recorder):
    """The test net reads weights that the training net's update moves on."""

    def run():
        solver, seen = solver_of(), []
        solver.test_nets[0].share_with(solver.net)
        for _ in range(6):
            for _ in range(9):
                solver.test_nets[0].forward()
                seen.append(float(solver.test_nets[0].blobs["loss"].data))
            solver.step(3)
        return seen + [state(solver.test_nets[0])]

    *wanted, end = run()
    caffe.set_cuda_graphs(True)
    *found, last = run()
    assert found == wanted and recorder.launched > 30
    check_equal(end, last)


def test_what_a_user_writes_is_seen(solver_of, recorder):
    """Weights from the host, loss weights, layers' backward after a captured forward."""

    def run():
        net = solver_of().test_nets[0]
        net.layers[0].sizes = [(9, 9), (9, 9), (8, 11)]
        seen = []
        for turn in range(60):
            if turn % 16 == 4:
                net.params["conv"][0].data[...] *= 0.5
            if turn == 31:
                net.params["conv"][0].x.mul_(3)
            if turn == 43:
                net.blobs["loss"].diff[...] = 7
            seen.append(net._forward(0, len(net.layers) - 1))
            if turn % 5 == 3:
                net.clear_param_diffs()
                net.backward()
                seen.append(net.params["conv"][0].diff.sum())
        return seen

    wanted = run()
    caffe.set_cuda_graphs(True)
    assert run() == wanted
    assert recorder.captured >= 4 and recorder.launched > 8


@pytest.fixture
def bf16(monkeypatch):
    monkeypatch.setattr(context, "precisions", lambda where=None: list(context.PRECISIONS))
    caffe.set_precision("bf16")


@pytest.mark.parametrize("more", ["", "iter_size: 3"])
def test_bf16_weights_are_those_of_the_step(more, solver_of, recorder, bf16):
    """They are turned to bf16 in the graph, also where they were as needed when it was captured."""
    for sizes in ([(9, 9)], [(9, 9), (8, 11)]):
        results = []
        for on in (False, True):
            caffe.set_cuda_graphs(on)
            solver = solver_of(more)
            solver.net.layers[0].sizes = sizes
            results.append(train(solver, [12])[0])
        check_equal(*results)
    assert recorder.launched > 10


def test_bf16_weights_that_change_between_tests(solver_of, recorder, bf16):
    results = []
    for on in (False, True):
        caffe.set_cuda_graphs(on)
        net = solver_of().test_nets[0]
        net.layers[0].sizes = [(9, 9)]
        losses = []
        for turn in range(24):
            if turn % 8 == 6:
                net.params["conv"][0].x.mul_(1.5)  # on the device: no address changes
            losses.append(net._forward_async(0, len(net.layers) - 1))
        results.append(torch.stack(losses).tolist())  # each pass has a loss of its own
    assert results[0] == results[1] and len(set(results[0])) == 24
    assert recorder.captured >= 3


def test_who_watches_sees_every_layer(solver_of, recorder):
    caffe.set_cuda_graphs(True)
    net = solver_of().test_nets[0]
    seen = []
    net.before_forward(seen.append)
    for _ in range(5):
        net.forward()
    assert len(seen) == 5 * len(net.layers) and recorder.captured == 0


def test_what_cannot_be_captured_runs_as_ever_and_is_told_once(
    solver_of, recorder, bf16, monkeypatch
):
    told = []
    monkeypatch.setattr(graphs, "warning", lambda place, text: told.append(text))

    def fail(run):
        with Kernels():
            run()
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphs, "record", fail)
    wanted = train(solver_of(), [20])
    caffe.set_cuda_graphs(True)
    for a, b in zip(wanted, train(solver_of(), [20])):
        check_equal(a, b)
    assert len(told) == 1 and "not permitted" in told[0]


def test_only_so_many_shapes_are_kept(solver_of, recorder, monkeypatch):
    """Those that come most often, without a capture for every change of sizes."""
    monkeypatch.setattr(graphs, "MOST_SHAPES", 1)
    caffe.set_cuda_graphs(True)
    solver = solver_of()
    kept = solver.net._running.cuda_graphs.captured

    def shape_kept():
        ((_, shapes, *_),) = kept
        return shapes[0][2:]

    solver.step(30)  # 15 of 9x9, 12 of 8x11
    assert shape_kept() == (9, 9) and recorder.captured == 1
    solver.net.layers[0].sizes = [(8, 11)]
    solver.step(17)
    assert shape_kept() == (9, 9) and recorder.captured == 1
    solver.step(4)
    assert shape_kept() == (8, 11) and recorder.captured == 2


def test_a_net_with_a_host_layer_behind_others_has_none(net_of, recorder):
    net = net_of(
        """layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 2 } } }
        layer { name: "r" type: "ReLU" bottom: "d" top: "r" }
        layer { name: "a" type: "ArgMax" bottom: "r" top: "a" }"""
    )
    caffe.set_cuda_graphs(True)
    assert net._running.cuda_graphs.first == 3 and not net._running.cuda_graphs.applies()


@pytest.mark.cuda
def test_cuda_graphs_train_the_same(solver_of):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    caffe.set_mode_gpu()
    wanted = train(solver_of(), [30])
    caffe.set_cuda_graphs(True)
    for a, b in zip(wanted, train(solver_of(), [30])):
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-4, err_msg=name)
