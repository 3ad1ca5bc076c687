"""The memory layout in which a GPU multiplies fastest: measured once for each shape
of the first (searches.py)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from typing import TypeVar

import torch

from .. import context

Result = TypeVar("Result")

# cuDNN takes both and turns one into the other itself where its fastest kernel wants that; who turns
# faster, it or PyTorch, depends on the shape
LAYOUTS = (torch.preserve_format, torch.channels_last)
PASSES = 3  # that are timed
_fastest: dict[tuple, dict[Hashable, torch.memory_format]] = defaultdict(dict)  # by shape


def have_a_choice(x: torch.Tensor) -> bool:
    """Whether both layouts are worth a try: tensor cores (TF32, bf16) work on channels last."""
    return x.is_cuda and x.dim() == 4 and context.precision() != "float32"


def in_fastest(
    run: Callable[[torch.memory_format], Result], key: tuple, shape: Hashable, tried: bool
) -> Result:
    """run(layout), in the layout that took the least time when the shape was new.

    `key` is all else that matters. A shape that is not to be tried takes most others' layout.
    """
    known = _fastest[(*key, context.precision(), context.device())]
    if shape not in known:
        if tried or not known:
            times = [_milliseconds(run, layout) for layout in LAYOUTS]
            known[shape] = LAYOUTS[times.index(min(times))]
        else:
            known[shape] = Counter(known.values()).most_common(1)[0][0]
    return run(known[shape])


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
