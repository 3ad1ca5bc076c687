"""Several workers, started by torchrun or --jobs: who takes which pictures, and one result of all.

Worker 0 tells and writes what is told and written once. A process that works alone is worker 0 of 1.
"""

import argparse
import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

import caffe

ERRORS = 2  # glog's level
FAILED = 1  # exit code of a worker whose error another tells
Thing = TypeVar("Thing")


def join(args: argparse.Namespace) -> Any:
    """The group of workers that this process was started in, its GPU chosen; None if it works alone."""
    workers = getattr(caffe, "workers", None)  # BVLC's pycaffe has none
    if workers is None or not workers.started_together():
        return None
    if not args.cpu and args.gpu is None and workers.gpus():
        args.gpu = workers.local_rank()
    return workers.join()


@contextlib.contextmanager
def working(args: argparse.Namespace) -> Iterator[None]:
    """While entered, this process is one of several workers, if it was started as one.

    None leaves before all are done. What goes wrong in all of them is told by worker 0 alone.
    """
    joined = join(args)
    if joined is None:
        yield
        return
    try:
        yield
        joined.gather(None)
    except Exception as error:
        joined.fail(error)
        if joined.rank and joined.has_failed(0):
            raise SystemExit(FAILED) from None
        raise
    finally:
        joined.leave()


@contextlib.contextmanager
def told_once() -> Iterator[None]:
    """While entered, worker 0 alone prints; errors that end a worker are raised in all."""
    if is_first():
        yield
        return
    caffe.init_log(ERRORS)
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def group() -> Any:
    """The group that this process has joined; None if it works alone."""
    return caffe.workers.group() if hasattr(caffe, "workers") else None


def is_first() -> bool:
    """Whether this process tells and writes what is told and written once."""
    joined = group()
    return joined is None or joined.rank == 0


def dealt(things: Sequence[Thing]) -> list[Thing]:
    """The things that this worker takes: the first, and every count-th after it, of worker 0."""
    joined = group()
    return list(things) if joined is None else list(things[joined.rank :: joined.count])


def share(net: caffe.Net, dataset: Sequence[str]) -> list[str]:
    """The ids that this worker scores, and its net's data layer set to read them."""
    joined = group()
    if joined is None:
        return list(dataset)
    layer: Any = net.layers[0]
    if not hasattr(layer, "stride"):  # somebody else's, which reads all in its own order
        return list(dataset) if joined.rank == 0 else []
    layer.idx, layer.stride = joined.rank % len(dataset), joined.count
    return dealt(dataset)


def merged(matrix: Any) -> tuple[np.ndarray, float]:
    """(confusion matrix, sum of losses) over what all workers have scored; exact, whoever took what."""
    joined = group()
    if joined is None:
        return matrix.result()
    every = joined.gather((matrix.result()[0], matrix.losses()))
    losses = [loss for _, each in every for loss in each]
    return np.sum([hist for hist, _ in every], axis=0), math.fsum(losses)
