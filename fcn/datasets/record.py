"""The record of a data set: its classes, files, splits, published archives and preparation."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from caffe import layers as L

from ..places import DATA, ROOT

VOID = 255  # the label of pixels that do not count


class DataError(RuntimeError):
    """What is wrong with somebody's data or connection, in a sentence for them to read."""


class Source(NamedTuple):
    """One published file and where its content belongs."""

    file: str  # its name
    urls: tuple[str, ...]  # the address, then mirrors
    md5: str | None  # as published, if it was
    holds: str  # a folder in the archive by which its tree is known ("": a plain file)
    to: str  # where that tree goes, under data/


class Tree(NamedTuple):
    """One tree of files on disk and the data layer that reads it."""

    layer: Any  # a subclass of SegDataLayer
    folders: dict[str, tuple[str, str]]  # key of param_str -> (folder under data/, one inside it)
    splits: tuple[str, ...]  # the last is the one scored
    params: dict[str, Any] = {}  # the rest of param_str


class Dataset(NamedTuple):
    """Everything that is known of a data set."""

    name: str
    classes: tuple[str, ...]  # by label
    mean: tuple[float, float, float]  # of the training pictures, BGR
    trees: tuple[Tree, ...]
    sources: tuple[Source, ...] = ()
    prepare: Callable[[Path], None] | None = None  # makes the split lists below a data folder
    scores: tuple[str, ...] = ("score",)  # score blobs of its nets
    geo_classes: tuple[str, ...] = ()  # of a second, geometric task

    def classes_of(self, top: str) -> tuple[str, ...]:
        """The class names of a label or score blob: "geo" and "score_geo" are the second task's."""
        return self.geo_classes if top.endswith("geo") else self.classes


def names(path: str) -> tuple[str, ...]:
    """The class names listed in a file below data/, in order of their labels."""
    return tuple((ROOT / "data" / path).read_text().splitlines())


def python_data(n: Any, blobs: list[str], module: str, layer: str, **params: Any) -> None:
    """Add the tops of a Python data layer to a NetSpec; its param_str is the text of a dict."""
    made = L.Python(module=module, layer=layer, ntop=len(blobs), param_str=repr(params))
    for name, top in zip(blobs, made):
        n[name] = top


# ---- split lists


def digest(ids: Any) -> str:
    """The sha256 of ids, whatever their order: how published split lists are told apart."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def compare(split: str, ids: list[str], published: tuple[int, str]) -> None:
    """Print whether ids are the published ones, given as (count, digest)."""
    count, expected = published
    if digest(ids) == expected:
        print(f"{split}: {len(ids)} ids, as published")
    else:
        print(f"{split}: {len(ids)} ids, NOT the {count} published; scores will not compare")


def read_ids(path: Path) -> list[str]:
    """The ids in a split list. Raises DataError if there is none."""
    if not path.is_file():
        raise DataError(f"no list {path.absolute()}: run fcn data fetch first")
    return path.read_text().split()


def write_ids(path: Path, ids: list[str]) -> None:
    """Write a split list, an id a line."""
    path.write_text("".join(f"{id}\n" for id in ids))
    print(f"wrote {path}")


def require_folder(folder: Path, name: str) -> None:
    """Raise DataError unless a folder of the data set is there."""
    if not folder.is_dir():
        text = f"no folder {folder.absolute()}: fcn data fetch {name}"
        raise DataError(f"{text} brings it; see data/{name}/README.md")


def run(command: Callable[[Any], int | None], args: Any) -> int:
    """The exit status of a command: 2, and a sentence, for what the user can put right."""
    try:
        return command(args) or 0
    except (DataError, OSError, ValueError, KeyError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        print(f"error: {text}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 2


__all__ = [
    "DATA",
    "VOID",
    "DataError",
    "Dataset",
    "Source",
    "Tree",
    "compare",
    "digest",
    "names",
    "python_data",
    "read_ids",
    "require_folder",
    "run",
    "write_ids",
]
