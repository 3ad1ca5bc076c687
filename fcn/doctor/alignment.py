"""Whether labels lie on their pictures, or would if they were shifted, mirrored or turned."""

import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fcn.datasets.masks import WAYS_OUT
from fcn.doctor.case import Case, Source
from fcn.doctor.edges import (
    MOVES,
    MUCH_BETTER,
    Compared,
    best_shift,
    clearly,
    compared,
    nowhere,
)
from fcn.findings import NOTE, WARN, Finding
from fcn.wording import counted, first_few

AT_LEAST = 6  # pictures; fewer tell nothing
SHOWN = 5  # of many files, so many are named
SOME, SOME_SHARE = 3, 0.1  # pictures, and share of them: fewer may be symmetrical by chance
SHIFTED = "draw one label over its picture: were masks cropped, padded or resized apart from them?"
MIRRORED = "draw one label over its picture: were masks, or pictures, mirrored or turned alone?"
STRANGE = "draw some labels over their pictures: do names pair each with its own, and are they of this set?"
# EXIF orientation -> what makes a label of the stored picture one of the upright picture
TURNS = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "with rows and columns exchanged",
    6: "turned by 90 degrees clockwise",
    7: "mirrored at the diagonal from bottom left",
    8: "turned by 90 degrees anticlockwise",
}


def check(case: Case) -> Iterator[Finding]:
    """Findings for each data layer whose labels fit clearly better when they are moved or mirrored."""
    for source in case.sources:
        pictures = list(compared(source, source.ids, time.monotonic() + case.seconds / 6))
        if len(pictures) >= AT_LEAST:
            yield from check_all(source, pictures)
        yield from check_turned(case, source)


def check_all(source: Source, pictures: Sequence[Compared]) -> Iterator[Finding]:
    """A finding if the labels fit the pictures better mirrored, or else shifted."""
    at_home = np.array([each.at_home() for each in pictures])
    moved = {move: [each.moved(move) for each in pictures] for move in MOVES}
    known = {move: np.array(rows, float) for move, rows in moved.items() if None not in rows}
    best = max(known, key=lambda move: known[move].mean())
    elsewhere = np.array([each.elsewhere() for each in pictures])
    # of labels that lie nowhere a mirrored one fits better by chance, but not better than all around
    if clearly(known[best], at_home) and clearly(known[best], elsewhere):
        gain, better = known[best].mean() / at_home.mean(), int((known[best] > at_home).sum())
        what = f"labels of {source.title} fit the pictures better {best}"
        yield Finding("labels.mirrored", WARN, what, told(gain, better, pictures), MIRRORED)
        return
    shift = best_shift(np.array([each.shifted for each in pictures]))
    if shift is not None:
        (down, right), gain, better = shift
        what = f"labels of {source.title} fit the pictures better {describe(down, right)}"
        yield Finding("labels.shifted", WARN, what, told(gain, better, pictures), SHIFTED)
        return
    if nowhere(at_home, elsewhere):
        what = f"labels of {source.title} lie no better on their pictures than beside them"
        evidence = (
            f"edges of pictures under edges of labels: {(at_home / elsewhere).mean():.2f} times as "
            f"strong as around, in {counted(len(pictures), 'picture')}; where labels fit, 1.3 and more"
        )
        yield Finding("labels.strange", WARN, what, evidence, STRANGE)
        return
    moves = {move: row for move, row in known.items() if (row > MUCH_BETTER * at_home).any()}
    yield from check_some(source, pictures, moves, at_home)


def check_some(
    source: Source,
    pictures: Sequence[Compared],
    moves: Mapping[str, np.ndarray],
    at_home: np.ndarray,
) -> Iterator[Finding]:
    """A finding if the labels of some pictures alone fit much better mirrored or turned."""
    for move, row in moves.items():
        ids = [each.id for each, gain in zip(pictures, row / at_home) if gain > MUCH_BETTER]
        if len(ids) >= max(SOME, SOME_SHARE * len(pictures)):
            what = f"some labels of {source.title} fit their pictures better {move}"
            evidence = (
                f"in {len(ids)} of {counted(len(pictures), 'picture')} edges of the picture are over "
                f"{MUCH_BETTER:g} times as strong there: {first_few(ids)}"
            )
            yield Finding("labels.mirrored", WARN, what, evidence, MIRRORED)
            return


def told(gain: float, better: int, pictures: Sequence[Compared]) -> str:
    """What was measured."""
    return (
        f"edges of pictures under edges of labels: {gain:.2f} times as strong there, "
        f"in {better} of {counted(len(pictures), 'picture')}"
    )


def check_turned(case: Case, source: Source) -> Iterator[Finding]:
    """A finding on pictures that EXIF turns: whether their labels lie on them as they are read."""
    survey = case.surveys.get((source.which, source.layer.name))
    if survey is None or not survey.turned or "exif" in survey.faults:
        return
    turned: dict[str, int] = survey.turned
    first = ", ".join(list(turned)[:SHOWN])
    what = f"{source.which} net: {counted(len(turned), 'picture')} stored turned (EXIF orientation)"
    pictures = list(compared(source, list(turned), time.monotonic() + case.seconds / 6))
    at_home = np.array([each.at_home() for each in pictures])
    as_stored = np.array([each.moved(TURNS[turned[each.id]]) or 0.0 for each in pictures])
    if len(pictures) and clearly(as_stored, at_home):
        gain, better = as_stored.mean() / at_home.mean(), int((as_stored > at_home).sum())
        what = f"{what}: their labels were made for the pictures as stored, but pictures are read upright"
        evidence = f"{first}; turned so, labels fit: {told(gain, better, pictures)}"
        yield Finding("labels.turned", WARN, what, evidence, WAYS_OUT["exif"])
    elif not len(pictures) or not clearly(at_home, as_stored):
        values = ", ".join(map(str, sorted(set(turned.values()))))
        way = (
            "draw the label of one over its picture as `fcn.pictures.read_picture` reads it, upright: a "
            "label that lies on it only mirrored or upside down was made for the picture as stored"
        )
        yield Finding("labels.turned", NOTE, what, f"{first}; orientation {values}", way)


def describe(down: int, right: int) -> str:
    """A shift for people."""
    parts = [f"{abs(down)} pixels {'down' if down > 0 else 'up'}"] if down else []
    parts += [f"{abs(right)} pixels to the {'right' if right > 0 else 'left'}"] if right else []
    return " and ".join(parts)
