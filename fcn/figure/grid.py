"""Rows of pictures with titles and a legend, as a picture, SVG or PDF: what the file's ending says."""

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fcn.datasets.dataset import VOID
from fcn.vis import make_palette

DPI = 150
COLUMN, GAP, TITLE, LINE = 2.0, 0.06, 0.26, 0.2  # inches: of a picture, between them, of text
LETTER = 0.075  # inches of a heading's letter
TALLEST = 3.0  # height of a row over the width of a column


class Cell(NamedTuple):
    """A picture of a grid, and the words above it."""

    picture: np.ndarray  # H x W x 3 uint8, or H x W of shares of white
    title: str = ""


class Color(NamedTuple):
    """An entry of the legend."""

    name: str
    color: str  # as in HTML


def check_ending(path: Path) -> None:
    """Raise ValueError unless a figure can be written to a file of this name."""
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(
            f"{path}: figures are written as {', '.join(sorted(known))}; the name's ending says which"
        )


def write(
    path: Path,
    rows: Sequence[Sequence[Cell | None]],
    legend: Sequence[Color] = (),
    heading: str = "",
    column: float = COLUMN,
) -> None:
    """Draw rows of cells, each row as high as its first picture is for its width; `column` in inches."""
    check_ending(path)
    columns = max(map(len, rows))
    width = columns * (column + GAP) + GAP
    heights = [row_height(row) * column for row in rows]
    titled = [TITLE if any(cell and cell.title for cell in row) else 0.0 for row in rows]
    per_line = max(1, int(width / 1.3))
    lines = -(-len(legend) // per_line)
    foot = lines * LINE + 2 * GAP if lines else 0.0
    words = textwrap.wrap(heading, max(12, int(width / LETTER)))
    head = len(words) * LINE + GAP if words else 0.0
    height = sum(heights) + sum(titled) + GAP * (len(rows) + 1) + foot + head
    figure = Figure(figsize=(width, height))
    figure.text(GAP / width, 1 - GAP / height, "\n".join(words), va="top", fontsize=8)
    top = height - head - GAP
    for row, tall, title in zip(rows, heights, titled):
        top -= title + tall
        for k, cell in enumerate(row):
            box = ((GAP + k * (column + GAP)) / width, top / height, column / width, tall / height)
            draw(figure, cell, box)
        top -= GAP
    if legend:
        patches = [Patch(color=entry.color, label=entry.name) for entry in legend]
        figure.legend(
            handles=patches, loc="lower center", ncols=min(per_line, len(legend)), frameon=False,
            fontsize=7, handlelength=1, columnspacing=1.2,
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)


def row_height(row: Iterable[Cell | None]) -> float:
    """Height over width of a row's first picture."""
    shape = next((cell.picture.shape for cell in row if cell), (1, 1))
    return min(shape[0] / shape[1], TALLEST)


def draw(figure: Figure, cell: Cell | None, box: tuple[float, float, float, float]) -> None:
    """Draw a cell into a box of the figure: left, bottom, width, height, as shares of the figure."""
    if cell is None:
        return
    axis = figure.add_axes(box)
    axis.set_axis_off()
    axis.imshow(cell.picture, cmap="gray", vmin=0, vmax=1)
    if cell.title:
        axis.set_title(cell.title, fontsize=8, pad=3)


def class_colors(classes: Iterable[int], names: Sequence[str]) -> list[Color]:
    """The legend of classes: their names and VOC's colours, void last."""
    palette = make_palette(256)
    shown = []
    for k in sorted(set(classes)):
        name = "void" if k == VOID else names[k] if k < len(names) else f"class {k}"
        shown.append(Color(name, "#" + bytes(palette[k]).hex()))
    return shown
