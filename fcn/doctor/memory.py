"""The memory that the nets need against what the machine has."""

from collections.abc import Iterator
from typing import Any

import caffe
from fcn.doctor.case import TRAIN, Case
from fcn.findings import NOTE, REFUSE, WARN, Finding

GIB = 2**30


def check(case: Case) -> Iterator[Finding]:
    """A finding if a training step would not fit."""
    engine = getattr(caffe, "memory", None)  # BVLC's pycaffe predicts nothing
    if engine is None or case.net is None:
        return
    need = engine.need(case.net)
    scored = engine.need(case.test_net) if case.test_net is not None else None
    total = need.total + (scored.total - scored.weights if scored else 0)
    has, free = engine.device_memory()
    grown, largest = growth(case)
    if grown > 1:
        maps = need.total - need.weights - need.history
        total += int(maps * (grown - 1))
    if total <= 0.95 * free:
        return
    fits = total <= has
    at = f" on the largest picture, {largest}" if largest else ""
    what = f"training needs about {total / GIB:.1f} GiB{at}; {free / GIB:.1f} GiB are free"
    evidence = f"a step: {need}; the machine has {has / GIB:.1f} GiB"
    way = "--recompute needs less; so do smaller pictures or a smaller net"
    if fits:
        way = f"end other programs; {way}"
    yield Finding("memory.need", level(total, free, has), what, evidence, way)


def level(total: int, free: int, has: int) -> str:
    """How heavy it is that `total` bytes are needed."""
    if total > has:
        return REFUSE
    return WARN if total > free else NOTE


def growth(case: Case) -> tuple[float, str]:
    """How much larger the largest picture seen is than the one that the net holds, and its size."""
    assert case.net is not None
    surveys: list[Any] = [found for (which, *_), found in case.surveys.items() if which == TRAIN]
    largest = max((survey.largest for survey in surveys), default=(0, 0), key=lambda s: s[0] * s[1])
    blob = next(
        (case.net.blobs[name] for name in case.labels(TRAIN) if name in case.net.blobs), None
    )
    if blob is None or len(blob.shape) != 4 or not largest[0]:
        return 1.0, ""
    grown = largest[0] * largest[1] / max(1, blob.shape[2] * blob.shape[3])
    return grown, f"{largest[0]}x{largest[1]}" if grown > 1 else ""
