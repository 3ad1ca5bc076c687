"""Training nets of the R-CNN line on the embedded task's digits, and how they are scored there."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

import caffe
from fcn.datasets.sample import CLASSES
from fcn.detection.average_precision import (
    Found,
    Overlaps,
    Truth,
    average_precisions,
    box_overlaps,
)
from fcn.detection.scenes import Scene

STRETCH = 20  # steps between two marks of the progress bar


def train(
    solver: Path,
    starts: Sequence[Path],
    out: Path,
    steps: int,
    seed: int,
    prepare: Callable[[Any], None],
    finish: Callable[[Any], None] = lambda net: None,
) -> float:
    """Train the net of a solver prototxt from the layers of the same name of `starts`, into `out`; the
    seconds that it took. `prepare(net)` is called before, `finish(net)` behind the steps."""
    caffe.set_random_seed(seed)
    begun, starts, out = time.monotonic(), [path.absolute() for path in starts], out.absolute()
    os.chdir(solver.parent)  # which the solver's paths are relative to
    made = caffe.get_solver(str(solver.absolute()))
    for path in starts:
        made.net.copy_from(str(path))
    prepare(made.net)
    for _ in tqdm(range(0, steps, STRETCH), desc=out.stem, disable=None):
        made.step(STRETCH)
    finish(made.net)
    out.parent.mkdir(exist_ok=True)
    made.net.save(str(out))
    return time.monotonic() - begun


def pictures(found: Sequence[Scene]) -> list[np.ndarray]:
    """The pictures of scenes, (H, W, 3) RGB."""
    read = []
    for scene in found:
        with Image.open(scene.path) as image:
            read.append(np.asarray(image.convert("RGB")))
    return read


def precision(
    results: Sequence[Sequence[tuple[np.ndarray, np.ndarray]]],
    found: Sequence[Scene],
    rule: str = "area",
    least: float = 0.5,
    overlaps: Overlaps = box_overlaps,
    shapes: str = "boxes",
) -> float:
    """The mean over the digits of average precision, of a result [(scores, shapes)] a class and scene.

    `shapes`: the field of a scene that they are compared with, boxes or masks.
    """
    digits = range(1, len(CLASSES))
    values = average_precisions(
        {value: [Found(*each[value]) for each in results] for value in digits},
        {
            value: [Truth(getattr(scene, shapes)[scene.classes == value]) for scene in found]
            for value in digits
        },
        least,
        rule,
        overlaps,
    )
    return float(np.mean(list(values.values())))
