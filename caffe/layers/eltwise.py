"""Eltwise (src/caffe/layers/eltwise_layer.cpp)."""

from __future__ import annotations

import torch

from ..kernels import library, maps
from ..layer import Blobs, Layer, register
from .neuron import ReLU


@register
class Eltwise(Layer):
    """top = sum of coeff * bottom, product, or maximum of two or more bottoms of one shape.

    MAX: of the first two bottoms the second wins a tie, a later one must be greater to win.
    """

    num_bottom, num_top = (2, None), 1
    deterministic = repeatable = capturable = True
    saved_for_backward = {"winner": 8}

    def setup(self, bottom, top):
        p = self.param
        coeff = list(p.coeff)
        if coeff and len(coeff) != len(bottom):
            raise self.error(
                f"one coeff for each of the {len(bottom)} bottoms is needed, got {coeff}"
            )
        if coeff and p.operation == p.PROD:
            raise self.error(f"PROD takes no coeff, got {coeff}")
        self.coeff = coeff or [1.0] * len(bottom)
        self.merge, self.part = {
            p.SUM: (Eltwise.sum, Eltwise.sum_part),
            p.PROD: (Eltwise.product, Eltwise.product_part),
            p.MAX: (Eltwise.maximum, Eltwise.maximum_part),
        }[p.operation]

    def reshape(self, bottom, top):
        for i, blob in enumerate(bottom):
            if blob.shape != bottom[0].shape:
                raise self.error(
                    f"bottoms must have one shape: bottom 0 has {list(bottom[0].shape)}, bottom "
                    f"{i} {list(blob.shape)}"
                )
        top[0].set_shape(bottom[0].shape)

    def forward(self, bottom, top):
        self.merge(self, [blob.x for blob in bottom], top[0].x)

    def fuses(self, followers):
        adds = self.merge is Eltwise.sum and len(self.coeff) == 2 and self.coeff[0] == 1
        return adds and bool(followers) and type(followers[0]) is ReLU

    def forward_fused(self, bottom, top, window, followers):
        (a, b), y, slope = (blob.x for blob in bottom), top[0].x, followers[0].param.negative_slope
        if maps.takes(a, b, y) and library.available():
            maps.add_maps(a, b, y, self.coeff[1], slope)
            return
        self.forward(bottom, top)
        followers[0].forward(top, top)

    def backward(self, top, propagate_down, bottom):
        for i, blob in enumerate(bottom):
            if propagate_down[i]:
                self.part(self, i, bottom, top, blob.dx)

    def sum(self, xs: list[torch.Tensor], y: torch.Tensor) -> None:
        """SUM, forward."""
        (x, *others), (c, *coeffs) = xs, self.coeff
        if c == 1 and len(xs) == 2:
            torch.add(x, others[0], alpha=coeffs[0], out=y)
            return
        torch.mul(x, c, out=y)
        for other, coeff in zip(others, coeffs):
            y.add_(other, alpha=coeff)

    def sum_part(self, i: int, bottom: Blobs, top: Blobs, dx: torch.Tensor) -> None:
        """SUM, the gradient of bottom i."""
        torch.mul(top[0].dx, self.coeff[i], out=dx)

    def product(self, xs: list[torch.Tensor], y: torch.Tensor) -> None:
        """PROD, forward."""
        torch.mul(xs[0], xs[1], out=y)
        for x in xs[2:]:
            y.mul_(x)

    def product_part(self, i: int, bottom: Blobs, top: Blobs, dx: torch.Tensor) -> None:
        """PROD, the gradient of bottom i."""
        if not self.param.stable_prod_grad:  # NaN where the bottom is 0
            torch.div(top[0].x, bottom[i].x, out=dx).mul_(top[0].dx)
            return
        dx.copy_(top[0].dx)
        for j, other in enumerate(bottom):
            if j != i:
                dx.mul_(other.x)

    def maximum(self, xs: list[torch.Tensor], y: torch.Tensor) -> None:
        """MAX, forward."""
        self.winner = torch.where(xs[0] > xs[1], 0, 1)
        best = torch.where(xs[0] > xs[1], xs[0], xs[1])
        for i, x in enumerate(xs[2:], start=2):
            wins = x > best
            self.winner.masked_fill_(wins, i)
            best = torch.where(wins, x, best)
        y.copy_(best)

    def maximum_part(self, i: int, bottom: Blobs, top: Blobs, dx: torch.Tensor) -> None:
        """MAX, the gradient of bottom i."""
        torch.mul(top[0].dx, self.winner == i, out=dx)
