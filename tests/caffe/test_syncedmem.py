"""Copies to a device that are still under way: a stand-in for a GPU's, which are made when waited for."""

import numpy as np
import pytest
import torch

import caffe
from caffe import context, syncedmem
from caffe.blob import Blob


class Late:
    """`syncedmem.upload` whose copies read the host's memory as late as they may."""

    def __init__(self):
        self.made = []

    def __call__(self, host, where):
        copy = torch.full_like(host, float("nan"))
        self.made.append(copy)

        def settle():
            copy.data.copy_(host)  # behind the version's back, as a copy engine

        return copy, settle


def test_the_host_writes_only_when_the_copy_is_made(mock_gpu, monkeypatch):
    monkeypatch.setattr(syncedmem, "upload", late := Late())
    blob = Blob([3])
    for value in (1, 2, 3):
        blob.data[...] = value
        uploaded = blob.x
        assert uploaded.isnan().all()  # under way
        assert blob.data.tolist() == [value] * 3
        assert uploaded.tolist() == [value] * 3
    assert len({copy.data_ptr() for copy in late.made}) == 3  # what is computed from is not written


def test_a_view_that_is_kept_may_be_written_at_once(mock_gpu, monkeypatch):
    monkeypatch.setattr(syncedmem, "upload", Late())
    blob = Blob([3])
    kept = blob.data
    for value in (1, 2):
        blob.data[...] = value
        uploaded = blob.x
        kept[...] = 9
        assert uploaded.tolist() == [value] * 3


def test_what_was_uploaded_is_not_fetched_again(mock_gpu):
    blob = Blob([3])
    blob.data[...] = 1
    blob.x.data.add_(5)  # nobody sees that
    assert blob.data.tolist() == [1, 1, 1]
    blob.x.add_(5)
    assert blob.data.tolist() == [6, 6, 6]
    assert blob.x.tolist() == [6, 6, 6]
    blob.x = torch.arange(3.0)
    assert blob.data.tolist() == [0, 1, 2]


def test_uploaded_by_halves(mock_gpu):
    """A copy of fewer values than are asked for."""
    blob = Blob([2])
    blob.data[...] = 1
    assert blob.x.tolist() == [1, 1]
    blob.reshape(3)
    assert blob.x.tolist() == [0, 0, 0]
    blob.data[...] = 4
    blob.reshape(2)
    assert blob.x.tolist() == [4, 4] and blob.data.tolist() == [4, 4]
    with torch.inference_mode():
        assert blob.x.tolist() == [4, 4] and blob.data.tolist() == [4, 4]


@pytest.mark.cuda
def test_cuda_overlaps_and_keeps_order():
    """Uploads behind a long computation: each is computed from as it was written."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    caffe.set_mode_gpu()
    blob, sums = Blob([1 << 20]), []
    busy = torch.randn(4096, 4096, device="cuda")
    for value in range(50):
        blob.data[...] = value
        assert blob._data.sides[context.CPU].is_pinned()
        busy = busy @ busy
        sums.append(blob.x.mean())
    assert torch.stack(sums).tolist() == list(range(50))


@pytest.mark.cuda
def test_cuda_copies_what_a_kept_view_held():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    caffe.set_mode_gpu()
    blob, sums = Blob([1 << 24]), []
    kept = blob.data
    for value in range(20):
        blob.data[...] = value
        sums.append(blob.x.double().mean())
        kept[...] = -1
    assert torch.stack(sums).tolist() == list(range(20))


def test_host_memory_is_page_locked_where_a_gpu_computes(monkeypatch):
    asked = []
    zeros = torch.zeros
    monkeypatch.setattr(
        torch, "zeros", lambda *a, pin_memory, **k: asked.append(pin_memory) or zeros(*a, **k)
    )
    syncedmem.host_memory(2, torch.float32)
    monkeypatch.setattr(context, "_device", torch.device("cuda", 0))
    assert syncedmem.host_memory(2, torch.float32).numpy().dtype == np.float32
    assert asked == [False, True]
