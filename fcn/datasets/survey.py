"""Reads the labels of a split, all or a sample of them, and keeps what is seen and what is broken."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from fcn.datasets import masks
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.masks import BadLabel, Fault
from fcn.pictures import SIDEWAYS

ALWAYS_ALL = 500  # so many labels are read whatever it takes
AT_MOST = 2000  # of more, so many are drawn
CHUNK, THREADS = 32, 4


class Read(NamedTuple):
    """What one picture's labels showed."""

    id: str
    hists: Mapping[str, np.ndarray]  # label top -> pixels of each value
    faults: Sequence[tuple[Path, Fault]]
    looks: Mapping[str, str]  # label top -> masks.two_valued
    permuted: Mapping[int, int]
    orientation: int
    size: tuple[int, int]


class Survey:
    """What the labels of a split hold."""

    def __init__(self, layer: SegDataLayer, tops: Iterable[str]):
        """Of these label tops; nothing read yet."""
        self.layer, self.tops = layer, list(tops)
        self.total = self.pairs = 0  # pictures of the split; read
        self.hists = {top: np.zeros(256, np.int64) for top in self.tops}
        self.pictures = {top: np.zeros(256, np.int64) for top in self.tops}  # that hold a value
        self.looks: dict[str, Counter[str]] = {top: Counter() for top in self.tops}  # of two values
        self.faults: dict[str, list[tuple[Path, str]]] = {}  # Fault.kind -> files
        self.permuted: dict[int, int] = {}
        self.permuted_files: list[str] = []
        self.turned: dict[str, int] = {}  # ids of pictures that EXIF turns -> its orientation
        self.largest = (0, 0)

    @property
    def whole(self) -> bool:
        """Whether every label was read."""
        return self.pairs == self.total

    @property
    def extent(self) -> str:
        """How many labels were read, for people."""
        part = "all" if self.whole else f"{self.pairs} of"
        return f"{part} {self.total} labels of {self.layer.split!r}"

    def add(self, read: Read) -> None:
        """Count what one picture's labels showed."""
        self.pairs += 1
        for top, hist in read.hists.items():
            self.hists[top] += hist
            self.pictures[top] += hist > 0
            self.looks[top][read.looks[top]] += 1
        for path, fault in read.faults:
            self.faults.setdefault(fault.kind, []).append((path, fault.text))
        if read.permuted:
            self.permuted.update(read.permuted)
            self.permuted_files.append(read.id)
        if read.orientation != 1:
            self.turned[read.id] = read.orientation
        self.largest = max(self.largest, read.size, key=lambda size: size[0] * size[1])


def survey(
    layer: SegDataLayer,
    tops: Iterable[str],
    ids: Sequence[str],
    seconds: float,
    seed: int = 0,
    most: int = AT_MOST,
) -> Survey:
    """Read all labels, or of more than `most` a seeded sample, for about `seconds` at most.

    The first ALWAYS_ALL of them are read however long it takes.
    """
    result = Survey(layer, tops)
    result.total = len(ids)
    chosen = list(ids)
    random.Random(seed).shuffle(chosen)
    del chosen[most:]
    end = time.monotonic() + seconds
    bar = tqdm(
        total=len(chosen), desc=f"labels of {layer.split}", unit="", leave=False, disable=None
    )
    read: Callable[[str], Read] = lambda id: read_labels(layer, result.tops, id)  # noqa: E731
    with bar, ThreadPoolExecutor(THREADS) as pool:
        for begin in range(0, len(chosen), CHUNK):
            if begin >= ALWAYS_ALL and time.monotonic() > end:
                break
            for each in pool.map(read, chosen[begin : begin + CHUNK]):
                result.add(each)
                bar.update()
    return result


def read_labels(layer: SegDataLayer, tops: Sequence[str], id: str) -> Read:
    """Read the labels of one picture; of the picture itself only the header."""
    hists: dict[str, np.ndarray] = {}
    looks: dict[str, str] = {}
    faults: list[tuple[Path, Fault]] = []
    moved: dict[int, int] = {}
    size: tuple[int, int] = (0, 0)
    for top in tops:
        path = layer.path(top, id)
        try:
            label = layer.load(top, id)
        except FileNotFoundError:
            continue  # missing files are told elsewhere, all at once
        except (OSError, ValueError, KeyError) as error:
            faults.append((path, why(path, error)))
            continue
        hists[top] = np.bincount(label.ravel(), minlength=256)
        looks[top] = masks.two_valued(label, hists[top])
        size = label.shape[-2:]
        if path.suffix.lower() == ".png":
            with Image.open(path) as image:
                moved.update(masks.permuted(image, layer.classes))
                if image.format != "PNG":
                    faults.append((path, Fault("jpeg", f"a {image.format} named .png")))
    orientation = 1
    for top in pictures_of(layer, tops):
        turned, wrong = check_picture(layer, top, id, size)
        orientation = turned if turned != 1 else orientation
        faults += [(layer.path(top, id), wrong)] if wrong else []
    return Read(id, hists, faults, looks, moved, orientation, size)


def why(path: Path, error: Exception) -> Fault:
    """What is wrong with a label that its layer refuses."""
    if isinstance(error, BadLabel):
        return error.fault
    text = str(error.args[0] if error.args else error).partition(": ")[2] or str(error)
    return Fault("unreadable", text.removeprefix(f"{path}: "))


def pictures_of(layer: SegDataLayer, tops: Sequence[str]) -> list[str]:
    """The tops of a layer that are pictures on disk."""
    return [top for top in layer.tops if top not in tops and top in layer.files]


def check_picture(
    layer: SegDataLayer, top: str, id: str, size: tuple[int, int]
) -> tuple[int, Fault | None]:
    """(EXIF orientation, what is wrong) of a picture, beside labels of `size`."""
    path = layer.path(top, id)
    if not path.is_file():
        return 1, None
    try:
        if masks.is_cut(path):
            return 1, Fault("unreadable", "cut short")
        stored, orientation = masks.size_and_orientation(path)
    except (OSError, SyntaxError, ValueError) as error:
        return 1, Fault("unreadable", str(error).replace(f" {str(path)!r}", ""))
    given = stored
    if orientation in SIDEWAYS:  # a layer of the user's own may not turn it
        given = tuple(layer.load(top, id).shape[-2:])
    if size == (0, 0) or given == size:
        return orientation, None
    text = f"picture {given[0]}x{given[1]}, mask {size[0]}x{size[1]} (height x width)"
    if orientation != 1:
        upright = stored[::-1] if orientation in SIDEWAYS else stored
        text += f"; EXIF orientation {orientation}: upright it is {upright[0]}x{upright[1]}"
        return orientation, Fault("exif" if size in (stored, upright) else "size", text)
    return orientation, Fault("size", text)


def label_tops(layer: SegDataLayer, wanted: Mapping[str, Any] | None = None) -> list[str]:
    """The tops of a layer that are labels: by the methods' names."""
    names = ("load_label", "load_semantic", "load_geometric")
    return [top for top, method in layer.tops.items() if method in names]
