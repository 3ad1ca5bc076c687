"""Gaussian filtering among points with features: the permutohedral lattice (Adams, Baek and Davis
2010), as dense CRFs use it.

A point is spread over the d + 1 corners of its simplex in a lattice of d dimensions, the corners'
values are blurred along d + 1 directions, and read at the points again: time and memory are linear in
the number of points. The result is near exp(-|f_i - f_j|^2 / 2), summed, up to a factor.
"""

from __future__ import annotations

import torch

from .kernels import lattice, library


def lattice_of(features: torch.Tensor) -> Lattice | lattice.NativeLattice:
    """The lattice of points with features (N, d): in C where it can be.

    ValueError for features that spread over too many deviations, or are NaN.
    """
    spread = features.amax(0) - features.amin(0)
    if not bool((spread < 1e5).all()):  # beyond, float32 does not tell lattice points apart
        raise ValueError("the features spread over too many deviations for a lattice, or are NaN")
    if lattice.takes(features) and library.available():
        features = features.contiguous()
        return lattice.NativeLattice(features, *packing(*lattice.extent(features)))
    return Lattice(features)


def packing(least: torch.Tensor, most: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How vertices' coordinates, (d) least and largest, are packed into one number: (offset, radix).

    ValueError if no number is large enough.
    """
    d = len(least)
    offset = least - d - 1  # a neighbour lies at most d + 1 further
    extent = most + d + 2 - offset
    if not bool(extent.double().log2().sum() < 62):
        raise ValueError(f"{d} features spread over too many deviations for a lattice")
    return offset, torch.cat([extent.new_ones(1), extent[:-1].cumprod(0)])


class Lattice:
    """The lattice of points with features (N, d); one unit of a feature is one standard deviation."""

    def __init__(self, features: torch.Tensor):
        count, d = features.shape
        corner, rank, self.weights = simplices(features)
        self.gain = 1 / (1 + 2.0**-d)
        # corner k of a simplex: the coordinates move by k, those of the last k ranks by k - (d + 1)
        k = torch.arange(d + 1, device=features.device)
        moves = torch.where(rank[:, None, :d] <= d - k[:, None], k[:, None], k[:, None] - d - 1)
        keys = (corner[:, None, :d] + moves).view(-1, d)
        offset, radix = packing(keys.amin(0), keys.amax(0))
        found, vertex = ((keys - offset) * radix).sum(1).unique(return_inverse=True)
        self.size = len(found)
        self.vertices = vertex.view(count, d + 1)
        self.neighbours = [self.beside(found, radix, axis, d) for axis in range(d + 1)]

    def beside(
        self, found: torch.Tensor, radix: torch.Tensor, axis: int, d: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The vertices on both sides of each along a direction; `size` where there is none."""
        step = -radix.sum()
        if axis < d:
            step = step + (d + 1) * radix[axis]
        sides = []
        for wanted in (found + step, found - step):
            at = torch.searchsorted(found, wanted).clamp(max=self.size - 1)
            sides.append(torch.where(found[at] == wanted, at, self.size))
        return sides[0], sides[1]

    def filter(
        self,
        values: torch.Tensor,
        transposed: bool = False,
        scale: torch.Tensor | None = None,
        onto: torch.Tensor | None = None,
        out: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """`onto` + `scale` * filtered values, which are (N, channels); scale is (N, 1).

        The transposed filter blurs in the reverse order. `out` is written to, if given; it may be
        `onto`.
        """
        table = values.new_zeros((self.size + 1, values.shape[1]))  # the last row is of no vertex
        corners = [
            (self.vertices[:, k], self.weights[:, k, None]) for k in range(self.weights.shape[1])
        ]
        for vertex, weight in corners:
            table.index_add_(0, vertex, values * weight)
        for left, right in reversed(self.neighbours) if transposed else self.neighbours:
            table[:-1] += (table[left] + table[right]) / 2
        result = torch.zeros_like(values)
        for vertex, weight in corners:
            result.addcmul_(table[vertex], weight, value=self.gain)
        return put(result, scale, onto, out)


def put(
    result: torch.Tensor,
    scale: torch.Tensor | None,
    onto: torch.Tensor | None,
    out: torch.Tensor | None,
) -> torch.Tensor:
    """`onto` + `scale` * result, in `out` if it is given."""
    if scale is not None:
        result *= scale
    if onto is not None:
        result += onto
    return result if out is None else out.copy_(result)


def simplices(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of each point's simplex: (corner 0, ranks of the coordinates, weights of the corners).

    All are (N, d + 1); corner 0 and the ranks are integers.
    """
    d = features.shape[1]
    i = torch.arange(d, dtype=features.dtype, device=features.device)
    scaled = features * ((d + 1) * (2 / 3) ** 0.5 / ((i + 1) * (i + 2)).sqrt())
    # onto the plane of sum 0 in d + 1 dimensions
    behind = torch.nn.functional.pad(scaled.flip(1).cumsum(1).flip(1), (0, 1))
    elevated = behind - torch.nn.functional.pad(scaled * (i + 1), (1, 0))
    whole = elevated / (d + 1)
    down, up = whole.floor(), whole.ceil()
    nearest = torch.where(up - whole < whole - down, up, down)
    excess = nearest.sum(1, keepdim=True).long()
    order = (elevated - nearest * (d + 1)).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(d + 1, device=order.device).expand_as(order)
    )
    # where the nearest points' sum is not 0, the coordinates rounded furthest go the other way
    rank = rank + excess
    corner = nearest.long() * (d + 1)
    corner = corner - (d + 1) * (rank > d).long() + (d + 1) * (rank < 0).long()
    rank = rank - (d + 1) * (rank > d).long() + (d + 1) * (rank < 0).long()
    share = (elevated - corner) / (d + 1)
    weights = features.new_zeros((len(features), d + 2))
    weights.scatter_add_(1, d - rank, share).scatter_add_(1, d - rank + 1, -share)
    weights[:, 0] += 1 + weights[:, -1]
    return corner, rank, weights[:, :-1]
