"""Contestants take turns at the same work: times, agreement of results, ratios, targets, a table."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

OURS = "ours"
REFERENCE = ("PyTorch eager", "float32")  # whom everybody's results are held against
# Of the reference's norm, by the group: a precision, or what runs an exported file in float32
TOLERANCE = {"float32": 1e-5, "tf32": 3e-3, "bf16": 2e-2, "ONNX Runtime": 1e-5, "OpenVINO": 1e-5}
PAUSE = 0.05  # seconds between turns: threads that spin for more work have gone to sleep by then
INSTALL = "pip install -r benchmarks/requirements.txt"


class LeftOut(Exception):
    """Why a contestant cannot take part here, and the way out."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """Somebody who can do the work; those of one group are compared."""

    name: str
    group: str  # a precision, or what is done
    run: Callable  # item -> result
    ready: Callable = lambda: None  # before every turn, not timed: switches of the whole process


class Target(NamedTuple):
    """At most `limit` of what the fastest peer of the group takes, or the fastest of `peers`."""

    group: str
    limit: float
    peers: tuple = ()


def timed(call, *args, clock=time.perf_counter):
    """Seconds that a call takes by a clock, and its result."""
    begin = clock()
    result = call(*args)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return clock() - begin, result


def alternate(contestants, items, clock=time.perf_counter):
    """Yield ({contestant: seconds}, {contestant: result}) for each item: everybody runs it once.

    Who begins changes from item to item. A result may be a view, which the next item overwrites.
    """
    for turn, item in enumerate(items):
        first = turn % len(contestants)
        seconds, results = {}, {}
        for contestant in [*contestants[first:], *contestants[:first]]:
            contestant.ready()
            time.sleep(PAUSE)
            seconds[contestant], results[contestant] = timed(contestant.run, item, clock=clock)
        yield seconds, results


def compete(
    contestants,
    items,
    warm=0,
    reduce=median,
    difference=None,
    clock=time.perf_counter,
    tolerance=0.0,
):
    """Rows of a table: each contestant's times, reduced, the first `warm` items not counted.

    `difference(result, reference)` says how far a result is off; the largest is in the row. So is
    the `tolerance`, for groups that TOLERANCE does not name.
    """
    times = {c: [] for c in contestants}
    differs = {c: [] for c in contestants}
    turns = alternate(contestants, tqdm(items, leave=False, disable=None), clock)
    for turn, (seconds, results) in enumerate(turns):
        for c in contestants:
            if turn >= warm:
                times[c].append(seconds[c])
            if difference:
                differs[c].append(difference(results[c], reference_of(results)))
        del results  # whoever gives views of its own memory may write there again
    return [
        row(
            c.group,
            c.name,
            reduce(times[c]),
            differs[c],
            TOLERANCE.get(c.group, tolerance),
            each=times[c],
        )
        for c in contestants
    ]


def reference_of(results):
    """The result of the contestant that is right by definition, if it takes part."""
    return next((r for c, r in results.items() if (c.name, c.group) == REFERENCE), None)


def distance(a, b):
    """|a - b| / |b|, of arrays; infinite where that is no number."""
    off = float(np.linalg.norm((a - b).ravel()) / np.linalg.norm(b.ravel()))
    return off if np.isfinite(off) else float("inf")


def row(group, name, value, differs=(), tolerance=None, **more):
    """One contestant's line of a table."""
    own = {"group": group, "name": name, "value": value}
    if len(differs):
        own |= {"differs": max(differs), "tolerance": tolerance}
    return own | more


# ---- judging rows


def agrees(row):
    """Whether a contestant's output differs from ours by no more than its tolerance."""
    return "differs" not in row or row["differs"] <= row["tolerance"]


def failures(rows):
    """A line for every contestant whose results are not the reference's."""
    return [
        f"FAILED: {r['name']} {r['group']} differs by {r['differs']:.1e}, "
        f"at most {r['tolerance']:.0e} is allowed"
        for r in rows
        if not agrees(r)
    ]


def best(rows, group, names=()):
    """The row of least value in a group, of these names if any are given, or None."""
    able = [r for r in rows if r["group"] == group and agrees(r)]
    able = [r for r in able if (r["name"] in names if names else r["name"] != OURS)]
    return min(able, key=lambda r: r["value"], default=None)


def judge(rows, target):
    """Whether a target is met: its numbers, and a line that tells."""
    ours, peer = best(rows, target.group, (OURS,)), best(rows, target.group, target.peers)
    wanted = f"{target.group}: at most {target.limit:.2f} of "
    if len(target.peers) == 1:
        wanted += target.peers[0]
    elif target.peers:
        wanted += f"the faster of {' and '.join(target.peers)}"
    else:
        wanted += "the fastest peer"
    if not ours or not peer:
        absent = OURS if not ours else " nor ".join(target.peers) or "any peer"
        line = f"{wanted}: not judged, without a result of {absent}"
        return {"line": line, "ratio": None, "limit": target.limit, "met": None}
    ratio = ours["value"] / peer["value"]
    return verdict(wanted, ratio, target.limit, ratio <= target.limit, f" ({peer['name']})")


def verdict(wanted, value, limit, met, note=""):
    """A target's numbers and line."""
    line = f"{wanted}: {value:.3f}{note}, {'met' if met else 'MISSED'}"
    return {"line": line, "ratio": value, "limit": limit, "met": met}


# ---- telling


def table(record):
    """The rows as text: value, ours over it, how far it is off; the best of each group marked."""
    rows, unit = record["rows"], record["unit"]
    line = "{:<18}{:<18}{:>10}{:>10}{:>11}  {}".format
    lines = [line("", "", unit, "ours/it", "differs", "").rstrip()]
    shown = None
    for r in rows:
        group, first = r["group"], r["group"] != shown
        shown = group
        ours = best(rows, group, (OURS,))
        ratio = f"{ours['value'] / r['value']:.2f}" if ours and r["name"] != OURS else ""
        off = f"{r['differs']:.1e}" if "differs" in r else ""
        if (r["name"], group) == REFERENCE and off:
            off = "reference"
        everybody = [other["name"] for other in rows if other["group"] == group]
        mark = record.get("best", "fastest") if r is best(rows, group, everybody) else ""
        name = r["name"] if agrees(r) else f"{r['name']} FAILED"
        lines.append(
            line(group if first else "", name, f"{r['value']:.3f}", ratio, off, mark).rstrip()
        )
    return "\n".join(lines)


def told(record):
    """Everything a record says but its machine: title, table, targets, absentees, what failed."""
    lines = [record["title"], record.get("table") or table(record)]
    lines += [f"target: {target['line']}" for target in record["targets"]]
    if "others_cores" in record:
        lines.append(f"other processes kept {record['others_cores']:.2f} cores busy meanwhile")
    lines += [f"left out: {who}: {why}" for who, why in record["left_out"].items()]
    return "\n".join(lines + record["failed"])


def machine_line(machine):
    """Machine, versions and date."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = f"{machine['cpu']}, {machine['threads']} threads"
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    return f"{where}{gpu}, {versions}, {machine['date']}"
