"""Fixtures of all tests: engine state as at import, golden files, devices."""

import os

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads stall a busy machine

import pytest
import torch
from devices import MOCK_GPU

import caffe


@pytest.fixture(autouse=True)
def fresh_engine():
    """Every test starts on the CPU, in float32, with a seed of its own."""
    caffe.set_mode_cpu()
    caffe.set_random_seed(1)
    yield
    caffe.set_precision("float32")
    caffe.set_cuda_graphs(False)
    caffe.set_mode_cpu()


@pytest.fixture
def mock_gpu(monkeypatch):
    """The CPU in the role of a GPU, with no kernels other than PyTorch's."""
    monkeypatch.setattr(caffe.context, "_device", MOCK_GPU)
    monkeypatch.setattr("caffe.kernels.library.available", lambda: False)


@pytest.fixture(params=["cpu", "mock_gpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request):
    """Runs a test on every device there is, and on the CPU in the role of a GPU.

    There a blob has two memories, as with a GPU: a layer that writes through the wrong one, or a
    view that is not brought up to date, shows on any machine.
    """
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device on this machine")
        caffe.set_mode_gpu()
    elif request.param == "mock_gpu":
        request.getfixturevalue("mock_gpu")
    return request.param


@pytest.fixture
def same_every_time(monkeypatch):
    """cuDNN takes no algorithm that adds in whatever order its threads come."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


@pytest.fixture
def net_of(tmp_path):
    """A function from prototxt text to a net."""

    def build(text, phase=caffe.TEST, **kwargs):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return caffe.Net(str(path), phase, **kwargs)

    return build
