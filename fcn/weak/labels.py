"""Weak labels of pictures: what is in them, without an outline.

A file has a line of JSON a picture:

    {"id": "p1", "size": [H, W], "tags": [3, 5], "large": [5], "points": [[y, x, 3]],
     "boxes": [[y0, x0, y1, x1, 5]]}

`tags` are the classes that are there (background is not one), `large` those of them that fill more than a
share of the picture (LARGE), `points` a pixel of each object and its class, `boxes` each object's, the last
row and column included.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from fcn.datasets.voc import MEAN, SBDDSegDataLayer

NAME = "weak-{split}.jsonl"  # in SBD's folder
LARGE = 0.1  # of a picture
VOID = 255
SMALLEST = 12  # pixels of an object; smaller ones are crumbs of a mask


class Contradiction(ValueError):
    """Weak labels that cannot be true of their picture."""


def derived(
    id: str, labels: np.ndarray, rng: np.random.RandomState, share: float = LARGE
) -> dict[str, Any]:
    """The weak labels of a picture with these classes (H x W), an object a connected part of a class.

    A point is a random one of the object's inner half; a class is large above `share` of the picture.
    """
    classes = [int(k) for k in np.unique(labels) if k not in (0, VOID)]
    points, boxes = [], []
    for k in classes:
        parts, count = ndimage.label(labels == k)
        for i, spot in enumerate(ndimage.find_objects(parts), 1):
            part = parts[spot] == i
            if part.sum() < SMALLEST and count > 1:
                continue
            inside = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
            ys, xs = np.nonzero(inside >= np.median(inside[part]))
            pick = rng.randint(len(ys))
            y0, x0 = (side.start for side in spot)
            points.append([int(y0 + ys[pick]), int(x0 + xs[pick]), k])
            boxes.append([y0, x0, spot[0].stop - 1, spot[1].stop - 1, k])
    large = [k for k in classes if (labels == k).mean() > share]
    size = [int(side) for side in labels.shape]
    return {
        "id": id,
        "size": size,
        "tags": classes,
        "large": large,
        "points": points,
        "boxes": boxes,
    }


def check(
    record: Mapping[str, Any], size: tuple[int, ...], labels: np.ndarray | None = None
) -> None:
    """Raise Contradiction unless a record can be true of a picture of `size`, and of its labels, if given."""
    id = record.get("id", "?")
    height, width = size
    for key, length in (("points", 3), ("boxes", 5)):
        for each in record.get(key) or ():
            if len(each) != length or not all(isinstance(n, int) for n in each):
                raise Contradiction(f"{id}: {key}: {length} whole numbers each, got {each}")
    tags = set(record.get("tags", ()))
    if list(record.get("size", size)) != list(size):
        raise Contradiction(
            f"{id}: the file says {record['size']}, the picture is {height}x{width}"
        )
    if stray := sorted(set(record.get("large", ())) - tags):
        raise Contradiction(
            f"{id}: classes {stray} are large, and not among its tags {sorted(tags)}"
        )
    for y, x, k in record.get("points") or ():
        if not (0 <= y < height and 0 <= x < width):
            raise Contradiction(f"{id}: point ({y}, {x}) lies outside of {height}x{width}")
        if k not in tags:
            raise Contradiction(
                f"{id}: point ({y}, {x}) is of class {k}, its tags are {sorted(tags)}"
            )
        if labels is not None and labels[y, x] not in (k, VOID):
            raise Contradiction(
                f"{id}: point ({y}, {x}) is of class {k}, its label is {labels[y, x]}"
            )
    for y0, x0, y1, x1, k in record.get("boxes") or ():
        if not (0 <= y0 <= y1 < height and 0 <= x0 <= x1 < width):
            raise Contradiction(
                f"{id}: box {[y0, x0, y1, x1]} is empty or lies outside of {height}x{width}"
            )
        if k not in tags:
            raise Contradiction(
                f"{id}: box {[y0, x0, y1, x1]} is of class {k}, its tags are {sorted(tags)}"
            )
        if labels is not None and not (labels[y0 : y1 + 1, x0 : x1 + 1] == k).any():
            raise Contradiction(f"{id}: box {[y0, x0, y1, x1]} has no pixel of its class {k}")
    if labels is not None:
        there = {int(k) for k in np.unique(labels)} - {0, VOID}
        if there != tags:
            raise Contradiction(f"{id}: its tags are {sorted(tags)}, its labels {sorted(there)}")


def write(sbdd_dir: Path, split: str = "train", seed: int = 0, share: float = LARGE) -> Path:
    """Write the weak labels of a split of SBD, from its labels, unless they are there; returns the file."""
    path = sbdd_dir / NAME.format(split=split)
    if path.is_file():
        return path
    reader: Any = SBDDSegDataLayer.reader(sbdd_dir=str(sbdd_dir), split=split, mean=MEAN)
    rng, lines = np.random.RandomState(seed), []
    for id in tqdm(reader.read_split(), desc="weak labels", unit="", disable=None):
        record = derived(id, np.asarray(reader.load("label", id))[0], rng, share)
        lines.append(json.dumps(record) + "\n")
    path.write_text("".join(lines))
    return path


def read(path: Path, ids: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """{id: record} of a file. ValueError for what is no such file; for pictures of `ids` without a line."""
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            record = json.loads(line)
            found[record["id"]] = record
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number}: no weak labels of a picture: {error}"
            ) from None
    if missing := [id for id in ids if id not in found]:
        shown = ", ".join(missing[:5])
        raise ValueError(f"{path} has no weak labels of {len(missing)} pictures: {shown}")
    return found
