"""`fcn data upper-bound`: the best mean IU that an output stride allows, from labels alone.

This is the paper's table of upper bounds. Labels are averaged for each class over boxes of stride x
stride pixels and brought back to full size bilinearly. The class with the largest share wins each
pixel, and the result is scored against the labels.
"""

import argparse
from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from fcn.datasets.dataset import VOID
from fcn.datasets.registry import named, readers
from fcn.measures import fast_hist, scores
from fcn.wording import counted


def upper_bound(labels: Iterable[np.ndarray], classes: int, stride: int) -> float:
    """Mean IU over the classes that occur in the labels; arguments and errors as `restored`."""
    return scores(restored(labels, classes, stride))["mean_iu_present"]


def restored(labels: Iterable[np.ndarray], classes: int, stride: int) -> np.ndarray:
    """The confusion matrix of labels, H x W integers, against what the stride leaves of them.

    VOID is left out. ValueError for a label that is neither a class nor VOID, and if there is no
    labelled pixel.
    """
    hist = np.zeros((classes, classes), np.int64)
    for label in labels:
        label = np.asarray(label, np.int64)
        height, width = label.shape[-2:]
        label = label.reshape(height, width)  # 1 x H x W is accepted
        labelled = label != VOID
        present = np.unique(label[labelled])
        if present.size == 0:
            continue
        if present[0] < 0 or present[-1] >= classes:
            raise ValueError(f"label values {present.tolist()} with {classes} classes")
        rows, columns = (downsample_and_restore(size, stride) for size in (height, width))
        shares = [rows @ (label == value) @ columns.T for value in present]
        best = present[np.argmax(shares, axis=0)]
        hist += fast_hist(label[labelled], best[labelled], classes)
    if not hist.any():
        raise ValueError("no labels to score")
    return hist


def downsample_and_restore(size: int, stride: int) -> np.ndarray:
    """The size x size matrix that averages over boxes of `stride`, then interpolates between them."""
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


def run(args: argparse.Namespace) -> int:
    """Print the bounds for the split that is scored; returns the exit code."""
    dataset = named(args.name)
    split, layer = readers(args.name, args.dir)[-1]
    ids = layer.read_split()
    for top in dataset.scored.values():
        classes = len(dataset.names_of(top))
        labels = [
            layer.load(top, id) for id in tqdm(ids, desc=split, unit="", leave=False, disable=None)
        ]
        print(f"{args.name} {split} {top}: {counted(len(labels), 'picture')}, {classes} classes")
        print("stride  bound of mean IU (%)")
        for stride in args.strides:
            print(f"{stride:6} {100 * upper_bound(labels, classes, stride):8.1f}")
    return 0
