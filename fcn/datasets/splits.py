"""Split lists: read, written, drawn, and compared with the published ones by count and checksum."""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from fcn.datasets.dataset import DataError

Published: TypeAlias = tuple[
    int, str
]  # number of ids, SHA-256 of the sorted ids joined by newlines


def checksum(ids: Iterable[str]) -> str:
    """The SHA-256 of the sorted ids joined by newlines."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def compare(split: str, ids: Iterable[str], published: Published) -> None:
    """Print whether these are the ids of the published split."""
    ids = list(ids)
    if checksum(ids) == published[1]:
        print(f"{split}: {len(ids)} ids, as published")
    else:
        print(f"{split}: {len(ids)} ids, NOT the {published[0]} published; scores will not compare")


def drawn(scenes: Mapping[str, str], share: float) -> tuple[list[str], list[str]]:
    """(ids to train on, ids to score), by the ids' checksums: about `share` of them are scored.

    `scenes` maps each id to what it shows; ids that show the same stay on one side. An id's side does
    not depend on other ids, so new pictures leave the old ones where they are. ValueError if all show
    the same.
    """
    groups: dict[str, list[str]] = {}
    for id in sorted(scenes):
        groups.setdefault(scenes[id], []).append(id)
    if len(groups) < 2:
        raise ValueError(f"{len(scenes)} pictures of one scene: some must be left to score")
    order = sorted(groups.values(), key=lambda group: place(group[0]))
    count = sum(place(group[0]) < share for group in order)
    count = min(max(count, 1), len(order) - 1)  # neither side is empty
    val, train = ([id for group in part for id in group] for part in (order[:count], order[count:]))
    return sorted(train), sorted(val)


def place(id: str) -> float:
    """Where an id lies between 0 and 1, by its checksum."""
    text = unicodedata.normalize("NFC", id)
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13


def read_ids(path: Path) -> list[str]:
    """The ids in a list; DataError if it is not there."""
    if not path.is_file():
        raise DataError(f"no list {path.absolute()}: run fcn data fetch first")
    return path.read_text().split()


def write_ids(path: Path, ids: Iterable[str]) -> None:
    """Write a list of ids, one a line."""
    path.write_text("".join(f"{id}\n" for id in ids))
    print(f"wrote {path}")


def require_folder(folder: Path, name: str) -> None:
    """DataError if a folder of the data set `name` is not there."""
    if not folder.is_dir():
        raise DataError(
            f"no folder {folder.absolute()}: fcn data fetch {name} brings it; "
            f"see data/{name}/README.md"
        )
