"""Capturing the kernels of a pass as a CUDA graph."""

from __future__ import annotations

import contextlib
import functools
import gc
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from .. import context

Result = TypeVar("Result")


def record(run: Callable[[], Result]) -> tuple[Result, Callable[[], None]]:
    """Capture the kernels that `run` launches, without running them.

    Returns what `run` returned and a function that launches the kernels. An error of `run` is raised
    as it was, and PyTorch is left as it was.
    """
    where = context.device()
    computing, stream = torch.cuda.current_stream(where), _capture_stream(where)
    graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    graph.register_generator_state(context.generator())  # Dropout draws anew at every replay
    cause: BaseException | None = None
    mode = "thread_local"  # a data layer's thread may go on
    try:
        with (
            _no_garbage_collected(),
            torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode=mode),
        ):
            try:
                result = run()
            except BaseException as error:
                cause = error
                raise
    except BaseException as error:
        _clear_up(where, pool, stream, computing)
        if cause is None or cause is error:
            raise
        raise cause from None  # what the end of the capture says is that something went wrong
    return result, graph.replay


@functools.cache
def _capture_stream(where: torch.device) -> torch.cuda.Stream:
    """One stream for all captures: cuBLAS keeps a workspace for each."""
    return torch.cuda.Stream(where)


@contextlib.contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """A net that is found dead would destroy its graphs and events in the middle of the capture."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _clear_up(where, pool, stream, computing):
    """Undo what a failed capture leaves behind in PyTorch (up to 2.13).

    The current stream stays the capture's. The allocator believes the capture under way, and never
    again frees what another stream has used, such as uploads. The generators refuse to draw; a
    capture that succeeds is what makes them draw again.
    """
    torch.cuda.set_stream(computing)
    calls = ("endAllocateToPool", "endAllocateCurrentStreamToPool")  # the second up to PyTorch 2.7
    end = next(call for name in calls if (call := getattr(torch._C, f"_cuda_{name}", None)))
    with contextlib.suppress(RuntimeError):  # the capture did end, and only `run` failed
        end(where.index, pool)
        torch._C._cuda_releasePool(where.index, pool)
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(context.generator())
    try:
        with torch.cuda.graph(graph, stream=stream):
            torch.zeros(1, device=where)
    except RuntimeError:
        torch.cuda.set_stream(computing)
