"""The labels: all of a small set, a sample of a large one."""

from collections.abc import Iterator

from fcn.datasets import labels
from fcn.datasets.dataset import VOID
from fcn.datasets.survey import Survey, label_tops, survey
from fcn.doctor.case import TRAIN, Case, Source
from fcn.findings import REFUSE, Finding

SCORED_SHARE = 0.4  # of the time goes to the labels that are scored


def check(case: Case) -> Iterator[Finding]:
    """Findings on the labels of both nets."""
    for source in case.sources:
        found = surveyed(case, source)
        if found is None:
            continue
        names = {
            top: case.names(blob_of(source, top), classes_of(source, top)) for top in found.tops
        }
        for finding in labels.findings(found, names):
            yield finding.about(f"{source.which} net")
        yield from check_void(case, source, found)


def classes_of(source: Source, top: str) -> int:
    """The number of classes of a label top."""
    assert source.reader is not None
    geometric = vars(source.kind).get("geo_classes") if top == "geo" else None
    return int(geometric or source.reader.classes)


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


def check_void(case: Case, source: Source, found: Survey) -> Iterator[Finding]:
    """A finding if labels hold 255 and a loss counts it."""
    net = case.nets[source.which]
    for layer in net.layer:
        if layer.type != "SoftmaxWithLoss" or len(layer.bottom) < 2:
            continue
        top = source.tops.get(layer.bottom[1])
        hist = found.hists.get(top) if top else None
        if hist is None or not hist[VOID] or layer.loss_param.HasField("ignore_label"):
            continue
        what = f"layer {layer.name!r} of the {source.which} net counts label 255, which is void"
        pixels, pictures = int(hist[VOID]), int(found.pictures[str(top)][VOID])
        evidence = f"{pixels} pixels in {pictures} pictures ({found.extent}); no ignore_label"
        yield Finding(
            "labels.void_counted", REFUSE, what, evidence, "loss_param { ignore_label: 255 }"
        )
