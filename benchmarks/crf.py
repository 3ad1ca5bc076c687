"""Dense CRF of a photograph, 500x500 and 21 classes, ten rounds: the lattice in C beside PyTorch's."""

from statistics import median
from unittest import mock

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from caffe.kernels import library
from fcn.crf import PAPER, DenseCRF

from . import contest

CLASSES = 21
SECONDS = 0.5  # the target
WARM = 1
TOLERANCE = 1e-3  # mean difference of probabilities: sums in another order, ties of the lattice


def crf(options, folder):
    """Median seconds a picture, its lattice included."""

    def by_pytorch(item):
        with mock.patch.object(library, "available", lambda: False):
            return refine(item)

    contestants = [
        contest.Contestant(contest.OURS, "float32", refine),
        contest.Contestant(*contest.REFERENCE, by_pytorch),
    ]
    rows = contest.compete(contestants, pictures(options), WARM, median, apart)
    rows = [row | {"tolerance": TOLERANCE} for row in rows]
    seconds = rows[0]["value"]
    wanted = f"at most {SECONDS} s"
    return {
        "title": f"dense CRF: {CLASSES} classes, {PAPER}",
        "unit": "s",
        "rows": rows,
        "left_out": {"pydensecrf": "no release of it installs on Python 3.11 or later"},
        "targets": [contest.verdict(wanted, seconds, SECONDS, seconds <= SECONDS)],
    }


def refine(item):
    """Probabilities of (scores, picture)."""
    scores, picture = item
    return torch.from_numpy(DenseCRF(scores, picture).infer())


def pictures(options):
    """Scores as noise around a class a quarter, and photographs by turns."""
    height, width = options.size
    photographs = [
        np.asarray(Image.fromarray(image).resize((width, height)))
        for image in load_sample_images().images
    ]
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (CLASSES, height, width)).astype(np.float32)
    scores[1, : height // 2, : width // 2] += 4
    scores[0] += 2
    return [(scores, photographs[i % 2]) for i in range(options.runs + WARM)]


def apart(a, b):
    """The mean difference of two results."""
    return float((a - b).abs().mean())
