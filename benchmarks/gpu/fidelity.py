"""How far CUDA's numbers are from BVLC Caffe's, for every golden case, in every precision."""

import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from .. import contest, peers
from .part import Report, Scale

PRECISIONS = ("float32", "tf32", "bf16")
EVERY = 40  # of the layers and solvers: what the rehearsal replays
SMALLEST = "voc-fcn8s"  # of the nets, too
WORST = 5  # cases that are named


def run(report: Report, scale: Scale) -> None:
    """Replay layers, solvers and whole nets; the float32 of each kind before other precisions."""
    replay = importlib.import_module("replay")
    filled: dict = {}
    step, nets = (EVERY, [SMALLEST]) if scale.rehearsal else (1, replay.NETS)
    kinds: dict[str, tuple[Callable, list]] = {
        "layers": (replay.layer, [(name,) for name in replay.LAYERS[::step]]),
        "solvers": (replay.solver, replay.SOLVERS[::step]),
        "nets": (lambda name: replay.fcn(name, filled), [(name,) for name in nets]),
    }
    for precision in PRECISIONS:
        peers.switch(contest.OURS, precision)
        for kind, (function, cases) in kinds.items():
            begin = time.perf_counter()
            result = judge(function, cases)
            seconds = time.perf_counter() - begin
            report(f"{kind} {precision}", result, line_of(kind, precision, result, seconds))
    peers.switch(contest.OURS, "float32")


def judge(function: Callable, cases: list) -> dict[str, Any]:
    """How many cases are within their tolerances, the worst errors, and those that raised."""
    errors, raised, within = [], {}, 0
    for case in cases:
        name = "-".join(case)
        try:
            found = function(*case)
        except Exception as error:  # a layer that fails on CUDA must not hide the others
            raised[name] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            continue
        within += all(error.within() for error in found)
        errors += [(error.value, name, error.what, error.tolerance) for error in found]
    return {
        "cases": len(cases),
        "within": within,
        "raised": raised,
        "worst": sorted(excess(errors), reverse=True)[:WORST],
        "largest": {
            f"{tolerance:g}": max(value for value, _, _, limit in errors if limit == tolerance)
            for tolerance in sorted({limit for *_, limit in errors})
        },
    }


def excess(errors: list) -> Iterator[tuple[float, str, float, float]]:
    """(error over tolerance, case and array, error, tolerance) of each."""
    for value, name, what, tolerance in errors:
        yield value / tolerance, f"{name}: {what}", value, tolerance


def line_of(kind: str, precision: str, result: dict[str, Any], seconds: float) -> str:
    """The result as a line."""
    largest = ", ".join(f"{v:.1e} of {k}" for k, v in result["largest"].items())
    line = f"{precision} {kind}: {result['within']} of {result['cases']} within BVLC Caffe's tolerances"
    line += f" (largest errors: {largest})" if largest else ""
    line += f", {len(result['raised'])} raised" if result["raised"] else ""
    beyond = [text for over, text, *_ in result["worst"] if over > 1]
    line += f"; beyond: {'; '.join(beyond)}" if beyond and precision == "float32" else ""
    return f"{line}, {seconds:.0f} s"
