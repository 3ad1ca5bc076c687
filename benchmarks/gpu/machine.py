"""The card, its versions, and its two ceilings: bytes copied and products computed a second."""

import platform
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import torch

import caffe

from .. import contest, peers
from .part import Report, Scale, device, synchronize

QUERY = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,clocks.mem,power.limit"
COPIED, SIDE = 2**31, 8192  # values of a copy, rows of a square product
SMALL_COPIED, SMALL_SIDE = 2**16, 64
TIMES = 10


def run(report: Report, scale: Scale) -> None:
    """Tell the machine, then how fast it copies and multiplies."""
    versions = {"python": platform.python_version()} | peers.versions()
    versions |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    line = ", ".join(f"{name} {version}" for name, version in versions.items())
    report("versions", versions, line)
    for key, value in report.attempt("card", card) or {}:
        report(key, value, f"{key}: {value}")
    where = device(scale)
    report.attempt("copy", copy, report, SMALL_COPIED if scale.rehearsal else COPIED, where)
    side = SMALL_SIDE if scale.rehearsal else SIDE
    for precision in ("float32", "tf32", "bf16"):
        report.attempt(precision, product, report, precision, side, where)


def card() -> list[tuple[str, Any]]:
    """What nvidia-smi says of the first card; nothing where it is not installed."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return list(zip(QUERY.split(","), done.stdout.splitlines()[0].split(", ")))


def copy(report: Report, count: int, where: torch.device) -> None:
    """Tell the rate of a large copy on the device."""
    source = torch.randn(count, device=where)
    target = torch.empty_like(source)
    rate = 8 * count / seconds(lambda: target.copy_(source)) / 1e12
    report("copy", rate, f"copy of {4 * count / 2**30:.2g} GiB: {rate:.2f} TB/s, read and written")


def product(report: Report, precision: str, side: int, where: torch.device) -> None:
    """Tell the rate of a large product."""
    peers.switch(contest.OURS, precision)
    a = torch.randn(side, side, device=where, dtype=caffe.context.multiply_dtype())
    rate = 2 * side**3 / seconds(lambda: a @ a) / 1e12
    report(
        precision,
        rate,
        f"product of {side}x{side} in {precision}: {rate:.4g} TFLOP/s (2 a multiply-add)",
    )


def seconds(call: Callable) -> float:
    """Mean seconds of a call, the first ones not counted."""
    for _ in range(3):
        call()
    synchronize()
    times = [contest.timed(call)[0] for _ in range(TIMES)]
    return sum(times) / len(times)
