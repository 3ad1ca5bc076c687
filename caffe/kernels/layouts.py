"""The memory layout in which a GPU multiplies fastest: measured once for each shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from .. import context

Result = TypeVar("Result")

# cuDNN takes both and turns one into the other itself where its fastest kernel wants that; who turns
# faster, it or PyTorch, depends on the shape
LAYOUTS = (torch.preserve_format, torch.channels_last)
PASSES = 3  # that are timed
_fastest: dict[tuple, torch.memory_format] = {}


def have_a_choice(x: torch.Tensor) -> bool:
    """Whether both layouts are worth a try: tensor cores (TF32, bf16) work on channels last."""
    return x.is_cuda and x.dim() == 4 and context.precision() != "float32"


def in_fastest(run: Callable[[torch.memory_format], Result], key: tuple) -> Result:
    """run(layout), in the layout that took the least time when `key`, all that matters, was new."""
    key = (*key, context.precision(), context.device())
    if key not in _fastest:
        times = [_milliseconds(run, layout) for layout in LAYOUTS]
        _fastest[key] = LAYOUTS[times.index(min(times))]
    return run(_fastest[key])


def _milliseconds(
    run: Callable[[torch.memory_format], Result], layout: torch.memory_format
) -> float:
    run(layout)  # cuDNN chooses its algorithm
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(PASSES):
        run(layout)
    end.record()
    end.synchronize()
    return start.elapsed_time(end)
