"""How much memory a device has, and how much of it this process may still take."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

from . import context

CONTAINER_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


def device_memory(where: torch.device | None = None) -> tuple[int, int]:
    """(bytes that a device has, bytes of them that this process has or could have).

    The default is the device that computes.
    """
    where = context.device() if where is None else where
    if where.type == "cuda":
        free, total = torch.cuda.mem_get_info(where)
        return total, free + torch.cuda.memory_reserved(where)
    if not hasattr(os, "sysconf"):  # Windows
        return sys.maxsize, sys.maxsize
    import resource  # not on Windows

    lines = (line.partition(":") for line in _read("/proc/meminfo").splitlines())
    known = {name: int(text.split()[0]) * 1024 for name, _, text in lines}
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES") + known.get("SwapTotal", 0)
    limits = [resource.getrlimit(resource.RLIMIT_AS)[0]]
    limits += [int(text) for text in map(_read, CONTAINER_LIMITS) if text.strip().isdigit()]
    total = min(total, *(limit for limit in limits if limit > 0), total)
    mine = int((_read("/proc/self/statm").split() or [0, 0])[1]) * page
    return total, min(total, known.get("MemAvailable", total) + mine)


def _read(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""
