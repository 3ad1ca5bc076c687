"""Each layer's time beside what the machine can do, measured in the same run.

A layer's least time is that of its multiply-adds or of the bytes it must move, whichever is more, at
the measured peaks; its share of the peak is that least time over its own. Both are counted as the
layer is defined: whoever does less, by Winograd's filtering or by leaving what no input changes as it
is, or whose maps stay in the caches, gets above 100%.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional as F

from .. import context
from ..blob import Blob
from ..kernels.searches import by_trial
from ..timer import Timer

if TYPE_CHECKING:
    from ..net import Net

SECONDS = 0.3  # that measuring one peak takes, beyond the first calls
FEWEST = 3  # calls: the first chooses a kernel, and meets memory that was never touched
UNSEEN = 0.005  # ms: what takes less is shown as 0.00, and without rates
CHANNELS, SIDE = 512, 44  # of the convolution that is bound by arithmetic


class Work(NamedTuple):
    """Multiply-adds of convolutions and inner products; bytes that any layer reads and writes."""

    macs: int
    bytes: int


class Peak(NamedTuple):
    """What a device reaches in a precision."""

    gmac_s: float
    gb_s: float


# ---- time


def millis(steps: Iterable[int], count: int) -> list[float]:
    """Milliseconds that each of `count` layers takes in a pass that yields the index of whoever is done."""
    spent, timer = [0.0] * count, Timer()
    timer.start()
    for index in steps:
        spent[index] = timer.ms
        timer.start()
    return spent


def forward_ms(net: Net) -> list[float]:
    """Milliseconds of each layer in one forward, run as a user's is.

    Where a TEST net on the CPU computed a layer and those that work in place on its top as one, the
    first has the time of all, the others 0.
    """
    count, running = len(net.layers), net._running
    spent = millis(running.steps(0, count - 1), count)
    for group in running.groups.groups if running.runs_groups() else ():
        own = slice(group.first, group.last + 1)
        spent[own] = [sum(spent[own])] + [0.0] * (group.last - group.first)
    return spent


# ---- work


def forward_work(net: Net, index: int) -> Work:
    """Bottoms and weights are read, tops written."""
    layer, bottoms, tops = (
        net.layers[index],
        net._topology.bottoms[index],
        net._topology.tops[index],
    )
    if layer.aliases_bottom("data") or not bottoms:  # nothing moves, or from where nobody can tell
        return Work(0, 0)
    macs = layer.multiply_adds(bottoms, tops)
    return Work(sum(macs), size_of(*bottoms, *tops, *(layer.blobs if macs else ())))


def backward_work(net: Net, index: int) -> Work:
    """The gradients that the layer computes: of its weights, of the bottoms that want theirs."""
    layer, bottoms, tops = (
        net.layers[index],
        net._topology.bottoms[index],
        net._topology.tops[index],
    )
    flags = [bool(flag) for flag in net._topology.bottom_need_backward[index]]
    reached = [blob for blob, flag in zip(bottoms, flags) if flag]
    macs = layer.multiply_adds(bottoms, tops)
    learns = bool(macs and layer.param_propagate_down[0])
    if not reached and not learns:
        return Work(0, 0)
    if not macs:
        return Work(0, size_of(*tops, *reached))
    weight = layer.blobs[0]
    touched = [*tops]
    if learns:
        touched += [*bottoms, weight, weight]  # the gradient is added to what is there
    if reached:
        touched += [weight, *reached]
    return Work(sum(m * (learns + flag) for m, flag in zip(macs, flags)), size_of(*touched))


def size_of(*blobs: Blob) -> int:
    """Bytes of the blobs' values."""
    return sum(blob.count for blob in blobs) * torch.finfo(context.dtype()).bits // 8


# ---- peaks


def peak() -> Peak:
    """Of the device that computes, in the precision in force; takes about a second."""
    with torch.no_grad():
        return Peak(convolution_gmacs(), copy_gbs())


def convolution_gmacs() -> float:
    """GMAC/s of a 3x3 convolution as deep as VGG-16's, channels last."""
    pictures = 32 if context.on_gpu() else 1  # one alone does not fill a GPU
    options: dict[str, Any] = {"device": context.device(), "dtype": context.multiply_dtype()}
    x = torch.randn(pictures, CHANNELS, SIDE, SIDE, **options)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3, **options)
    x, weight = (tensor.to(memory_format=torch.channels_last) for tensor in (x, weight))
    with by_trial(True):
        seconds = fastest(lambda: F.conv2d(x, weight, padding=1))
    return x.numel() * CHANNELS * 9 / seconds / 1e9


def copy_gbs() -> float:
    """GB/s read and written by a copy that is larger than caches are."""
    size = 2**29 if context.on_gpu() else 2**28
    source = torch.ones(size, dtype=torch.uint8, device=context.device())
    target = torch.zeros_like(source)
    return 2 * size / fastest(lambda: target.copy_(source)) / 1e9


def fastest(call: Callable[[], object]) -> float:
    """Seconds of the fastest of several calls."""
    timer, least, spent, calls = Timer(), math.inf, 0.0, 0
    while calls < FEWEST or spent < SECONDS:
        timer.start()
        call()
        least = min(least, timer.seconds)
        spent += timer.seconds
        calls += 1
    return least


# ---- telling


def record(
    net: Net, millis: Sequence[float], whole_ms: float, work: Callable[[Net, int], Work], peak: Peak
) -> dict[str, Any]:
    """A row a layer, sum and peaks; `work` is forward_work or backward_work."""
    layers = enumerate(zip(net._layer_names, net.layers, millis))
    return {
        "rows": [row(name, layer.type, ms, work(net, i), peak) for i, (name, layer, ms) in layers],
        "sum_ms": sum(millis),
        "whole_ms": whole_ms,
        "precision": context.precision(),
        "peak_gmac_s": peak.gmac_s,
        "copy_gb_s": peak.gb_s,
    }


def row(name: str, kind: str, ms: float, work: Work, peak: Peak) -> dict[str, Any]:
    """What a layer did in so many milliseconds."""
    own = {"layer": name, "type": kind, "ms": ms}
    if work.macs:
        own["gmac"] = work.macs / 1e9
    if ms < UNSEEN or not work.bytes:
        return own
    done = Peak(work.macs / ms / 1e6, work.bytes / ms / 1e6)
    if work.macs:
        own["gmac_s"] = done.gmac_s
    share = max(done.gmac_s / peak.gmac_s, done.gb_s / peak.gb_s)
    return own | {"gb_s": done.gb_s, "share": share}


def table(record: dict[str, Any]) -> str:
    """A record as text."""
    name, kind = (
        max(len(key), *(len(r[key]) for r in record["rows"])) + 2 for key in ("layer", "type")
    )
    line = f"{{:<{name}}}{{:<{kind}}}{{:>9}}{{:>8}}{{:>9}}{{:>9}}{{:>9}}{{:>9}}".format
    lines = [line("layer", "type", "ms", "of all", "GMAC", "GMAC/s", "GB/s", "of peak")]
    for r in record["rows"]:
        cells = [f"{r['ms']:.2f}", f"{r['ms'] / (record['sum_ms'] or 1):.1%}"]
        formats = {"gmac": ".3f", "gmac_s": ".1f", "gb_s": ".1f", "share": ".0%"}
        cells += [format(r[key], form) if key in r else "" for key, form in formats.items()]
        lines.append(line(r["layer"], r["type"], *cells).rstrip())
    lines += [
        f"sum of layers {record['sum_ms']:.2f} ms; whole passes {record['whole_ms']:.2f} ms",
        f"peak of this machine: {record['peak_gmac_s']:.0f} GMAC/s, a {record['precision']} "
        f"convolution bound by arithmetic; {record['copy_gb_s']:.1f} GB/s, a large copy, read and "
        "written",
    ]
    return "\n".join(lines)
