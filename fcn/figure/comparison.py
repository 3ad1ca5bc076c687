"""The paper's figure for anybody's pictures: a row a picture, a column a model."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fcn.datasets.dataset import VOID
from fcn.figure.grid import Cell, class_colors, write
from fcn.inputs import READ
from fcn.pictures import UNREADABLE_ERRORS, Unreadable, read_values, reason
from fcn.segmentation import Segmentation
from fcn.segmenter import MAX_PIXELS, Segmenter
from fcn.vis import color_seg, make_palette, vis_seg
from fcn.wording import counted

UNCOLOURED = {0, VOID}  # classes that an overlay leaves as the picture is
MODELS = ["voc-fcn32s", "voc-fcn16s", "voc-fcn8s"]


def compare(args: argparse.Namespace) -> bool:
    """Write the figure of the pictures of a command line; returns whether all of them are in it.

    One that cannot be read is said and left out. Unreadable if none is left.
    """
    names = args.models or MODELS
    files = args.weights or [None] * len(names)
    if len(files) != len(names):
        raise ValueError(
            f"--weights wants a file for each of the {counted(len(names), 'model')}, got {len(files)}"
        )
    if args.truth and len(args.truth) != len(args.images):
        raise ValueError(
            f"--truth wants a file for each of the {counted(len(args.images), 'picture')}, "
            f"got {len(args.truth)}"
        )
    pictures, truths = readable(args.images, args.truth or [])
    columns = segmented(names, files, args.sample, pictures, args.max_pixels, args.any_weights)
    titled = [(Path(name).name, column) for name, column in zip(names, columns)]
    write_comparison(args.out, pictures, titled, truths, args.show)
    return len(pictures) == len(args.images)


def readable(
    images: Sequence[Path], truths: Sequence[Path]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The pictures that can be read, and their truths, if there are any; the others are said."""
    pictures, classes = [], []
    for number, path in enumerate(images):
        try:
            picture = read(path)
            classes += [read_truth(truths[number], picture)] if truths else []
        except Unreadable as error:
            if len(images) == 1:
                raise
            print(f"fcn figure: {error}", file=sys.stderr)
        else:
            pictures.append(picture)
    if not pictures:
        raise Unreadable(f"none of the {len(images)} pictures can be read")
    return pictures, classes


def write_comparison(
    path: Path,
    pictures: Sequence[np.ndarray],
    columns: Sequence[tuple[str, Sequence[Segmentation]]],
    truths: Sequence[np.ndarray] = (),
    show: str = "overlay",
) -> None:
    """Draw the pictures, (title, answer to each picture) of each model, and the truth, if it is known."""
    every = [(title, [one.classes for one in column]) for title, column in columns]
    every += [("truth", list(truths))] if truths else []
    rows = []
    for k, picture in enumerate(pictures):
        row = [Cell(picture, "" if k else "input")]
        for title, column in every:
            row.append(Cell(shown(picture, column[k], show), "" if k else title))
        rows.append(row)
    seen = {int(value) for _, column in every for one in column for value in np.unique(one)}
    seen -= UNCOLOURED if show == "overlay" else set()
    write(path, rows, class_colors(seen, columns[0][1][0].names))


def segmented(
    names: Sequence[str],
    files: Sequence[Path | None],
    sample: bool,
    pictures: Sequence[np.ndarray],
    max_pixels: int = MAX_PIXELS,
    any_weights: bool = False,
) -> list[list[Segmentation]]:
    """Each model's answer to each picture. One net is in memory at a time.

    ValueError for models of different classes, which one legend cannot tell.
    """
    found: list[list[Segmentation]] = []
    with tqdm(total=len(names) * len(pictures), unit="picture", disable=None, leave=False) as bar:
        for name, file in zip(names, files):
            model = Segmenter(
                name, weights=file, sample=sample, max_pixels=max_pixels, any_weights=any_weights
            )
            found.append(answers(model, pictures, bar))
            if found[-1][0].names != found[0][0].names:
                raise ValueError(f"{names[0]} and {name} have different classes")
    return found


def answers(model: Segmenter, pictures: Sequence[np.ndarray], bar: tqdm) -> list[Segmentation]:
    """A model's answer to each picture; of several scores the first is drawn."""
    if model.kind == "depth":
        raise ValueError(f"{model.about.model} reads depth, and the figure shows pictures")
    found = []
    for picture in pictures:
        found.append(model(picture))
        bar.update()
    return found


def shown(picture: np.ndarray, classes: np.ndarray, how: str) -> np.ndarray:
    """Classes as a picture: their colours, or those over the picture (`how` is overlay)."""
    palette = make_palette(256)
    if how == "classes":
        return color_seg(classes, palette)
    return vis_seg(picture, np.where(np.isin(classes, list(UNCOLOURED)), 0, classes), palette)


def read(path: Path, kind: str = "color") -> np.ndarray:
    """A picture as a net reads it; Unreadable, which names the file."""
    try:
        return READ[kind](path)
    except UNREADABLE_ERRORS as error:
        raise Unreadable(f"{path}: cannot be read: {reason(error, path)}") from error


def read_truth(path: Path, picture: np.ndarray) -> np.ndarray:
    """The true classes of a picture, H x W; ValueError for colours, and for those of another size."""
    try:
        classes = read_values(path)
    except UNREADABLE_ERRORS as error:
        raise Unreadable(f"{path}: cannot be read: {reason(error, path)}") from error
    if classes.ndim != 2 or classes.dtype.kind not in "iu":
        raise ValueError(f"{path}: the truth is class indices, a palette or grey PNG, not colours")
    if classes.shape != picture.shape[:2]:
        sizes = " and ".join(f"{shape[1]}x{shape[0]}" for shape in (classes.shape, picture.shape))
        raise ValueError(f"{path}: the truth and its picture differ in size: {sizes}")
    return classes
