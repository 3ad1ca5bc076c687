"""Copies from the host to a GPU: from page-locked memory, on a stream beside the one that computes."""

import functools

import torch

from . import context


def host_memory(size: int, dtype: torch.dtype) -> torch.Tensor:
    """Zeros on the host; page-locked while a GPU computes, so that it can fetch them by itself."""
    return torch.zeros(size, dtype=dtype, pin_memory=context.device().type == "cuda")


def upload(host: torch.Tensor, where: torch.device):
    """(a fresh copy on the device, a function that returns when `host` may be written again).

    What computes there from now on waits for the copy; the host does not. The copy is fresh because
    the GPU may still compute from the one before.
    """
    if where.type != "cuda" or not host.is_pinned():
        return host.to(where, copy=True), _nothing
    beside, computing = _stream(where), torch.cuda.current_stream(where)
    with torch.cuda.stream(beside):
        copy = host.to(where, non_blocking=True)
        done = torch.cuda.Event()
        done.record(beside)
    computing.wait_event(done)
    copy.record_stream(
        computing
    )  # when it is let go, its memory is kept until `computing` is there
    return copy, done.synchronize


@functools.cache
def _stream(where):
    return torch.cuda.Stream(where)


def _nothing():
    pass
