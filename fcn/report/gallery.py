"""The kept pictures of runs as data: addresses: at each scoring, and strides 32, 16, 8 side by side."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fcn.datasets.dataset import VOID
from fcn.report.pictures import FOLDER, LONGEST, ending
from fcn.report.reading import Run

BUDGET = 2_300_000  # characters of all data: addresses
EARLIER = 8  # scorings before the newest, at most
STRIDE_ROWS = 3
RIGHT, WRONG, UNKNOWN = range(3)
WRONG_COLOR, VOID_COLOR = (213, 94, 0), (128, 128, 128)
UNREADABLE = (OSError, SyntaxError, ValueError)


@dataclass(frozen=True)
class Picture:
    """An image in the page."""

    src: str
    width: int
    height: int
    caption: str
    alt: str
    note: str = ""


class Row(NamedTuple):
    """One validation picture: what belongs together first, then the predictions before, newest first."""

    id: str
    first: list[Picture]
    earlier: list[Picture]


class Kept(NamedTuple):
    """The kept pictures of a run for one score layer."""

    folder: Path
    layer: str
    ids: list[str]
    iterations: list[int]  # newest first

    def truth(self, id: str) -> Path:
        """The file of the true classes."""
        own = self.folder / f"{id}.truth{ending(self.layer)}.png"
        return own if own.is_file() else self.folder / f"{id}.truth.png"

    def input(self, id: str) -> Path:
        """The file of the input."""
        return self.folder / f"{id}.input.jpg"

    def prediction(self, id: str, iteration: int) -> Path:
        """The file of a prediction."""
        return self.folder / self.layer / f"iter_{iteration}" / f"{id}.png"


def kept(run: Run, layer: str) -> Kept | None:
    """What a run kept for a layer; None if there is nothing."""
    folder = run.folder / FOLDER
    found = [re.fullmatch(r"iter_(\d+)", path.name) for path in folder.glob(f"{layer}/iter_*")]
    iterations = sorted((int(match[1]) for match in found if match), reverse=True)
    ids = sorted({path.stem for path in folder.glob(f"{layer}/iter_*/*.png")})
    return Kept(folder, layer, ids, iterations) if ids and iterations else None


# ---- the rows of the page


class Gallery:
    """Makes the rows of pictures, and counts the characters that they take."""

    def __init__(self, budget: int = BUDGET):
        """With room for `budget` characters."""
        self.left = budget
        self.classes: set[int] = set()  # those in the truth and the newest predictions

    def rows(self, runs: Sequence[Run], layer: str) -> list[Row]:
        """A row a picture: input, truth, and of each run its newest prediction and what is wrong in it.

        Of a single run the predictions before follow, as many as there is room for.
        """
        there = [(run, found) for run in runs if (found := kept(run, layer))]
        ids = list(dict.fromkeys(id for _, found in there for id in found.ids))
        rows = []
        for id in ids:
            if self.left < 0:
                break
            first = _present([self.input(there, id), self.truth(there, id)])
            for run, found in there:
                title = f"{run.label}, " if len(runs) > 1 else ""
                first += self.newest(found, id, title)
            rows.append(Row(id, first, []))
        if len(there) == 1 and rows:
            self.add_earlier(there[0][1], rows)
        return rows

    def input(self, there: Sequence[tuple[Run, Kept]], id: str) -> Picture | None:
        """The input, of the first run that has it."""
        paths = (found.input(id) for _, found in there)
        return self.picture(next(filter(Path.is_file, paths), None), "input", f"{id}, the input")

    def truth(self, there: Sequence[tuple[Run, Kept]], id: str) -> Picture | None:
        """The truth, of the first run that has it."""
        path = next((p for _, found in there if (p := found.truth(id)).is_file()), None)
        self.note_classes(path)
        return self.picture(path, "truth", f"{id}, the true classes")

    def newest(self, found: Kept, id: str, title: str) -> list[Picture]:
        """The newest prediction of a picture, and where it is wrong."""
        for iteration in found.iterations:
            path = found.prediction(id, iteration)
            if path.is_file():
                break
        else:
            return []
        self.note_classes(path)
        caption = f"{title}iteration {iteration:,}"
        shown = self.picture(path, caption, f"{id}, classes given at iteration {iteration}")
        wrong, share = disagreement(found.truth(id), path)
        if wrong is None:
            return _present([shown])
        note = f"{100 * share:.1f} % of pixels right"
        self.left -= len(wrong.src)
        alt = f"{id}, where iteration {iteration} is wrong: {100 * (1 - share):.1f} % of its pixels"
        return _present([shown, replace(wrong, caption=f"{title}wrong", alt=alt, note=note)])

    def add_earlier(self, found: Kept, rows: list[Row]) -> None:
        """Add the predictions before the newest, evenly chosen, as far as there is room."""
        before = found.iterations[1:]
        ids = [row.id for row in rows]
        sizes = {
            iteration: sum(_size(found.prediction(id, iteration)) for id in ids) * 4 // 3
            for iteration in before
        }
        for count in range(min(EARLIER, len(before)), 0, -1):
            chosen = [before[k] for k in np.linspace(0, len(before) - 1, count).round().astype(int)]
            if sum(sizes[iteration] for iteration in chosen) <= self.left:
                break
        else:
            return
        for row in rows:
            for iteration in chosen:
                path = found.prediction(row.id, iteration)
                alt = f"{row.id}, classes given at iteration {iteration}"
                row.earlier.extend(_present([self.picture(path, f"{iteration:,}", alt)]))

    def strides(self, stages: dict[int, Run], layer: str) -> list[list[Picture]]:
        """Rows of input, stride 32, 16, 8 and truth, of pictures that at least two stages kept."""
        there = {stride: found for stride, run in stages.items() if (found := kept(run, layer))}
        if len(there) < 2:
            return []
        first = next(iter(there.values()))
        common = [id for id in first.ids if all(id in found.ids for found in there.values())]
        pairs = [(stages[stride], found) for stride, found in there.items()]
        rows = []
        for id in common[:STRIDE_ROWS]:
            row = [self.input(pairs, id)]
            for stride, found in there.items():
                path = next(
                    filter(Path.is_file, (found.prediction(id, i) for i in found.iterations))
                )
                row.append(self.picture(path, f"stride {stride}", f"{id}, by stride {stride}"))
            rows.append(_present([*row, self.truth(pairs, id)]))
        return rows

    def picture(self, path: Path | None, caption: str, alt: str) -> Picture | None:
        """A file as an image of the page; None if it cannot be read."""
        found = path and embedded(path)
        if not found:
            return None
        self.left -= len(found.src)
        return replace(found, caption=caption, alt=alt)

    def note_classes(self, path: Path | None) -> None:
        """Add the classes of a palette picture to those of the legend."""
        try:
            values = read_classes(path) if path else np.zeros(0, np.uint8)
        except UNREADABLE:
            return
        self.classes.update(np.flatnonzero(np.bincount(values.ravel(), minlength=256)).tolist())


def _present(pictures: Sequence[Picture | None]) -> list[Picture]:
    return [picture for picture in pictures if picture]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


# ---- files


def read_classes(path: Path) -> np.ndarray:
    """The class indices of a palette picture."""
    with Image.open(path) as image:
        return np.asarray(image if image.mode in "PL" else image.convert("L"))


def embedded(path: Path) -> Picture | None:
    """A file as a data: address, made smaller if it is large; None if it is not there or broken."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            kind, (width, height) = image.format or "PNG", image.size
            image.load()  # a half written file is an error here, not a gap in the page
            if max(width, height) > LONGEST:
                method = Image.Resampling.NEAREST if image.mode == "P" else Image.Resampling.LANCZOS
                image.thumbnail((LONGEST, LONGEST), method)
                buffer = io.BytesIO()
                image.save(buffer, kind)
                content, (width, height) = buffer.getvalue(), image.size
    except UNREADABLE:
        return None
    return Picture(_address(content, kind), width, height, "", "")


def disagreement(truth: Path, prediction: Path) -> tuple[Picture | None, float]:
    """Where a prediction differs from the truth, and the share of pixels that do not."""
    try:
        true, given = read_classes(truth), read_classes(prediction)
    except UNREADABLE:
        return None, 0.0
    known = true != VOID
    if true.shape != given.shape or not known.any():
        return None, 0.0
    values = np.where(known, np.where(true == given, RIGHT, WRONG), UNKNOWN).astype(np.uint8)
    image = Image.fromarray(values)
    image.putpalette([0, 0, 0, *WRONG_COLOR, *VOID_COLOR])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=RIGHT, bits=2)
    address = _address(buffer.getvalue(), "PNG")
    return Picture(address, image.width, image.height, "", ""), float((true == given)[known].mean())


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"
