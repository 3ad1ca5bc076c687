"""What a GPU does in ten training steps and ten forwards: torch.profiler's trace, read for shares.

Told are the share of the wall time in which a kernel runs, kernels and copies a step, how often the host
waits for the GPU and where, and the longest kernels.
"""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

import caffe

from .. import fcn8s, peers, reading
from ..contest import OURS
from . import training
from .part import Report, Scale, synchronize

PRECISIONS = ("float32", "tf32")
TURNS, WARM = 10, 6
LONGEST = 10  # kernels that are named
COPIES = ("Memcpy", "Memset")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")


def run(report: Report, scale: Scale) -> None:
    """Trace steps and forwards, in float32 and in TF32."""
    tree = report.folder / "tree"
    reading.write_tree(tree, scale.step_size)
    for precision in PRECISIONS:
        peers.switch(OURS, precision)
        solver = training.solver_of(scale, tree)
        report.attempt(f"steps {precision}", tell, report, f"steps {precision}", scale, solver.step)
        solver = None
        report.attempt(
            f"forwards {precision}", tell, report, f"forwards {precision}", scale, forwards(scale)
        )
        caffe.set_cuda_graphs(True)
        key = f"forwards {precision}, CUDA graphs"
        report.attempt(key, tell, report, key, scale, forwards(scale))
        caffe.set_cuda_graphs(False)


def forwards(scale: Scale) -> Callable[[int], None]:
    """A function that runs FCN-8s forward on some pictures."""
    net = fcn8s.net(*scale.size, scale.narrow)
    pictures = [x for x, _ in fcn8s.pictures(*scale.size, 4)]

    def forward(count: int) -> None:
        for i in range(count):
            net.blobs["data"].data[...] = pictures[i % len(pictures)]
            net.forward()

    return forward


def tell(report: Report, key: str, scale: Scale, turns: Callable[[int], Any]) -> None:
    """Trace TURNS turns and report what they did."""
    turns(WARM)
    where = waits(lambda: turns(TURNS)) if not scale.rehearsal else Counter()
    synchronize()
    activities = [ProfilerActivity.CPU]
    if not scale.rehearsal:
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as trace:
        begin = time.perf_counter()
        turns(TURNS)
        launched = time.perf_counter() - begin
        synchronize()
        wall = time.perf_counter() - begin
    device = DeviceType.CPU if scale.rehearsal else DeviceType.CUDA
    events = trace.events() or []
    found = summary([event for event in events if event.device_type == device], wall, TURNS)
    found["waits"] = sum(event.name in WAITS for event in events) / TURNS
    found["waits in"] = dict(where.most_common(LONGEST))
    found["host"] = launched / wall
    line = (
        f"{key}: {1e3 * wall / TURNS:.2f} ms each, a kernel runs {found['busy']:.1%} of it, the host "
        f"launches {found['host']:.1%}; {found['kernels']:.0f} kernels, {found['copies']:.0f} copies, "
        f"{sum(where.values()) / TURNS:.1f} waits each"
    )
    report(key, found, line)


def waits(call: Callable[[], Any]) -> Counter:
    """Where the host waited for the GPU, by PyTorch's own watch: {file:line: times}."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Counter(
        f"{warning.filename}:{warning.lineno}"
        for warning in told
        if "synchroniz" in str(warning.message)
    )


def summary(events: Iterable[Any], wall: float, turns: int) -> dict[str, Any]:
    """Shares and counts of a device's events; times of events are in microseconds."""
    kernels, copies, spans = Counter[str](), 0, []
    for event in events:
        spans.append((event.time_range.start, event.time_range.end))
        if event.name.startswith(COPIES):
            copies += 1
        else:
            kernels[event.name] += event.time_range.elapsed_us()
    count = len(spans) - copies
    return {
        "milliseconds": 1e3 * wall / turns,
        "busy": 1e-6 * covered(spans) / wall,
        "kernels": count / turns,
        "copies": copies / turns,
        "longest": {name: 1e-3 * us / turns for name, us in kernels.most_common(LONGEST)},
    }


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of what at least one of the spans covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
