"""python -m benchmarks.scale: training by 1, 2 and 4 workers on this machine's CPU, and a model of it.

Each worker has one thread. Measured are a step of a narrow FCN-32s (alone, joined by itself, with gradients
that travel while others are computed or afterwards) and the sums alone, by which the model is judged that
docs/scale.md draws for GPUs. Writes benchmarks/results/scale-cpu.json.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import caffe
from caffe import nccl

from . import fcn8s
from .__main__ import RESULTS, machine

COUNTS = (1, 2, 4)
NARROW, SIZE, STEPS, WARM = 4, (200, 200), 12, 3
TIMED = {"small": 1 << 10, "large": 1 << 24}  # bytes whose sum is timed
FCN_BYTES = 134_287_000 * 4  # gradients of FCN-VGG16, 537 MB
BACKWARD = 0.65  # of a step: gradients of the top are ready when it begins


class Link(NamedTuple):
    """What joins workers: bytes a second, and seconds before the first arrives."""

    bandwidth: float
    latency: float


def seconds_of_sum(size: float, count: int, link: Link, messages: int = 1) -> float:
    """A ring's sum: each worker sends and receives 2 (n - 1) / n of the bytes, in 2 (n - 1) turns."""
    if count == 1:
        return 0.0
    turns = 2 * (count - 1)
    return turns / count * size / link.bandwidth + turns * messages * link.latency


def seconds_of_step(
    compute: float, size: float, count: int, link: Link, messages: int, overlapping: bool
) -> float:
    """Computation, and what of the sum is not hidden behind it."""
    total = seconds_of_sum(size, count, link, messages)
    hidden = BACKWARD * compute if overlapping else 0.0
    return compute + max(0.0, total - hidden)


# ---- one worker


def work(folder: Path) -> None:
    """Measure as one of several workers, or of one; worker 0 prints a line of JSON."""
    group = caffe.workers.join()
    found: dict[str, float] = {}
    if group.count > 1:
        for name, size in TIMED.items():
            flat = torch.zeros(size // 4)
            found[name] = timed([lambda flat=flat: group.wait([group.sum(flat)])], 10)[0]
    ways = ("after", "overlapping") if group.count > 1 else ("alone", "joined")
    solvers = {name: solver_of(name) for name in ways}
    found |= dict(zip(ways, timed([lambda s=s: s.step(1) for s in solvers.values()], STEPS)))
    found["bytes"] = 4 * sum(blob.count for blob in solvers[ways[0]].net.learnable_params)
    found["messages"] = len(nccl._buckets(solvers[ways[0]].net))
    group.gather(None)
    group.leave()
    if os.environ["RANK"] == "0":
        (folder / f"{group.count}.json").write_text(json.dumps(found))


def solver_of(way: str) -> caffe.SGDSolver:
    """A solver with a picture: alone, or joined to the others in one of the ways."""
    solver = fcn8s.solver(*SIZE, NARROW)
    solver.net.blobs["data"].data[...] = np.random.default_rng(0).uniform(-99, 99, (1, 3, *SIZE))
    if way != "alone":
        joined = caffe.NCCL(solver)
        joined.bcast()
        solver.add_callback(joined)
        if way != "after":
            solver.net.after_backward(joined)
    return solver


def timed(calls: Sequence[Callable[[], object]], times: int) -> list[float]:
    """Median seconds of each of the calls, made by turns, the first ones left out."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(times + WARM):
        for call, taken in zip(calls, seconds):
            begin = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begin)
    return [median(taken[WARM:]) for taken in seconds]


# ---- the run


def measure() -> list[dict]:
    """A row for each number of workers, with what the model says."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            command = [sys.executable, "-m", "benchmarks.scale", "--worker", folder]
            os.environ["OMP_NUM_THREADS"] = "1"
            if caffe.workers.launch(command, count):
                sys.exit(f"a worker of {count} failed")
            rows.append({"count": count} | json.loads(Path(folder, f"{count}.json").read_text()))
    return [row | predicted(row, rows[0]) for row in rows]


def predicted(row: dict, alone: dict) -> dict:
    """The step as the model has it, of the link as the sums show it."""
    count = row["count"]
    compute = alone["alone"] * max(1, count / (os.cpu_count() or 1))  # more workers than cores
    if count == 1:
        return {"compute": compute}
    turns = 2 * (count - 1)
    latency = row["small"] / turns
    bandwidth = turns / count * TIMED["large"] / max(row["large"] - row["small"], 1e-9)
    link = Link(bandwidth, latency)
    said = {
        f"{name} by model": seconds_of_step(
            compute, row["bytes"], count, link, row["messages"], name == "overlapping"
        )
        for name in ("after", "overlapping")
    }
    return {"compute": compute, "bandwidth": bandwidth, "latency": latency} | said


def tell(rows: list[dict]) -> None:
    """Print what was measured beside what the model says, ms."""
    print(
        "| workers | a step, ms | by the model | gradients afterwards | by the model | pictures a second |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        step = row.get("overlapping", row.get("alone"))
        cells = [step, row.get("overlapping by model"), row.get("after"), row.get("after by model")]
        shown = " | ".join("" if each is None else f"{1e3 * each:.0f}" for each in cells)
        print(f"| {row['count']} | {shown} | {row['count'] / step:.2f} |")
    share = rows[0]["joined"] / rows[0]["alone"] - 1
    print(f"\nA step of one worker that is joined to itself takes {share:+.1%} of one alone.")


def tell_scale() -> None:
    """Print the model for FCN-VGG16 on GPUs: efficiency by their number and the link."""
    links = {
        "NVLink, 200 GB/s": Link(200e9, 5e-6),
        "100 Gbit/s": Link(11e9, 1e-5),
        "10 Gbit/s": Link(1.1e9, 3e-5),
    }
    counts = (2, 8, 32, 128, 512, 1024)
    print("| a step alone | link | " + " | ".join(map(str, counts)) + " |")
    print("| --- | --- |" + " --- |" * len(counts))
    for compute in (0.05, 0.2):
        for name, link in links.items():
            shares = [
                compute / seconds_of_step(compute, FCN_BYTES, n, link, 6, True) for n in counts
            ]
            print(
                f"| {1e3 * compute:.0f} ms | {name} | "
                + " | ".join(f"{s:.0%}" for s in shares)
                + " |"
            )


def main() -> int:
    """Measure, write and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", action="store_true", help="print the model for GPUs alone")
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return 0
    if not options.model:
        rows = measure()
        record = {"rows": rows, "machine": machine(False)}
        (RESULTS / "scale-cpu.json").write_text(json.dumps(record, indent=1) + "\n")
        tell(rows)
        print()
    tell_scale()
    return 0


if __name__ == "__main__":
    sys.exit(main())
