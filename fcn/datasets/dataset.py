"""The records that hold all facts of a data set, and of a task on it, and what they are made with."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import caffe
from caffe import layers as L
from fcn import places

VOID = 255  # the label of pixels without a class, the ignore_label of every published net
SEED = 1337  # of the order of training pictures, in every published net


class DataError(RuntimeError):
    """What is wrong with a user's files or connection, as a sentence for them to read."""


class Source(NamedTuple):
    """One published file, and where its content belongs."""

    file: str  # its name
    urls: tuple[str, ...]  # the address, then mirrors
    md5: str | None  # the published checksum, if there is one
    holds: str  # a folder of the archive that identifies its tree; "" for a plain file
    to: str  # where that tree goes, below data/


class Tree(NamedTuple):
    """One tree of files on disk, and the data layer that reads it."""

    layer: type[Any]  # a subclass of SegDataLayer
    folders: dict[str, tuple[str, str]]  # key of param_str -> (folder below data/, a folder in it)
    splits: tuple[str, ...]  # those to check; the last one is scored
    params: dict[str, Any] = {}  # further keys of param_str


class Dataset(NamedTuple):
    """All that the project knows of one data set."""

    name: str  # also of its folder in data/
    classes: tuple[str, ...]  # names, in the order of the net's channels
    mean: tuple[float, ...]  # of the pictures, BGR
    nets: dict[
        str, str
    ]  # prototxt's stem -> split: the net that is trained, the one that is scored
    add_data_layer: Callable[..., None]  # (n, split, ...): add the data layer's tops to a NetSpec
    trees: tuple[Tree, ...]
    how_to_get: str  # completes "it is not there:"
    sources: tuple[Source, ...] = ()
    prepare: Callable[[Path], None] | None = None  # makes what the data layers read in data/
    geo_classes: tuple[str, ...] = ()  # of the second, geometric labelling
    scored: dict[str, str] = {"score": "label"}  # score blob -> label blob

    def names_of(self, blob: str) -> tuple[str, ...]:
        """The class names of a score or label blob (`score_geo` and `geo`: the geometric ones)."""
        return self.geo_classes if blob.split("_")[-1] == "geo" else self.classes


class Task(NamedTuple):
    """What net.py builds for, and what inference and scoring have to know."""

    dataset: Dataset
    body: dict = {}  # arguments of `nets.vgg16` that differ from the published net
    normalize: bool = False  # average the loss over the pixels instead of summing it

    @property
    def nets(self) -> dict[str, str]:
        """Prototxt's stem -> split: the net that is trained, then the one that is scored."""
        return self.dataset.nets

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.dataset.classes)

    @property
    def geo_classes(self) -> int:
        """The number of classes of the second, geometric labelling; 0 if there is none."""
        return len(self.dataset.geo_classes)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of the pictures, BGR."""
        return self.dataset.mean

    def data(self, n: caffe.NetSpec, split: str, *args: Any, **kwargs: Any) -> None:
        """Add the data layer's tops to a NetSpec."""
        self.dataset.add_data_layer(n, split, *args, **kwargs)

    def names_of(self, blob: str) -> tuple[str, ...]:
        """The class names of a score blob."""
        return self.dataset.names_of(blob)


def class_names(path: str) -> tuple[str, ...]:
    """The class names listed in a file of data/, in the order of their indices."""
    return read_names(places.ROOT / "data" / path)


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a list of classes, one a line. ValueError if there are none, or none that will do."""
    names = names_in(path.read_text(encoding="utf-8-sig").splitlines(), str(path))
    if not names:
        raise ValueError(f"{path} names no class: it should have a name a line, class 0 first")
    return names


def names_in(lines: Iterable[str], where: str) -> tuple[str, ...]:
    """The names in lines; blank ones, and those that begin with #, do not count.

    ValueError for a name twice. Whether there are as many as the net has scores is checked where both
    are known.
    """
    found: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        name = line.strip()
        if name in found:
            raise ValueError(f"{where}: lines {found[name]} and {number} are both {name!r}")
        if name and not name.startswith("#"):
            found[name] = number
    return tuple(found)


def add_python_layer(
    n: caffe.NetSpec, blobs: Sequence[str], module: str, layer: str, params: dict[str, Any]
) -> None:
    """Add a Python data layer's tops, named `blobs`; its param_str is the text of `params`."""
    tops = L.Python(module=module, layer=layer, ntop=len(blobs), param_str=repr(params))
    for name, top in zip(blobs, tops):
        n[name] = top
