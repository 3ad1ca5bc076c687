"""The first pictures of every data layer: the mean that is subtracted, and the channels' order."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fcn.doctor.case import TRAIN, Case, Source
from fcn.findings import NOTE, REFUSE, WARN, Finding
from fcn.pictures import UNREADABLE_ERRORS, read_picture

COUNT = 24  # pictures of each layer
FAR = 40  # levels between the mean given and the pictures', for a set whose mean is not known
COLOUR = ("load_image", "load_label")


class Seen(NamedTuple):
    """What a data layer does with pictures."""

    pixels: np.ndarray  # N x 3, B G R: the files' channel means
    data: np.ndarray  # N x 3: the layer's
    swapped: int  # pictures that the layer gives as R, G, B
    order_known: int  # pictures whose order can be told


def check(case: Case) -> Iterator[Finding]:
    """Findings on the pictures of both nets."""
    subtracted: dict[str, np.ndarray] = {}
    for source in case.sources:
        seen = look(source)
        if seen is None:
            continue
        subtracted[source.which] = np.median(seen.pixels - seen.data, axis=0)
        yield from check_order(source, seen)
        yield from check_mean(case, source, seen)
    if len(subtracted) == 2:
        ours, theirs = subtracted.values()
        if np.abs(ours - theirs).max() > 1 and not named_already(case):
            what = "the train and the test net treat pictures differently"
            evidence = f"subtracted: train {text_of(ours)}, test {text_of(theirs)} (B, G, R)"
            way = "the same data layer and the same mean in both nets"
            yield Finding("data.mean_differs", REFUSE, what, evidence, way)


def named_already(case: Case) -> bool:
    """Whether the means in the two param_str differ, which is told elsewhere."""
    return len({str(source.params.get("mean")) for source in case.sources}) > 1


def text_of(values: Any) -> str:
    """Three channels for people."""
    return "(" + ", ".join(f"{value:.1f}" for value in values) + ")"


def look(source: Source) -> Seen | None:
    """Some pictures of a data layer, as files and as the layer gives them; None if it has none."""
    reader = source.reader
    top = (
        next((top for top, method in reader.tops.items() if method == "load_image"), None)
        if reader
        else None
    )
    if reader is None or top is None or top not in reader.files or not source.ids:
        return None
    step = max(1, len(source.ids) // COUNT)
    pixels, data, swapped, known = [], [], 0, 0
    for id in source.ids[::step][:COUNT]:
        try:
            file = read_picture(reader.path(top, id)).astype(np.float32)
            given = reader.load(top, id)
        except (*UNREADABLE_ERRORS, KeyError):
            continue  # told with the labels
        if given.shape[-2:] != file.shape[:2]:
            file = file.transpose(1, 0, 2)  # an own layer may not turn it; means are the same
        order = order_of(file, given)
        swapped, known = swapped + (order < 0), known + (order != 0)
        means = file.mean(axis=(0, 1))
        pixels.append(means if order < 0 else means[::-1])
        data.append(given.mean(axis=(1, 2)))
    return Seen(np.array(pixels), np.array(data), swapped, known) if pixels else None


def order_of(file: np.ndarray, given: np.ndarray) -> int:
    """1 if `given`, C x H x W, is the R, G, B file as B, G, R; -1 if as R, G, B; 0 if both fit."""
    if given.shape[0] != 3 or given.shape[-2:] != file.shape[:2]:
        return 0
    first = given[0] - given[0].mean()
    errors = []
    for channel in (2, 0):
        plane = file[..., channel] - file[..., channel].mean()
        scale = (first * plane).sum() / max(float((plane * plane).sum()), 1e-9)
        errors.append(float(np.abs(first - scale * plane).mean()))
    blue, red = errors
    spread = float(np.abs(first).mean())
    if abs(blue - red) < 0.01 * spread or min(errors) > 0.5 * max(errors):
        return 0
    return 1 if blue < red else -1


def check_order(source: Source, seen: Seen) -> Iterator[Finding]:
    """A finding if a layer gives R, G, B."""
    if seen.order_known and seen.swapped > seen.order_known / 2:
        what = f"{source.title} gives the channels as R, G, B; nets and means are B, G, R"
        evidence = f"{seen.swapped} of {seen.order_known} pictures compared with their files"
        yield Finding(
            "data.channels", REFUSE, what, evidence, "pixels[:, :, ::-1] in the data layer"
        )


def check_mean(case: Case, source: Source, seen: Seen) -> Iterator[Finding]:
    """Findings on what a layer subtracts, against the means of the pictures."""
    measured, left = seen.pixels.mean(axis=0), seen.data.mean(axis=0)
    given = np.median(seen.pixels - seen.data, axis=0)
    evidence = (
        f"{source.title}, {len(seen.data)} pictures: their mean is {text_of(measured)}, "
        f"{text_of(given)} is subtracted, {text_of(left)} is left (B, G, R)"
    )
    way = f"'mean': {text_of(measured)} of the training pictures, B, G, R; in both nets"
    if not np.abs(given).max() > 1 and measured.min() > 5:
        what = "no mean is subtracted: no value of the input is negative"
        yield Finding("data.no_mean", WARN, what, evidence, way)
    elif (given < -1).all():
        what = "the mean has the wrong sign: it is added"
        yield Finding("data.mean_sign", REFUSE, what, evidence, way)
    elif source.which == TRAIN and case.task is None and np.abs(left).max() > FAR:
        what = "the mean is far from that of the pictures"
        yield Finding("data.mean", NOTE, what, evidence, way)
