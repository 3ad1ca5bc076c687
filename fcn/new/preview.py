"""Draws some pictures beside their labels, so that a person sees whether the labels are right."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fcn.datasets.dataset import VOID
from fcn.new.reading import Look
from fcn.pictures import read_picture
from fcn.vis import make_palette, vis_seg

Read = Callable[[Look], np.ndarray]
COUNT, NAMED = 4, 24  # pictures; classes in the legend
WHITE = (1.0, 1.0, 1.0)


def chosen(looks: Sequence[Look], train: Sequence[str], count: int = COUNT) -> list[Look]:
    """Training pictures, those with the most different labels first."""
    among = set(train)
    mine = [look for look in looks if look.pair.id in among]
    return sorted(mine, key=lambda look: (-len(look.counts), look.pair.id))[:count]


def draw(
    path: Path, looks: Sequence[Look], train: Sequence[str], names: Sequence[str], read: Read
) -> None:
    """Write a picture: training pictures, their labels over them, and the classes' colours."""
    rows = chosen(looks, train)
    figure = Figure(figsize=(9, 0.6 + 3.2 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False)
    palette, there = make_palette(256), set[int]()
    for (left, right), look in zip(axes, rows):
        picture, classes = read_picture(look.pair.picture), read(look)
        there.update(np.unique(classes).tolist())
        for axis, pixels in ((left, picture), (right, vis_seg(picture, classes, palette, 0.7))):
            step = max(1, max(pixels.shape) // 600)
            axis.imshow(pixels[::step, ::step])
            axis.set_axis_off()
        left.set_title(look.pair.id[-60:], fontsize=8)
    titles = {k: name for k, name in enumerate(names) if k in there and k}
    titles |= {VOID: "void"} if VOID in there else {}
    patches = [
        Patch(facecolor=tuple(palette[k] / 255), edgecolor="black", label=f"{k} {name}")
        for k, name in list(titles.items())[:NAMED]
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.savefig(path, dpi=80)
