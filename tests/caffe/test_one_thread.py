"""A net serves one thread at a time, and says so; different nets run side by side."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from nets import NET, SOLVER, build, conv, source

import caffe
from caffe.one_thread import OneThread

TEXT = 'name: "pair"\n' + source(12, 12) + conv("a", "data", 40) + conv("b", "a", 40)


@pytest.fixture
def net(tmp_path):
    return build(TEXT, tmp_path)


def while_inside(net, call):
    """What `call` does in a thread while this one is inside a pass of the net."""
    with ThreadPoolExecutor(1, thread_name_prefix="visitor") as pool:
        seen = []

        def visit(index):
            if not seen:
                seen.append(pool.submit(call))
                seen[0].exception()

        net.after_forward(visit)
        net.forward()
    return seen[0]


CALLS = {
    "forward": lambda net: net.forward(data=np.ones((1, 3, 12, 12))),
    "forward of some layers": lambda net: net.forward(end="a"),
    "_forward": lambda net: net._forward(0, 1),
    "forward_all": lambda net: net.forward_all(data=np.ones((3, 3, 12, 12))),
    "backward": lambda net: net.backward(),
    "forward_backward_all": lambda net: net.forward_backward_all(data=np.ones((2, 3, 12, 12))),
    "reshape": lambda net: net.reshape(),
    "copy_from": lambda net: net.copy_from("w.caffemodel"),
    "load_hdf5": lambda net: net.load_hdf5("w.h5"),
    "share_with": lambda net: net.share_with(net),
    "save": lambda net: net.save("never.caffemodel"),
    "save_hdf5": lambda net: net.save_hdf5("never.h5"),
    "reuse_memory": lambda net: net.reuse_memory(),
    "clear_param_diffs": lambda net: net.clear_param_diffs(),
}


@pytest.mark.parametrize("name", CALLS)
def test_another_thread_is_refused(name, net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        RuntimeError, match=r"net 'pair' is in use by thread 'MainThread'.*'visitor_0'"
    ):
        while_inside(net, lambda: CALLS[name](net)).result()
    assert not list(tmp_path.glob("never*"))
    net.forward()  # nobody is inside any more


def test_it_is_let_in_afterwards(net):
    wanted = net.forward(data=np.ones((1, 3, 12, 12)))["b"].copy()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(8):
            found = pool.submit(net.forward, data=np.ones((1, 3, 12, 12))).result()["b"]
            np.testing.assert_array_equal(found, wanted)


def test_the_same_thread_may_enter_again(net):
    net.before_forward(lambda index: net.clear_param_diffs())
    net.forward()


def test_an_error_leaves_nobody_inside(net):
    def broken(index):
        raise OSError("a callback's")

    net.before_forward(broken)
    with pytest.raises(OSError, match="a callback's"):
        net.forward()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(net.clear_param_diffs).result()


def test_four_threads_with_a_lock_as_the_error_says_get_right_scores(net):
    lock, inputs = threading.Lock(), np.random.default_rng(0).random((4, 1, 3, 12, 12))
    wanted = [net.forward(data=x)["b"].copy() for x in inputs]

    def score(i):
        with lock:
            return net.forward(data=inputs[i])["b"].copy()

    with ThreadPoolExecutor(4) as pool:
        for i, found in zip(range(16), pool.map(lambda i: score(i % 4), range(16))):
            np.testing.assert_allclose(found, wanted[i % 4], atol=1e-5)


def test_nets_that_share_weights_run_side_by_side(tmp_path):
    first = build(TEXT, tmp_path)
    nets = [first, *(build(TEXT, tmp_path) for _ in range(3))]
    for other in nets[1:]:
        other.share_with(first)
    inputs = np.random.default_rng(0).random((4, 1, 3, 12, 12))
    wanted = [first.forward(data=x)["b"].copy() for x in inputs]

    def score(i):
        return [nets[i].forward(data=inputs[i])["b"].copy() for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(score, range(4)), wanted):
            np.testing.assert_allclose(found, [right] * 20, atol=1e-5)


def test_a_solver_s_steps_are_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET % {"label": 1})
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    refused = []

    def visit():
        for call in (solver.net.forward, lambda: solver.step(1), solver.apply_update):
            with pytest.raises(RuntimeError, match="is in use by thread 'MainThread'"):
                call()
            refused.append(call)

    def between():
        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()

    solver.add_callback(between, lambda: None)
    solver.step(1)
    assert len(refused) == 3 and solver.iter == 1


def test_a_thread_that_fork_has_not_copied_is_forgotten():
    guard = OneThread("net")
    thread = threading.Thread(target=guard.__enter__)
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="in use"):
        guard.__enter__()
    guard._after_fork()
    with guard:
        guard._after_fork()  # the thread that forks is in the child, too
    with guard:
        pass
