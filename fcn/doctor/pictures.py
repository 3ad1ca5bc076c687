"""The first pictures of every data layer: the mean that is subtracted, and the channels' order."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fcn.doctor.case import TRAIN, Case, Source
from fcn.findings import NOTE, REFUSE, WARN, Finding
from fcn.pictures import UNREADABLE_ERRORS, read_picture
from fcn.wording import counted

COUNT = 24  # pictures of each layer
FAR = 40  # levels between the mean given and the pictures', for a set whose mean is not known
COLOUR = ("load_image", "load_label")


class Seen(NamedTuple):
    """What a data layer does with pictures."""

    pixels: np.ndarray  # N x 3, B G R: the files' channel means
    data: np.ndarray  # N x 3: the layer's
    swapped: int  # pictures that the layer gives as R, G, B
    order_known: int  # pictures whose order can be told

    @property
    def subtracted(self) -> np.ndarray:
        """B G R: what the layer subtracts."""
        return np.median(self.pixels - self.data, axis=0)


def check(case: Case) -> Iterator[Finding]:
    """Findings on the pictures of both nets."""
    looks = [(source, seen) for source in case.sources if (seen := look(case, source))]
    for source, seen in looks:
        yield from check_order(source, seen)
    if case.has("data.mean", "data.no_mean"):
        return  # told of the numbers in param_str
    told: dict[str, Finding] = {}  # what holds of both nets is told once
    for source, seen in looks:
        for finding in check_mean(case, source, seen):
            before = told.get(finding.kind)
            told[finding.kind] = before.also(finding.evidence) if before else finding
    yield from told.values()
    subtracted = {source.which: seen.subtracted for source, seen in looks}
    if len(subtracted) == 2 and not told:
        ours, theirs = subtracted.values()
        if np.abs(ours - theirs).max() > 1:
            what = "the train and the test net treat pictures differently"
            evidence = f"subtracted: train {text_of(ours)}, test {text_of(theirs)} (B, G, R)"
            way = f"the same data layer in both nets, and {way_to_mean(case)}"
            yield Finding("data.mean_differs", REFUSE, what, evidence, way)


def way_to_mean(case: Case) -> str:
    """The mean to state: the published one, or that of the training pictures."""
    if case.task is not None:
        values = ", ".join(f"{value:.6g}" for value in case.task.mean)
        return f"'mean': ({values}) in both param_str, B, G, R: the data set's"
    seen = next((s for source in case.sources_of(TRAIN) if (s := look(case, source))), None)
    if seen is None:
        return "the same mean in both param_str: B, G, R, of the training pictures"
    count = counted(len(seen.pixels), "training picture")
    return (
        f"'mean': {text_of(seen.pixels.mean(axis=0))} in both param_str, B, G, R: that of {count}"
    )


def text_of(values: Any) -> str:
    """Three channels for people."""
    return "(" + ", ".join(f"{value:.1f}" for value in values) + ")"


def look(case: Case, source: Source) -> Seen | None:
    """What a data layer does with some pictures, which are read once; None if it has none."""
    key = ("pictures", source.which, source.layer.name)
    if key not in case.surveys:
        case.surveys[key] = read(source)
    return case.surveys[key]


def read(source: Source) -> Seen | None:
    """Some pictures of a data layer, as files and as the layer gives them; None if it has none."""
    reader = source.reader
    if reader is None or not source.ids:
        return None
    top = next((top for top, method in reader.tops.items() if method == "load_image"), None)
    if top is None or top not in reader.files:
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
        compared = counted(seen.order_known, "picture")
        evidence = f"{seen.swapped} of {compared} compared with their files"
        yield Finding(
            "data.channels", REFUSE, what, evidence, "pixels[:, :, ::-1] in the data layer"
        )


def check_mean(case: Case, source: Source, seen: Seen) -> Iterator[Finding]:
    """Findings on what a layer subtracts, against the means of the pictures."""
    measured, left = seen.pixels.mean(axis=0), seen.data.mean(axis=0)
    given, way = seen.subtracted, way_to_mean(case)
    evidence = (
        f"{source.title}, {counted(len(seen.data), 'picture')}: their mean is {text_of(measured)}, "
        f"{text_of(given)} is subtracted, {text_of(left)} is left (B, G, R)"
    )
    if not np.abs(given).max() > 1 and measured.min() > 5:
        what = "no mean is subtracted: no value of the input is negative"
        yield Finding("data.no_mean", WARN, what, evidence, way)
    elif (given < -1).all():
        what = "the mean has the wrong sign: it is added"
        yield Finding("data.mean_sign", REFUSE, what, evidence, way)
    elif source.which == TRAIN and case.task is None and np.abs(left).max() > FAR:
        what = "the mean is far from that of the pictures"
        yield Finding("data.mean", NOTE, what, evidence, way)
