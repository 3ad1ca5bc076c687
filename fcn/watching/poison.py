"""The finding about a loss or weights that are no numbers: where they began, and what to do."""

import math
from collections.abc import Sequence
from typing import Any

from fcn.findings import REFUSE, Finding
from fcn.watching.pace import NO_RATE, no_rate, smaller_rate
from fcn.watching.snapshots import Snapshots


def poison(
    solver: Any,
    what: str,
    source: Any,
    largest: str,
    snapshots: Snapshots,
    begun_from: Sequence[str],
    at_start: bool,
) -> Finding:
    """The finding. `source` is a `caffe.diagnosis.Origin` or None, `largest` a clause on the weights.

    `begun_from` are the weights that training started from; `at_start`: no step was made from them.
    """
    where = f": first in {source}" if source else ""
    files = " and ".join(begun_from) or "the starting weights"
    if at_start:
        what = f"{what}, in the first pass from {files}, before any step"
    elif snapshots.begun_badly:
        what = f"{what}, and the first loss from {files} had exploded already"
    evidence = [f"rate {getattr(solver, 'lr', math.nan):g}"]
    momentum = getattr(getattr(solver, "param", None), "momentum", None)
    if momentum is not None:
        evidence.append(f"momentum {momentum:g}")
    evidence += [*filter(None, [largest]), str(snapshots)]
    way_out = _way_out(solver, source, snapshots, files, at_start)
    return Finding("nan", REFUSE, f"{what}{where}", "; ".join(evidence), way_out)


def _way_out(solver: Any, source: Any, snapshots: Snapshots, files: str, at_start: bool) -> str:
    """What to do, by what is to blame: the data, the start, the policy, or the rate."""
    if source and source.kind == "data":
        return "look at the picture and labels that were read in this step"
    if at_start or snapshots.begun_badly:
        return (
            f"this run's rate has not done this, {files} has: start from other weights (--weights), or "
            "go on from an older snapshot (--resume STATE)"
        )
    if reason := no_rate(solver):
        good = snapshots.good
        return f"{reason}: {NO_RATE}" + (f"; go on by {good.ways_on()}" if good else "")
    return smaller_rate(solver, snapshots.good)
