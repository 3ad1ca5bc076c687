"""Workers that train together make the steps of one with iter_size; one that is lost is named."""

import os
import signal
import socket
import time

import numpy as np
import pytest
from together import together

import caffe
from caffe import python_modules, workers

PICTURES = 6  # in the set, dealt out in their order

NET = """
layer { name: "data" type: "Python" top: "data" top: "label"
  python_param { module: "dealt" layer: "Dealt" } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "c2" param { name: "shared" }
  convolution_param { num_output: 8 kernel_size: 1 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "c3" type: "Convolution" bottom: "c2" top: "c3" param { name: "shared" }
  convolution_param { num_output: 8 kernel_size: 1 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "c3" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
train_net: "net.prototxt" base_lr: 0.05 momentum: 0.9 weight_decay: 0.001 lr_policy: "fixed"
random_seed: 3 snapshot_prefix: "s" max_iter: 20 iter_size: {iter_size}
"""
LAYER = """
import numpy as np
import caffe

class Dealt(caffe.Layer):
    def setup(self, bottom, top):
        self.at = caffe.solver_rank()
        self.seen = []
        top[0].reshape(1, 3, 7, 7)
        top[1].reshape(1)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        rng = np.random.RandomState(self.at % {pictures})
        top[0].data[...] = rng.standard_normal((1, 3, 7, 7))
        top[1].data[...] = rng.randint(5)
        self.seen.append(self.at)
        self.at += caffe.solver_count()

    def backward(self, top, propagate_down, bottom):
        pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(python_modules, "_allowed", {})
    caffe.allow_python_layers(tmp_path)
    (tmp_path / "dealt.py").write_text(LAYER.format(pictures=PICTURES))
    (tmp_path / "net.prototxt").write_text(NET)
    for iter_size in (1, 2, 4):
        (tmp_path / f"solver{iter_size}.prototxt").write_text(SOLVER.format(iter_size=iter_size))
    return tmp_path


def trained(iter_size=1, steps=20, overlapping=True, bf16=False, change=None):
    """The weights after some steps, as one list of numbers, and the pictures that were seen."""
    solver = caffe.get_solver(f"solver{iter_size}.prototxt")
    if change is not None:
        change(solver)
    if workers.group():
        joined = caffe.NCCL(solver, bf16=bf16)
        joined.bcast()
        solver.add_callback(joined)
        if overlapping:
            solver.net.after_backward(joined)
    solver.step(steps)
    blobs = [blob.data.ravel() for row in solver.net.params.values() for blob in row]
    return np.concatenate(blobs), solver.net.layers[0].seen


def difference(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("count, each, overlapping", [(2, 1, True), (4, 1, True), (2, 2, False)])
def test_the_sums_are_those_of_one_with_iter_size(folder, count, each, overlapping):
    found = together(count, trained, each, 20, overlapping)
    alone, order = trained(iter_size=count * each)
    assert sorted(k for _, seen in found for k in seen) == order  # no picture twice, none left out
    for weights, _ in found:
        assert difference(weights, alone) < 1e-5
        assert np.array_equal(weights, found[0][0])


def test_gradients_in_bf16(folder):
    found = together(2, trained, 1, 20, True, True)
    alone, _ = trained(iter_size=2)
    assert 1e-6 < difference(found[0][0], alone) < 1e-2
    assert np.array_equal(found[0][0], found[1][0])


def test_each_has_random_numbers_of_its_own_and_the_first_one_s_weights(folder):
    def first_weights():
        solver = caffe.get_solver("solver1.prototxt")
        before = solver.net.params["c1"][0].data.copy()
        caffe.NCCL(solver).bcast()
        return before, solver.net.params["c1"][0].data.copy()

    (own, kept), (other, received) = together(2, first_weights)
    assert not np.array_equal(own, other)
    assert np.array_equal(own, kept) and np.array_equal(own, received)


def test_the_first_alone_writes(folder):
    def snapshot():
        solver = caffe.get_solver("solver1.prototxt")
        if caffe.solver_rank() == 1:
            solver.snapshot()
        return sorted(os.listdir())

    before = sorted(os.listdir())
    assert together(2, snapshot)[1] == before


def test_a_request_to_stop_stops_all_after_the_same_step(folder):
    def stopped():
        solver = caffe.get_solver("solver1.prototxt")
        joined = caffe.NCCL(solver)
        solver.add_callback(joined)
        if caffe.solver_rank() == 1:
            solver.action = lambda: "stop" if solver.iter >= 6 else "none"
        solver.step(20)
        return solver.iter

    assert together(3, stopped) == [7, 7, 7]


# ---- what is wrong


@pytest.fixture
def soon(monkeypatch):
    """Signs of life come more often, and are waited for less long."""
    monkeypatch.setattr(workers, "_BEAT", 0.1)
    monkeypatch.setattr(workers, "_LATE", 0.3)


def test_nets_that_differ_are_named(folder):
    def wider(solver):
        if caffe.solver_rank() == 2:
            solver.param.base_lr = 0.1

    found = together(3, trained, 1, 1, True, False, wider)
    said = "ValueError: the net or the solver of worker 2 differs from worker 0's"
    assert all(each.startswith(said) for each in found)


def test_an_error_of_one_is_told_by_all(folder, soon):
    def broken(solver):
        if caffe.solver_rank() == 1:
            solver.net.layers[0].forward = lambda bottom, top: 1 / 0

    found = together(3, failing, broken)
    assert found[1] == "ZeroDivisionError: division by zero"
    for rank in (0, 2):
        assert found[rank] == "WorkerLost: worker 1 ended: ZeroDivisionError: division by zero"


def failing(change):
    try:
        trained(1, 5, True, False, change)
    except ZeroDivisionError as error:
        workers.end_with(error)
        return f"ZeroDivisionError: {error}"


def test_one_that_is_killed_is_named(folder, soon):
    def killed(solver):
        def die(bottom, top):
            if solver.iter == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        if caffe.solver_rank() == 1:
            solver.net.layers[0].forward = die

    begin = time.monotonic()
    found = together(3, trained, 1, 5, True, False, killed)
    assert found[1] == "gone" and time.monotonic() - begin < 15
    for rank in (0, 2):
        assert found[rank].startswith("WorkerLost: worker 1 is gone, in iteration 3: nothing")


def test_one_that_hangs_is_named(folder, soon):
    def hang(solver):
        def wait(bottom, top):
            if solver.iter == 2:
                time.sleep(3)

        if caffe.solver_rank() == 1:
            solver.net.layers[0].forward = wait

    found = together(2, stuck, hang, patience=1.0)
    assert found[0] == (
        "worker 1 hangs in iteration 2: it is alive, and the others have waited for it for 1 s"
    )


def stuck(change):
    try:
        trained(1, 5, True, False, change)
    except workers.WorkerLost as error:
        return str(error)


def test_one_that_does_not_come(folder, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 1.0)
    with pytest.raises(workers.WorkerLost, match="worker 0: the others did not come to tcp://"):
        workers.Group(caffe.NCCL.new_uid().decode(), 0, 2)


@pytest.mark.parametrize(
    "variables, said",
    [
        ({"RANK": "3"}, "worker 3 of 2: ranks go from 0 to 1"),
        ({"RANK": "x"}, "RANK is 'x': torchrun sets"),
        ({"RANK": "", "MASTER_PORT": ""}, "RANK is '', MASTER_PORT is '': torchrun sets"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR is not set"),
    ],
)
def test_variables_that_are_wrong(monkeypatch, variables, said):
    whole = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29555"}
    for name, value in (whole | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said):
        workers.join()


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(workers.WorkerLost, match=f"worker 0: the port of tcp://.*{port} is in"):
            workers.Group(f"tcp://127.0.0.1:{port}", 0, 2)


def test_counts_and_ranks_that_cannot_be():
    assert caffe.has_nccl() and (caffe.solver_count(), caffe.solver_rank()) == (1, 0)
    with pytest.raises(ValueError, match="it must be 1 or more"):
        caffe.set_solver_count(0)
    with pytest.raises(ValueError, match="rank is 1, of 1: set_solver_count comes first"):
        caffe.set_solver_rank(1)
