"""Findings on the labels that a survey saw; for `fcn data check`, `fcn doctor` and before training."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fcn.datasets.dataset import VOID
from fcn.datasets.masks import TWO_CLASSES, WAYS_OUT
from fcn.datasets.survey import Survey
from fcn.findings import NOTE, REFUSE, WARN, Finding
from fcn.wording import counted

MUCH_VOID = 0.5  # a larger share of void is told
ENOUGH = 20  # so many whole labels show which classes there are
SHOWN = 5  # of many files, so many are named
FEW, MANY = 0.05, 0.5  # shares of masks that look binary: told; refused
SOME = 3  # fewer masks that look binary among others are not told
BINARY = f"map 255 to 1, mask = (mask > 127).astype('uint8'), and {TWO_CLASSES}"
INVERTED = (
    "255 lies along the borders, as background does, and objects are 0: map 0 to 1 and 255 to 0, "
    f"mask = (mask < 128).astype('uint8'), and {TWO_CLASSES}"
)
TITLES = {
    "rgb": "masks are colour pictures, not class indices",
    "rgb_voc": "masks hold VOC's colours, not class indices",
    "jpeg": "masks went through JPEG or resizing, so their values are not classes",
    "mode": "masks are images of a kind that holds no class indices",
    "range": "masks have values out of range",
    "binary": "masks are binary, and what they mark has a value that is no class",
    "from_one": "masks count classes from 1",
    "grey_colours": "masks are colours made grey, not class indices",
    "size": "pictures and masks differ in size",
    "exif": "pictures are stored turned, as their EXIF orientation says, and do not lie on their masks",
    "unreadable": "files cannot be read",
}


def findings(survey: Survey, names: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """What is wrong with the labels; `names` are each top's class names."""
    yield from broken(survey)
    for top, hist in survey.hists.items():
        looks = survey.looks[top]
        yield from of_values(hist, names[top], looks, top, survey.extent, survey.whole)
        if survey.permuted and len(names[top]) > 2:
            yield permuted(survey, names[top])


def broken(survey: Survey) -> Iterator[Finding]:
    """A finding for each kind of broken file; each names its files."""
    for kind, files in survey.faults.items():
        count = len(files)
        shown = "; ".join(f"{path}: {text}" for path, text in files[:SHOWN])
        more = f"; and {count - SHOWN} more" if count > SHOWN else ""
        what = f"{counted(count, 'file')}: {TITLES[kind]}"
        name = "labels.rgb" if kind == "rgb_voc" else f"labels.{kind}"
        evidence = f"{shown}{more} ({survey.extent} were read)"
        yield Finding(name, REFUSE, what, evidence, WAYS_OUT[kind])


def of_values(
    hist: np.ndarray,
    names: Sequence[str],
    looks: Mapping[str, int],
    top: str = "label",
    extent: str = "all labels",
    whole: bool = True,
) -> Iterator[Finding]:
    """Findings on the number of pixels of each label value, and on how many labels look like what.

    `looks`: the number of labels of each kind of `masks.two_valued`.
    """
    total, classes = int(hist.sum()), len(names)
    if not total:
        return
    seen = [int(value) for value in np.flatnonzero(hist[:classes])]
    void = hist[VOID] / total
    evidence = f"{extent}: " + ", ".join(
        f"{value} {hist[value] / total:.1%}" for value in np.flatnonzero(hist)[:8]
    )
    enough = sum(looks.values()) >= ENOUGH
    if as_binary := binary(top, evidence, looks):
        yield as_binary
        if as_binary.level == REFUSE:
            return
    if not seen:
        what = f"{top}: every pixel is void (255), so nothing can be learned"
        way = "255 is void here: map the values to classes"
        yield Finding("labels.only_void", REFUSE, what, evidence, way)
        return
    if len(seen) == 1:
        what = f"{top}: of {counted(classes, 'class', 'classes')} only {seen[0]} ({names[seen[0]]}) occurs"
        way = "a net learns to say it everywhere: look at the masks, and at what makes them"
        yield Finding("labels.one_class", REFUSE, what, evidence, way)
    elif seen == [0, 1] and classes > 2 and enough:
        what = f"{top}: of {counted(classes, 'class', 'classes')} only 0 and 1 occur: masks look binary"
        also = f"; 255 ({void:.1%}) stays void" if void else ""
        yield Finding("labels.two_classes", WARN, what, evidence, f"{TWO_CLASSES}{also}")
    elif len(seen) < classes:
        yield unseen(names, seen, top, extent, whole and enough)
    if void > MUCH_VOID and not as_binary:
        what = f"{top}: {void:.0%} of the pixels are void (255)"
        way = "pixels of 255 teach nothing: is a class stored as 255?"
        yield Finding("labels.void", WARN, what, evidence, way)


def binary(top: str, evidence: str, looks: Mapping[str, int]) -> Finding | None:
    """A finding if 255 seems to be what masks mark, in all of them or in some."""
    count = Counter(looks)
    like = count["binary"] + count["inverted"]
    telling = count.total() - count["zero"] - count["void"]
    if not like or like < FEW * telling or (like < MANY * telling and like < SOME):
        return None
    level = REFUSE if like >= MANY * telling else WARN
    verb = "looks" if like == 1 else "look"
    what = (
        f"{top}: {like} of {counted(count.total(), 'mask')} {verb} binary, 0 and 255 and hardly "
        "anything else, but 255 is void here"
    )
    way = INVERTED if count["inverted"] > like / 2 else BINARY
    return Finding("labels.binary", level, what, evidence, way)


def unseen(names: Sequence[str], seen: Sequence[int], top: str, extent: str, sure: bool) -> Finding:
    """Classes that are named and did not occur."""
    absent = [name for k, name in enumerate(names) if k not in seen]
    do = "does" if len(absent) == 1 else "do"
    what = f"{top}: {len(absent)} of {counted(len(names), 'class', 'classes')} {do} not occur"
    shown = ", ".join(absent[:SHOWN]) + (", ..." if len(absent) > SHOWN else "")
    way = "they cannot be learned: is the list of classes the right one?"
    level = WARN if sure and len(absent) > len(names) / 2 else NOTE
    return Finding("labels.unseen", level, what, f"{extent}: {shown}", way)


def permuted(survey: Survey, names: Sequence[str]) -> Finding:
    """A palette that has VOC's colours in another order."""
    pairs = list(survey.permuted.items())[:SHOWN]
    shown = ", ".join(f"{k} ({names[k]}) has the colour of {to} ({names[to]})" for k, to in pairs)
    count = len(survey.permuted_files)
    have = "has" if count == 1 else "have"
    what = (
        f"{counted(count, 'mask')} {have} VOC's colours in another order: indices may be permuted"
    )
    way = "map the indices by colour, or see that class 1 is what the list of classes says"
    first = ", ".join(survey.permuted_files[:SHOWN])
    return Finding("labels.palette", WARN, what, f"{shown}; {first}", way)
