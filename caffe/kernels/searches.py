"""Which shapes a GPU's convolutions are tuned for by trial: those that come first, and no others.

A trial of cuDNN's algorithms builds a plan for every one of them, runs ten, and empties PyTorch's
cache of memory, so it takes far longer than a pass. Pictures of VOC have hundreds of sizes, most
of which come a few times; the common ones are among the first. For the others cuDNN's heuristics choose.
cuDNN's choice stays: a shape that was not tried when it came first is never tried.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Hashable, Iterator

import torch

from .. import context

MOST_SHAPES = 8  # of a convolution's bottom

_tried: dict[Hashable, set[Hashable]] = defaultdict(set)


def is_tried(convolution: tuple, shape: Hashable) -> bool:
    """Whether a shape of the bottom is among the first of a convolution, given by all else that matters."""
    shapes = _tried[(*convolution, context.precision(), context.device())]
    if len(shapes) < MOST_SHAPES:
        shapes.add(shape)
    return shape in shapes


def has_cudnn(x: torch.Tensor) -> bool:
    """Whether cuDNN computes convolutions of a tensor."""
    return x.is_cuda


@contextlib.contextmanager
def by_trial(on: bool) -> Iterator[None]:
    """Let cuDNN choose its algorithms by trial, or by its heuristics, inside the block."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = on
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
