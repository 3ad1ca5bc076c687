"""Dense CRF of a photograph, 500x500 and 21 classes, ten rounds: the lattice in C beside PyTorch's and, if it
is installed, pydensecrf2's."""

import importlib
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
    left_out = {}
    try:
        library_of_others = importlib.import_module("pydensecrf.densecrf")
        theirs = contest.Contestant(
            "pydensecrf2", "float32", lambda item: by_pydensecrf(library_of_others, item)
        )
        contestants.append(theirs)
    except ImportError:
        left_out["pydensecrf2"] = "pip install pydensecrf2, which a C++ compiler builds"
    rows = contest.compete(contestants, pictures(options), WARM, median, apart)
    rows = [row | {"tolerance": TOLERANCE} for row in rows]
    seconds = rows[0]["value"]
    wanted = f"at most {SECONDS} s"
    return {
        "title": f"dense CRF: {CLASSES} classes, {PAPER}",
        "unit": "s",
        "rows": rows,
        "left_out": left_out,
        "targets": [contest.verdict(wanted, seconds, SECONDS, seconds <= SECONDS)],
    }


def refine(item):
    """Probabilities of (scores, picture)."""
    scores, picture = item
    return torch.from_numpy(DenseCRF(scores, picture).infer())


def by_pydensecrf(library, item):
    """The same by pydensecrf2, whose default divides by the kernels' sums in another way."""
    scores, picture = item
    classes, height, width = scores.shape
    other = library.DenseCRF2D(width, height, classes)
    other.setUnaryEnergy(np.ascontiguousarray(-scores.reshape(classes, -1)))
    divided = {"normalization": library.NORMALIZE_AFTER}
    other.addPairwiseGaussian(sxy=PAPER.pos_xy_std, compat=PAPER.pos_w, **divided)
    picture = np.array(picture)  # which may be written to
    stds = {"sxy": PAPER.bi_xy_std, "srgb": PAPER.bi_rgb_std}
    other.addPairwiseBilateral(**stds, rgbim=picture, compat=PAPER.bi_w, **divided)
    q = np.array(other.inference(PAPER.max_iter))
    return torch.from_numpy(q.reshape(scores.shape))


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
