"""What is said when the GPU's memory runs out, and whether a smaller picture then fits."""

import resource
from pathlib import Path
from typing import Any

import torch

from .. import fcn8s
from .part import Report, Scale

CAP = 2**30  # bytes beyond what is in use, that may be allocated
LARGE, SMALLER = (2600, 2600), (300, 300)  # pictures; the first takes some 7 GiB
NARROW = 4


def run(report: Report, scale: Scale) -> None:
    """Ask for too large a picture, then for a smaller one."""
    net = fcn8s.net(*SMALLER, NARROW)
    forward(net, SMALLER)
    with_cap(scale.rehearsal)
    try:
        forward(net, LARGE)
    except MemoryError as error:
        report("message", str(error), f"{'x'.join(map(str, LARGE))}: {error}")
    else:
        report("message", {"error": "none"}, f"FAILED: {LARGE} fits in {CAP >> 20} MiB")
    forward(net, SMALLER)
    shape = list(net.blobs["score"].data.shape)
    report(
        "afterwards", shape, f"{'x'.join(map(str, SMALLER))} afterwards: scores of shape {shape}"
    )


def forward(net: Any, size: tuple[int, int]) -> None:
    """One pass, and a look at the scores: a GPU's error may come late."""
    net.blobs["data"].reshape(1, 3, *size)
    net.blobs["data"].data[...] = 0
    net.forward()
    net.blobs["score"].data  # noqa: B018


def with_cap(rehearsal: bool) -> None:
    """Let this process have CAP more bytes and no others."""
    if rehearsal:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + CAP
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        return
    total = torch.cuda.get_device_properties(0).total_memory
    used = torch.cuda.memory_reserved()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (used + CAP) / total))
