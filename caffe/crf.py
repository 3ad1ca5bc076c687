"""Mean field in a fully connected conditional random field (Kraehenbuehl and Koltun 2011).

    probabilities = caffe.crf.mean_field_of(scores, picture, near=[(3, 3)], alike=[(4, 49, 5)])

Every two pixels of a picture want the same class, the more the nearer they are and the more alike their
colours: by Gaussian kernels, which are divided at each pixel by their sum there, as in DeepLab and in
CRF as RNN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from . import context
from .kernels.lattice import WIDTH
from .permutohedral import lattice_of, put

BLOCK = 2**24  # pairs of points whose distances are held at once


class AllPairs:
    """Gaussian filtering among points with features (N, d), pair by pair: the judge of the lattice."""

    def __init__(self, features: torch.Tensor):
        self.features = features
        self.rows = features.split(max(1, BLOCK // len(features)))
        self.kept = self.block(features) if len(self.rows) == 1 else None

    def block(self, rows: torch.Tensor) -> torch.Tensor:
        """The Gaussians of the distances between some of the points and all."""
        exactly = "donot_use_mm_for_euclid_dist"
        apart = torch.cdist(rows, self.features, compute_mode=exactly)
        return apart.square_().div_(-2).exp_()

    def filter(
        self,
        values: torch.Tensor,
        transposed: bool = False,
        scale: torch.Tensor | None = None,
        onto: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As `permutohedral.Lattice.filter`; the transposed filter is the same."""
        blocks = (self.block(rows) for rows in self.rows) if self.kept is None else (self.kept,)
        result = [block @ values for block in blocks]
        return put(torch.cat(result), scale, onto, out)


class Kernel:
    """A Gaussian kernel among the cells of a map, divided at each cell by the kernel's sum there."""

    def __init__(self, features: torch.Tensor, exact: bool = False):
        """`features` (d, H, W), in standard deviations. `exact` takes all pairs of cells, one by one."""
        points = features.flatten(1).T.contiguous()
        self.sums = AllPairs(points) if exact else lattice_of(points)
        self.share = 1 / (self.sums.filter(features.new_ones(len(points), 1)) + 1e-20)

    def filter(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of values (channels, cells) around each cell, by the kernel's weights."""
        return self.sums.filter(values.T.contiguous(), scale=self.share).T

    def transposed(self, values: torch.Tensor) -> torch.Tensor:
        """The transpose of `filter`, for gradients."""
        return self.sums.filter(values.T * self.share, transposed=True).T


def positions(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """x and y of the cells of a map, (2, height, width)."""
    rows = torch.arange(height, dtype=like.dtype, device=like.device)
    columns = torch.arange(width, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))


def kernel_of_positions(
    height: int, width: int, deviation: float, like: torch.Tensor, exact: bool = False
) -> Kernel:
    """The kernel of near cells: exp(-|p_i - p_j|^2 / (2 deviation^2))."""
    return Kernel(positions(height, width, like) / deviation, exact)


def kernel_of_colours(
    picture: torch.Tensor, deviation: float, of_colour: float, exact: bool = False
) -> Kernel:
    """The kernel of near cells of like colours; the picture is (channels, H, W)."""
    height, width = picture.shape[1:]
    near = positions(height, width, picture) / deviation
    return Kernel(torch.cat([near, picture / of_colour]), exact)


def mean_field(
    scores: torch.Tensor, kernels: Sequence[tuple[float, Kernel]], iterations: int
) -> torch.Tensor:
    """Probabilities (classes, cells) after some rounds of mean field from softmax(scores).

    A kernel has a weight, and takes cells of different classes apart (Potts).
    """
    missing = -len(scores) % WIDTH  # classes of probability 0, so that rows are whole vectors
    wanted = torch.nn.functional.pad(scores.T, (0, missing), value=-torch.inf).contiguous()
    q = torch.softmax(wanted, 1)
    message = torch.empty_like(wanted)
    for _ in range(iterations if kernels else 0):
        onto = wanted
        for weight, kernel in kernels:
            kernel.sums.filter(q, scale=weight * kernel.share, onto=onto, out=message)
            onto = message
        torch.softmax(message, 1, out=q)
    return q[:, : len(scores)].T


def mean_field_of(
    scores: np.ndarray,
    picture: np.ndarray,
    near: Sequence[tuple[float, float]] = (),
    alike: Sequence[tuple[float, float, float]] = (),
    iterations: int = 10,
    exact: bool = False,
) -> np.ndarray:
    """Probabilities (classes, H, W), float32, of scores (classes, H, W) and a picture (channels, H, W).

    `near` has (weight, deviation in pixels) of kernels of positions, `alike` (weight, deviation in
    pixels, deviation of colours) of kernels of positions and colours. `exact` takes all pairs of pixels
    one by one, in place of a lattice: 240x180 take half a minute a kernel and round. Computes where
    Caffe's mode says. ValueError if picture and scores differ in size.
    """
    if scores.ndim != 3 or picture.ndim != 3 or scores.shape[1:] != picture.shape[1:]:
        raise ValueError(
            f"scores (classes, H, W) and picture (channels, H, W) must be of one size, got "
            f"{list(scores.shape)} and {list(picture.shape)}"
        )
    device = context.device()
    x, pixels = (torch.tensor(a, dtype=torch.float32, device=device) for a in (scores, picture))
    (height, width), kernels = picture.shape[1:], []
    for weight, deviation in near:
        kernels.append((weight, kernel_of_positions(height, width, deviation, pixels, exact)))
    for weight, deviation, of_colour in alike:
        kernels.append((weight, kernel_of_colours(pixels, deviation, of_colour, exact)))
    return mean_field(x.flatten(1), kernels, iterations).reshape(x.shape).cpu().numpy()
