"""What a capture leaves behind in PyTorch when it fails, as PyTorch 2.11's source has it."""

import contextlib
import gc

import pytest
import torch

import caffe
from caffe import context
from caffe.blob import Blob
from caffe.running.capture import _capture_stream, record


class Driver:
    """PyTorch's side of captures: streams, pools under way, generators that refuse to draw."""

    def __init__(self):
        self.current, self.invalid = "computing", False
        self.under_way, self.released, self.refusing = set(), [], set()
        self.pools = iter([(0, n) for n in range(1, 9)])

    def end(self, index, pool):
        if pool not in self.under_way:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.under_way.remove(pool)

    @contextlib.contextmanager
    def graph(self, graph, pool=None, stream=None, capture_error_mode="global"):
        pool, before = pool or next(self.pools), self.current
        self.current, self.invalid = stream, False
        self.under_way.add(pool)
        self.refusing |= graph.generators
        try:
            yield
        finally:
            if self.invalid:
                raise RuntimeError("operation failed due to a previous error during capture")
            self.under_way.remove(pool)
            self.refusing -= graph.generators
            self.current = before


class Graph:
    def __init__(self):
        self.generators = {"default"}

    def register_generator_state(self, generator):
        self.generators.add(generator)

    def replay(self):
        return "launched"


@pytest.fixture
def driver(monkeypatch):
    driver = Driver()
    _capture_stream.cache_clear()
    monkeypatch.setattr(context, "_device", torch.device("cuda", 0))
    monkeypatch.setattr(context, "generator", lambda: "ours")
    for name, value in {
        "CUDAGraph": Graph,
        "Stream": lambda where: "capturing",
        "current_stream": lambda where: driver.current,
        "graph": driver.graph,
        "graph_pool_handle": lambda: next(driver.pools),
        "set_stream": lambda stream: setattr(driver, "current", stream),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: None)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", driver.end, raising=False)
    released = lambda index, pool: driver.released.append(pool)  # noqa: E731
    monkeypatch.setattr(torch._C, "_cuda_releasePool", released, raising=False)
    yield driver
    _capture_stream.cache_clear()


def is_clean(driver):
    return driver.current == "computing" and not driver.under_way and not driver.refusing


def test_a_capture(driver):
    def run():
        assert driver.current == "capturing" and driver.refusing == {"ours", "default"}
        assert not gc.isenabled()
        return 3

    result, launch = record(run)
    assert (result, launch()) == (3, "launched")
    assert is_clean(driver) and gc.isenabled() and not driver.released


@pytest.mark.parametrize("at_once", [True, False])
def test_a_capture_that_cuda_gives_up(driver, at_once):
    """At a layer, which is told then, or without anybody seeing it until the end."""

    def run():
        driver.invalid = True
        if at_once:
            raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted" if at_once else "previous error"):
        record(run)
    assert is_clean(driver) and gc.isenabled() and driver.released == [(0, 1)]


def test_a_capture_in_which_python_fails(driver):
    def run():
        raise ValueError("of a layer")

    with pytest.raises(ValueError, match="of a layer"):
        record(run)
    assert is_clean(driver) and gc.isenabled() and not driver.released


@pytest.mark.cuda
def test_cuda_goes_on_after_a_capture_that_failed():
    """Draws, frees what was uploaded, computes on the stream it had, and captures."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    caffe.set_mode_gpu()
    x, blob = torch.ones(4, device="cuda"), Blob([1 << 20])
    with pytest.raises(RuntimeError, match="captur"):
        record(lambda: float(x.sum()))
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    for generator in (context.generator(), None):
        assert torch.rand(1, device="cuda", generator=generator) < 1
    in_use = []
    for _ in range(20):
        blob.data[...] = 1
        blob.x.sum()
        torch.cuda.synchronize()
        in_use.append(torch.cuda.memory_stats()["active_bytes.all.current"])
    assert max(in_use) - in_use[1] < 4 * blob.count * 4
    _, launch = record(lambda: x.mul_(2))
    launch()
    assert x.tolist() == [2] * 4
