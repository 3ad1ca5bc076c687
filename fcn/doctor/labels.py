"""The labels: all of a small set, a sample of a large one."""

from collections.abc import Iterator
from typing import Any

from fcn.datasets import labels
from fcn.datasets.dataset import VOID
from fcn.datasets.survey import Survey, label_tops, survey
from fcn.doctor.case import TRAIN, Case, Source
from fcn.findings import REFUSE, WARN, Finding
from fcn.wording import counted

SCORED_SHARE = 0.4  # of the time goes to the labels that are scored
LOSSES = ("SoftmaxWithLoss", "InfogainLoss")  # that read labels, and may ignore one
IGNORE = "loss_param { ignore_label: 255 }"


def check(case: Case) -> Iterator[Finding]:
    """Findings on the labels of both nets."""
    for source in case.sources:
        found = surveyed(case, source)
        if found is None:
            continue
        blobs = {top: blob_of(source, top) for top in found.tops}
        names = {top: case.names(blob, source.classes_of(blob)) for top, blob in blobs.items()}
        for finding in labels.findings(found, names):
            yield finding.about(f"{source.which} net")
    for which, net in case.nets.items():
        for layer in net.layer:
            if layer.type in LOSSES and len(layer.bottom) > 1:
                found_wrong = ignored(case, which, layer)
                yield from [found_wrong] if found_wrong else []


def blob_of(source: Source, top: str) -> str:
    """The net's blob of a reader's top."""
    return next((blob for blob, each in source.tops.items() if each == top), top)


def surveyed(case: Case, source: Source) -> Survey | None:
    """What the labels of a data layer hold; None if they are not there."""
    key = (source.which, source.layer.name)
    if key not in case.surveys and source.reader is not None and source.ids:
        seconds = case.seconds * (1 - SCORED_SHARE if source.which == TRAIN else SCORED_SHARE)
        tops = label_tops(source.reader)
        case.surveys[key] = survey(source.reader, tops, source.ids, seconds)
    return case.surveys.get(key)


def ignored(case: Case, which: str, layer: Any) -> Finding | None:
    """A finding if a loss does not ignore void, or ignores something else."""
    param, blob = layer.loss_param, layer.bottom[1]
    value = param.ignore_label if param.HasField("ignore_label") else None
    if value == VOID:
        return None
    name, classes = f"layer {layer.name!r} of the {which} net", case.classes_of(which, blob)
    is_class = value is not None and 0 <= value < classes
    said = "no ignore_label" if value is None else f"ignore_label: {value}"
    source = next((each for each in case.sources_of(which) if blob in each.tops), None)
    found = surveyed(case, source) if source else None
    top = source.tops[blob] if source else ""
    if found and top in found.hists and found.hists[top][VOID]:
        of = "" if value is None else f"ignores label {value}{', a class,' * is_class} and "
        what = f"{name} {of}counts label 255, which is void"
        pixels, pictures = int(found.hists[top][VOID]), int(found.pictures[top][VOID])
        evidence = (
            f"{said}; labels hold 255 in {counted(pixels, 'pixel')} of {counted(pictures, 'picture')} "
            f"({found.extent})"
        )
        return Finding("labels.void_counted", REFUSE, what, evidence, IGNORE)
    if value is None or value < 0 or not classes:
        return None
    what = f"{name} ignores label {value}, {'a class' if is_class else 'which is neither a class nor void'}"
    evidence = f"{said}; classes are 0 to {classes - 1}, void is 255"
    if found and top in found.hists:
        held = int(found.hists[top][value]) if value <= VOID else 0
        evidence += f"; {found.extent} hold {value} in {counted(held, 'pixel')}"
    return Finding("net.ignore", WARN, what, evidence, IGNORE)
