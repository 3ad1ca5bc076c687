"""Draws some pictures beside their labels, so that a person sees whether the labels are right."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fcn.datasets.dataset import VOID
from fcn.new.reading import Look
from fcn.pictures import read_picture
from fcn.vis import make_palette, vis_seg

Read = Callable[[Look], np.ndarray]
COUNT = 4  # pictures
SIDE, GAP, LINE = 360, 8, 16  # pixels: of a picture, between two, of a line of text
COLUMNS, NAMED = 4, 48  # of the legend; classes in it


def chosen(looks: Sequence[Look], train: Sequence[str], count: int = COUNT) -> list[Look]:
    """Training pictures, those with the most different labels first."""
    among = set(train)
    mine = [look for look in looks if look.pair.id in among]
    return sorted(mine, key=lambda look: (-len(look.counts), look.pair.id))[:count]


def draw(
    path: Path, looks: Sequence[Look], train: Sequence[str], names: Sequence[str], read: Read
) -> None:
    """Write a picture: training pictures, their labels over them, and the classes' colours."""
    palette, there, rows = make_palette(256), set[int](), []
    for look in chosen(looks, train):
        picture, classes = read_picture(look.pair.picture), read(look)
        there.update(np.unique(classes).tolist())
        labelled = vis_seg(picture, classes, palette, 0.7)
        rows.append((look.pair.id, small(picture), small(labelled)))
    titles = {k: name for k, name in [*enumerate(names), (VOID, "void")] if k in there and k}
    width = 2 * SIDE + 3 * GAP
    lines = -(-min(len(titles), NAMED) // COLUMNS)
    height = sum(left.height + LINE + GAP for _, left, _ in rows) + lines * LINE + 2 * GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen, y = ImageDraw.Draw(sheet), GAP
    for id, left, right in rows:
        pen.text((GAP, y), id[-80:], "black")
        sheet.paste(left, (GAP, y + LINE))
        sheet.paste(right, (SIDE + 2 * GAP, y + LINE))
        y += left.height + LINE + GAP
    for place, (k, name) in enumerate(list(titles.items())[:NAMED]):
        x = GAP + place % COLUMNS * (width // COLUMNS)
        row = y + place // COLUMNS * LINE
        pen.rectangle((x, row + 2, x + 20, row + 12), tuple(palette[k].tolist()), "black")
        pen.text((x + 26, row), f"{k} {name[:22]}", "black")
    sheet.save(path)


def small(pixels: np.ndarray) -> Image.Image:
    """A picture that is SIDE wide or high."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
