"""Dense CRFs (Kraehenbuehl and Koltun 2011): scores made to follow a picture's outlines.

    crf = DenseCRF(scores, image)       # C x H x W, and the picture, H x W x 3
    classes = crf.infer().argmax(0)

All pixels of a picture are neighbours: near ones want one class, the more so if their colours are alike.
`fcn infer --crf` and `fcn score --crf` do it behind any net, `fcn crf-search` looks for parameters.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

import caffe


@dataclass(frozen=True)
class Parameters:
    """Of a dense CRF, by their names in DeepLab's DenseCRF layer."""

    pos_w: float  # how much near pixels want one class
    pos_xy_std: float  # how near: a standard deviation in pixels
    bi_w: float  # how much near pixels of like colours want one class
    bi_xy_std: float  # how near
    bi_rgb_std: float  # how alike: a standard deviation, of 256 levels
    max_iter: int = 10  # rounds of mean field

    def changed(self, texts: Sequence[str]) -> Self:
        """With what texts NAME=VALUE say; ValueError for others."""
        found: dict[str, Any] = {}
        for text in texts:
            name, _, value = text.partition("=")
            known = [field.name for field in fields(self)]
            if name not in known or not value:
                raise ValueError(f"--crf-set {text}: NAME=VALUE is wanted, of {', '.join(known)}")
            try:
                found[name] = int(value) if name == "max_iter" else float(value)
            except ValueError:
                kind = "whole number" if name == "max_iter" else "number"
                raise ValueError(f"--crf-set {text}: {value!r} is no {kind}") from None
        return replace(self, **found).checked()

    def checked(self) -> Self:
        """These; ValueError for numbers that no CRF has."""
        for name, value in asdict(self).items():
            least, above = ("above 0", value > 0) if "std" in name else ("0 or more", value >= 0)
            if not (above and math.isfinite(value)):
                raise ValueError(f"{name} of the dense CRF is {value:g}; it must be {least}")
        return self

    def __str__(self) -> str:
        """As --crf-set takes them."""
        return " ".join(f"{name}={value:g}" for name, value in asdict(self).items())


PAPER = Parameters(3, 3, 4, 49, 5)  # DeepLab's for VOC, as its run_densecrf.sh has them
SAMPLE = Parameters(0, 1, 20, 30, 40)  # by `fcn crf-search --model voc-fcn16s --sample`


def given(args: argparse.Namespace, embedded: bool) -> Parameters | None:
    """What --crf and --crf-set say; None without them. Those of the embedded task are its own."""
    if not args.crf and not args.crf_set:
        return None
    return (SAMPLE if embedded else PAPER).changed(args.crf_set)


class DenseCRF:
    """A fully connected CRF over a picture's pixels; computes where Caffe's mode says."""

    def __init__(
        self,
        unary: np.ndarray,
        image: np.ndarray,
        parameters: Parameters = PAPER,
        *,
        exact: bool = False,
    ) -> None:
        """Of scores and a picture.

        unary   C x H x W, a net's scores or the logarithms of probabilities: the higher, the likelier
        image   H x W x 3 or H x W, in any order of the colours, of 256 levels; a mean may be subtracted
        exact   sums over all pairs of pixels one by one, for small pictures, instead of by a lattice

        ValueError if picture and scores differ in size, for scores that are not finite, and for
        parameters that no CRF has.
        """
        image = np.asarray(image)
        image = image[:, :, None] if image.ndim == 2 else image
        if unary.ndim != 3 or image.ndim != 3 or unary.shape[1:] != image.shape[:2]:
            raise ValueError(
                f"a dense CRF needs a score for each of the picture's pixels, but the picture (height "
                f"and width first) is {shape_of(image)}, and the scores (classes first) are "
                f"{shape_of(unary)}"
            )
        if not np.isfinite(unary).all():
            raise ValueError("a dense CRF needs finite scores; these have NaN or infinity")
        self.unary, self.image, self.parameters = unary, image, parameters.checked()
        self.exact = exact

    def infer(self, iterations: int | None = None) -> np.ndarray:
        """Each class's probability, C x H x W float32, after `max_iter` or so many rounds of mean field."""
        p = self.parameters
        return caffe.crf.mean_field_of(
            self.unary,
            self.image.transpose(2, 0, 1),
            near=[(p.pos_w, p.pos_xy_std)] if p.pos_w else [],
            alike=[(p.bi_w, p.bi_xy_std, p.bi_rgb_std)] if p.bi_w else [],
            iterations=p.max_iter if iterations is None else iterations,
            exact=self.exact,
        )


def shape_of(array: np.ndarray) -> str:
    """`180 x 240 x 3`."""
    return " x ".join(map(str, array.shape))


def refined(net: caffe.Net, scores: str, parameters: Parameters, item: int = 0) -> np.ndarray:
    """Each class's probability, C x H x W, by a net's scores of its last pass and a CRF.

    `scores` is a blob; the picture is the net's first blob. ValueError if they differ in size.
    """
    picture = next(iter(net.blobs))
    image = net.blobs[picture].data[item].transpose(1, 2, 0)
    try:
        return DenseCRF(unary_of(net.blobs[scores].data[item]), image, parameters).infer()
    except ValueError as error:
        raise ValueError(f"{scores} and {picture}: {error}") from None


def unary_of(scores: np.ndarray) -> np.ndarray:
    """A copy of scores, C x H x W; of probabilities, as nets give that end in a softmax, the logarithms."""
    if scores.min() >= 0 and np.allclose(scores.sum(0), 1, atol=1e-3):
        return np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    return np.array(scores)
