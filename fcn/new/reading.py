"""Reads every picture and mask once, and keeps what is seen and what is wrong."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from tqdm import tqdm

from fcn import pictures
from fcn.new import labelme, stored
from fcn.new.pairs import Pair
from fcn.new.stored import COLOURS, LABELS, PALETTE, VALUES, Key, Mask

ReadMask: TypeAlias = Callable[[Pair, tuple[int, int]], Mask]
THREADS = 4


class Look(NamedTuple):
    """What a pair showed."""

    pair: Pair
    size: tuple[int, int]
    mean: np.ndarray  # B, G, R
    digest: str  # of the picture's pixels
    kind: str  # of its mask, as all below
    counts: Mapping[int, int]  # code -> pixels
    stands_for: Mapping[int, Key]
    plain: bool
    jpeg: bool
    left_out: int


class Fault(NamedTuple):
    """What is wrong with a file."""

    kind: str
    path: Path
    text: str = ""


class Tally(NamedTuple):
    """What was counted of a key."""

    pixels: int
    masks: list[Path]  # that hold it


def read_mask(pair: Pair, size: tuple[int, int]) -> Mask:
    """The mask in a picture file, or in a JSON file of LabelMe's."""
    if pair.mask.suffix.lower() == ".json":
        return labelme.read(pair.mask, size)
    return stored.read(pair.mask)


def look_at(pair: Pair, read: ReadMask) -> Look | Fault:
    """Read a pair."""
    try:
        pixels = pictures.read_picture(pair.picture)
    except pictures.UNREADABLE_ERRORS as error:
        return Fault("unreadable", pair.picture, pictures.reason(error, pair.picture))
    size = pixels.shape[:2]
    try:
        mask = read(pair, size)
    except (*pictures.UNREADABLE_ERRORS, *labelme.MALFORMED) as error:
        return Fault("unreadable", pair.mask, pictures.reason(error, pair.mask))
    if mask.codes.shape != size:
        height, width = mask.codes.shape
        sizes = {"picture": size, "mask": (height, width)}
        files = {"picture": pair.picture, "mask": pair.mask}
        why = pictures.why_sizes_differ(sizes, files)
        text = f"picture {size[0]}x{size[1]}, mask {height}x{width} (height x width)"
        return Fault("size", pair.picture, f"{text}. {why}" if why else text)
    return Look(
        pair,
        size,
        pixels[:, :, ::-1].mean((0, 1)),
        hashlib.sha1(repr(size).encode() + pixels.tobytes()).hexdigest(),
        mask.kind,
        mask.counts(),
        mask.stands_for,
        mask.plain,
        mask.jpeg,
        mask.left_out,
    )


def read_all(pairs: Sequence[Pair], read: ReadMask) -> tuple[list[Look], list[Fault]]:
    """Read all pairs, with a progress bar on a terminal."""
    looks: list[Look] = []
    faults: list[Fault] = []
    bar = tqdm(total=len(pairs), desc="reading", unit="", leave=False, disable=None)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        for seen in pool.map(lambda pair: look_at(pair, read), pairs):
            bar.update()
            if isinstance(seen, Fault):
                faults.append(seen)
            else:
                looks.append(seen)
    return looks, faults


def goes_by_colour(looks: Sequence[Look]) -> bool:
    """Whether classes go by colours: masks hold colours, or palettes that do not agree.

    Palettes of greys beside masks of values, as programs write that make files smaller, count as
    colours, too.
    """
    kinds = {look.kind for look in looks}
    first: dict[int, Key] = {}
    for look in looks:
        for code in look.counts if look.kind == PALETTE else ():
            if first.setdefault(code, look.stands_for[code]) != look.stands_for[code]:
                return True
    colours = [colour for colour in first.values() if isinstance(colour, tuple)]
    grey = all(len(set(colour)) == 1 for colour in colours) and len(set(colours)) == len(colours)
    renumbered = grey and any(colour != (code,) * 3 for code, colour in first.items())
    return COLOURS in kinds or (renumbered and VALUES in kinds)


def tally(looks: Iterable[Look], by_colour: bool) -> dict[Key, Tally]:
    """What the masks hold, and how much of it: colours or values in their order, labels by name."""
    pixels: dict[Key, int] = {}
    masks: dict[Key, list[Path]] = {}
    for look in looks:
        for code, count in look.counts.items():
            key = stored.key_of(look.kind, look.stands_for, code, by_colour)
            pixels[key] = pixels.get(key, 0) + count
            masks.setdefault(key, []).append(
                look.pair.picture if look.kind == LABELS else look.pair.mask
            )
    return {key: Tally(pixels[key], masks[key]) for key in sorted(pixels, key=in_order)}


def in_order(key: Key) -> tuple:
    """What keys are sorted by."""
    return (isinstance(key, str), str(key).lower() if isinstance(key, str) else key)
