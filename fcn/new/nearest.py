"""Masks whose values lie near a few, as JPEG and smoothing leave them: finds which few."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fcn.new.mapping import Unclear, noun, quoted
from fcn.new.reading import Look, Tally, in_order
from fcn.new.stored import Key, shown
from fcn.wording import counted, first_few

NEAR = 40  # levels; what is nearer belongs together
BOX = 16  # levels a side
LEAST = 0.001  # of the pixels: what has fewer is a mixture of others
# A key between two centres is a mixture of them if it is so much rarer. Greys are all on one line.
RARER, RARER_GREY, BESIDE = 0.5, 0.1, 12  # BESIDE: levels off the line
KEPT_APART = 8  # levels; JPEG changes values by that much beside an edge
MANY = 12  # keys; fewer are told apart as they are
MOSTLY = 0.9  # of the pixels lie near one of the few


def places(keys: Sequence[Key]) -> np.ndarray:
    """Colours or values as points, N x 3 or N x 1."""
    return np.array([key if isinstance(key, tuple) else (key,) for key in keys], float)


def distances(keys: Sequence[Key], centres: Sequence[Key]) -> np.ndarray:
    """How far each key is from each centre, N x M levels."""
    points, others = places(keys), places(centres)
    squares = np.zeros((len(points), len(others)))
    for axis in range(points.shape[1]):
        squares += np.subtract.outer(points[:, axis], others[:, axis]) ** 2
    return np.sqrt(squares)


def boxes(seen: Mapping[Key, Tally]) -> dict[Key, int]:
    """The most frequent key of each box of BOX levels a side -> pixels in that box.

    JPEG makes hundreds of colours of one: none of them is frequent, but their box is.
    """
    pixels: dict[Key, int] = {}
    first: dict[tuple[int, ...], Key] = {}
    often = sorted(seen, key=lambda key: -seen[key].pixels)
    corners = (places(often) // BOX).astype(int).tolist()
    for key, corner in zip(often, map(tuple, corners)):
        box = first.setdefault(corner, key)
        pixels[box] = pixels.get(box, 0) + seen[key].pixels
    return pixels


def centres(seen: Mapping[Key, Tally]) -> list[Key]:
    """The few frequent keys that are far from one another, the most frequent first."""
    pixels = boxes(seen)
    total = sum(pixels.values())
    found: list[Key] = []
    for key in sorted(pixels, key=lambda key: -pixels[key]):
        if pixels[key] < LEAST * total and found:
            break
        apart = not found or distances([key], found).min() > NEAR
        if apart and not is_mixture(key, pixels, found):
            found.append(key)
    return found


def is_mixture(key: Key, pixels: Mapping[Key, int], others: Sequence[Key]) -> bool:
    """Whether a key lies between two others, and is much rarer."""
    grey = not isinstance(key, tuple) or len(set(key)) == 1
    enough = pixels[key] / (RARER_GREY if grey else RARER)
    ends = places([other for other in others if pixels[other] > enough])
    point = places([key])[0]
    for k, end in enumerate(ends):
        lines = ends[k + 1 :] - end
        if not len(lines):
            continue
        along = ((point - end) * lines).sum(1) / np.square(lines).sum(1)
        off = np.sqrt(np.square(end + along[:, None] * lines - point).sum(1))
        if ((along > 0) & (along < 1) & (off < BESIDE)).any():
            return True
    return False


def are_near(seen: Mapping[Key, Tally], few: Sequence[Key]) -> bool:
    """Whether many keys lie near a few."""
    if len(seen) <= max(MANY, 3 * len(few)) or any(isinstance(key, str) for key in seen):
        return False
    keys = list(seen)
    pixels = np.array([seen[key].pixels for key in keys])
    near = distances(keys, few).min(1) <= NEAR
    return bool(pixels[near].sum() > MOSTLY * pixels.sum())


def merged(
    seen: Mapping[Key, Tally], few: Sequence[Key]
) -> tuple[dict[Key, Tally], dict[Key, Key]]:
    """(what was counted near each of a few keys, each key's nearest)."""
    keys = list(seen)
    where = distances(keys, few).argmin(1)
    nearest = {key: few[k] for key, k in zip(keys, where.tolist())}
    pixels, masks = dict.fromkeys(few, 0), {key: set[Path]() for key in few}
    for key, tally in seen.items():
        pixels[nearest[key]] += tally.pixels
        masks[nearest[key]].update(tally.masks)
    there = sorted((key for key in few if pixels[key]), key=in_order)
    return {key: Tally(pixels[key], sorted(masks[key])) for key in there}, nearest


def explain(seen: Mapping[Key, Tally], few: Sequence[Key], looks: Sequence[Look]) -> str:
    """What is to be said of masks whose keys lie near a few."""
    jpegs = sum(look.jpeg for look in looks)
    why = (
        f"{counted(jpegs, 'of them is a JPEG', 'of them are JPEGs')}, which changes values"
        if jpegs
        else "they were smoothed, as when a picture is made smaller or larger"
    )
    table, _ = merged(seen, few)
    total = sum(tally.pixels for tally in table.values())
    lines = "\n".join(
        f"  {shown(key):>12}  {tally.pixels / total:7.2%} of the pixels lie nearest to it"
        for key, tally in sorted(table.items(), key=lambda item: -item[1].pixels)
    )
    example = " ".join(f"{quoted(key)}={number}" for number, key in enumerate(few))
    return (
        f"the masks hold {len(seen):,} {noun(seen)}s, most of them near {len(few)}: {why}\n{lines}\n"
        "Best is to save the masks again, as PNG, where they come from. Otherwise each pixel gets the "
        "class of the nearest; leave out what is a mixture of two others, at their edges:\n"
        f"  --nearest --map {example}"
    )


def refuse_blurred(of: Mapping[Key, int], looks: Sequence[Look]) -> None:
    """Unclear if some masks are JPEGs, and classes nearer to each other than JPEG keeps apart."""
    jpegs = [look.pair.mask for look in looks if look.jpeg]
    keys = [key for key in of if not isinstance(key, str)]
    apart = distances(keys, keys) if jpegs and len(keys) > 1 else np.empty((0, 0))
    one, other = np.nonzero(np.triu(apart < KEPT_APART, 1)) if apart.size else ((), ())
    for k, j in zip(one, other):
        if of[keys[k]] != of[keys[j]]:
            what = "colours" if isinstance(keys[k], tuple) else "values"
            raise Unclear(
                f"{counted(len(jpegs), 'mask is a JPEG', 'masks are JPEGs')}, which changes {what} by "
                f"a few: {shown(keys[k])} and {shown(keys[j])} cannot be told apart in it. Save the "
                f"masks again, as PNG, where they come from\n    {first_few(jpegs)}"
            )
