"""Split lists: read, written, and compared with the published ones by count and checksum."""

import hashlib
from collections.abc import Iterable
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
