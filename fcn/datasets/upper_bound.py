"""The best mean IU that an output stride allows, from labels alone (the paper's table).

`fcn data upper-bound NAME [DIR]` prints it for the labels a set is scored on.

Labels are averaged per class over stride x stride boxes and brought back up bilinearly; the class
with the largest share wins each pixel, and that is scored against the labels it came from.
"""

import argparse
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from ..measures import scores
from . import DATASETS
from .reading import readers
from .record import VOID

STRIDES = (128, 64, 32, 16, 8, 4)


def upper_bound(labels: Iterable[np.ndarray], classes: int, stride: int) -> float:
    """Mean IU over the classes that occur, of H x W integer label arrays; VOID is left out.

    ValueError for labels that are neither a class nor VOID, and where no label is left.
    """
    hist = np.zeros((classes, classes))
    for label in labels:
        label = np.asarray(label, np.int64)
        label = label.reshape(label.shape[-2:])  # 1 x H x W will do too
        valid = label != VOID
        present = np.unique(label[valid])
        if present.size == 0:
            continue
        if present[0] < 0 or present[-1] >= classes:
            raise ValueError(f"label values {present.tolist()} with {classes} classes")
        rows, columns = (there_and_back(size, stride) for size in label.shape)
        shares = [rows @ (label == value) @ columns.T for value in present]
        best = present[np.argmax(shares, axis=0)]
        pairs = label[valid] * classes + best[valid]
        hist += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    if not hist.any():
        raise ValueError("no labels to score")
    return scores(hist)["mean_iu_present"]


def there_and_back(size: int, stride: int) -> np.ndarray:
    """size x size: average over boxes of `stride`, then interpolate between their centres."""
    boxes = -(-size // stride)
    position = np.arange(size)
    average = (position // stride == np.arange(boxes)[:, None]).astype(np.float64)
    average /= average.sum(1, keepdims=True)  # the last box may be cut by the border
    place = np.clip((position + 0.5) / stride - 0.5, 0, boxes - 1)
    left = np.minimum(place.astype(int), max(boxes - 2, 0))
    weight = np.zeros((size, boxes))
    weight[position, left] += 1 - (place - left)
    weight[position, np.minimum(left + 1, boxes - 1)] += place - left
    return weight @ average


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn data upper-bound`."""
    parser.add_argument("name", choices=DATASETS, help="the data set")
    parser.add_argument("dir", nargs="?", help="where it is, if not in data/")
    parser.add_argument("--strides", type=int, nargs="+", default=STRIDES)


def run(args: argparse.Namespace) -> None:
    """Print the upper bounds of the labels that a set is scored on."""
    _, split, layer = readers(args.name, args.dir)[-1]
    ids = layer.read_split()
    for top in layer.tops:
        if top not in ("label", "sem", "geo"):
            continue
        classes = len(DATASETS[args.name].classes_of(top))
        labels = [layer.load(top, id) for id in tqdm(ids, desc=split, unit="")]
        print(f"{args.name} {split} {top}: {len(labels)} pictures, {classes} classes")
        print("stride  bound of mean IU (%)")
        for stride in args.strides:
            print(f"{stride:6} {100 * upper_bound(labels, classes, stride):8.1f}")
