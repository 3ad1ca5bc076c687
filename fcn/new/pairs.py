"""Finds pictures and the mask of each, by their names."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fcn.datasets.folder import SUFFIXES

MASKS = {*SUFFIXES, ".json"}
PREFERRED = (".png", ".json")  # of masks of one name, the first is taken
RIVAL = 0.5  # endings with at least this share of the best one's masks make the choice unclear


class Pair(NamedTuple):
    """A picture and the file that holds its mask."""

    id: str  # the picture's path below its folder, without its ending
    picture: Path
    mask: Path


@dataclass(frozen=True)
class Pairing:
    """All pairs, how they were found, and what is left over."""

    pairs: list[Pair]
    how: str
    images_dir: Path
    masks_dir: Path
    mask_end: str | None  # mask's name = id + mask_end; None where names are not made so
    unmasked: list[Path]  # pictures without a mask
    unpictured: list[Path]  # masks without a picture
    doubled: list[Path]  # pictures of one name, which cannot be told apart


class Files(NamedTuple):
    """Files below a folder, by their paths there without their endings."""

    root: Path
    by_key: dict[str, list[Path]]


def listed(where: str | Path, endings: Iterable[str], without: Path | None = None) -> Files:
    """The files of these endings (in any case) below a folder, or those that a pattern names.

    Hidden files and those below `without` are left out. FileNotFoundError if there is no such folder.
    """
    text = str(Path(where).expanduser())
    if Path(text).is_dir():
        root, names = Path(text), list(Path(text).rglob("*"))
    elif glob.has_magic(text):
        parts = Path(text).parts
        at = next(k for k, part in enumerate(parts) if glob.has_magic(part))
        root, names = Path(*parts[:at]), list(map(Path, glob.glob(text, recursive=True)))
    else:
        raise FileNotFoundError(
            f"no folder {Path(text).absolute()}, and no pattern such as a/*.png"
        )
    by_key: dict[str, list[Path]] = {}
    wanted = set(endings)
    for path in sorted(names):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        inner = without is not None and path.is_relative_to(without)
        if path.suffix.lower() in wanted and not hidden and not inner and path.is_file():
            by_key.setdefault(path.relative_to(root).with_suffix("").as_posix(), []).append(path)
    return Files(root, by_key)


def find(images: str, masks: str) -> Pairing:
    """The pairs of pictures and masks; `masks` may be the folder of the pictures.

    ValueError if there are no pictures, no masks, or several masks of a picture.
    """
    if Path(images).is_dir() and Path(masks).is_dir() and Path(images).samefile(masks):
        pictures, files = apart(listed(images, MASKS))
    else:
        inner = Path(masks) if Path(masks).is_dir() and below(masks, images) else None
        outer = Path(images) if Path(images).is_dir() and below(images, masks) else None
        pictures, files = listed(images, SUFFIXES, inner), listed(masks, MASKS, outer)
    for where, found, what in ((images, pictures, "picture"), (masks, files, "mask")):
        if not found.by_key:
            raise ValueError(f"no {what} in {where}")
    return paired(pictures, files)


def below(inner: str, outer: str) -> bool:
    """Whether a folder lies below another."""
    return Path(inner).resolve().is_relative_to(Path(outer).resolve())


def apart(files: Files) -> tuple[Files, Files]:
    """Pictures and masks of one folder.

    Masks are the JSON files, or the PNGs that stand beside a picture of the same name, or the files
    whose names are those of others with something behind.
    """
    every = [path for paths in files.by_key.values() for path in paths]
    json = [path for path in every if path.suffix.lower() == ".json"]
    twins = [
        path
        for paths in files.by_key.values()
        for path in paths
        if len(paths) > 1 and path.suffix.lower() == ".png"
    ]
    end = "" if json or twins else ending(endings(files.by_key, files.by_key))
    longer = [
        path
        for key, paths in files.by_key.items()
        for path in paths
        if end and key.endswith(end) and key.removesuffix(end) in files.by_key
    ]
    chosen = set(json or twins or longer)
    mine = {key: [p for p in paths if p not in chosen] for key, paths in files.by_key.items()}
    theirs = {key: [p for p in paths if p in chosen] for key, paths in files.by_key.items()}
    return (
        Files(files.root, {key: paths for key, paths in mine.items() if paths}),
        Files(files.root, {key: paths for key, paths in theirs.items() if paths}),
    )


def paired(pictures: Files, masks: Files) -> Pairing:
    """Put masks to pictures by their names."""
    same = set(pictures.by_key) & set(masks.by_key)
    counts = endings(pictures.by_key, masks.by_key.keys() - same)
    mask_end: str | None = ""
    if same and len(same) >= max(counts.values(), default=0):
        found, how = {key: key for key in same}, "each mask has its picture's name"
    elif end := ending(counts):
        found = {key: key + end for key in pictures.by_key if key + end in masks.by_key}
        how, mask_end = f"masks have their pictures' names with {end!r} behind", end
    else:
        (found, how), mask_end = by_middle(pictures.by_key, masks.by_key), None
    used = set(found.values())
    taken = {key: preferred(masks.by_key[key]) for key in used}
    pairs = [
        Pair(key, paths[0], taken[found[key]])
        for key, paths in pictures.by_key.items()
        if key in found
    ]
    return Pairing(
        pairs,
        how,
        pictures.root,
        masks.root,
        mask_end,
        unmasked=[paths[0] for key, paths in pictures.by_key.items() if key not in found],
        unpictured=[paths[0] for key, paths in masks.by_key.items() if key not in used],
        doubled=[p for paths in pictures.by_key.values() if len(paths) > 1 for p in paths],
    )


def preferred(paths: list[Path]) -> Path:
    """The mask of several of one name."""
    order = [*PREFERRED, ""]
    return min(
        paths, key=lambda p: order.index(p.suffix.lower() if p.suffix.lower() in order else "")
    )


def endings(pictures: Iterable[str], masks: Iterable[str]) -> Counter[str]:
    """What masks have behind the name of a picture -> how many have it."""
    names, counts = set(pictures), Counter[str]()
    for mask in masks:
        head, slash, name = mask.rpartition("/")
        for at in range(len(name) - 1, 0, -1):
            if head + slash + name[:at] in names:
                counts[name[at:]] += 1
                break
    return counts


def ending(counts: Counter[str]) -> str:
    """What most masks have behind their pictures' names; "" if none has anything.

    Digits alone do not count: they are other pictures' numbers. ValueError if there are masks of
    several kinds.
    """
    best = [(end, count) for end, count in counts.most_common() if not end.isdigit()]
    rivals = [end for end, count in best if count >= max(2, RIVAL * best[0][1])]
    if len(rivals) > 1:
        kinds = ", ".join(repr(end) for end in sorted(rivals))
        raise ValueError(
            f"several masks for a picture: their names end in {kinds}; name those wanted by a "
            f"pattern: --masks 'FOLDER/**/*{sorted(rivals)[0]}.png'"
        )
    return best[0][0] if best else ""


def by_middle(
    pictures: Mapping[str, object], masks: Mapping[str, object]
) -> tuple[dict[str, str], str]:
    """Pictures -> masks whose names agree where they differ from one another; and how that was.

    `image_07` and `label_07`, or `x_leftImg8bit` and `x_gtFine`: what all names begin and end with
    does not count.
    """
    (begin, end), (first, last) = frame(pictures), frame(masks)
    middles = {middle(key, first, last): key for key in masks}
    found = {key: middles[name] for key in pictures if (name := middle(key, begin, end)) in middles}
    how = f"pictures are '{begin}*{end}', masks '{first}*{last}'"
    return (found, how) if len(middles) == len(masks) else ({}, how)


def frame(keys: Iterable[str]) -> tuple[str, str]:
    """What all file names begin with, and what they end with, without digits next to what differs."""
    names = [key.rpartition("/")[2] for key in keys]
    begin = os.path.commonprefix(names).rstrip("0123456789")
    end = os.path.commonprefix([name[::-1] for name in names])[::-1].lstrip("0123456789")
    return begin, end


def middle(key: str, begin: str, end: str) -> str:
    """A name's folder and what is between a beginning and an end."""
    head, slash, name = key.rpartition("/")
    return head + slash + re.sub(f"^{re.escape(begin)}|{re.escape(end)}$", "", name)
