"""Runner: one way to run a net. LayerByLayer, the plain one: every layer, each in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from ..topology import Topology
from .hooks import Hooks

Loss = float | torch.Tensor


class Runner:
    """Runs ranges of a net's layers forward and backward, calling the hooks around each layer.

    A subclass overrides `steps`; one that launches whole passes at once overrides the rest.
    """

    def __init__(self, net: Topology, hooks: Sequence[Hooks] = ()):
        self.net = net
        self.hooks = list(hooks)

    def steps(self, start: int, end: int) -> Iterator[int]:
        """Bring the tops of layers start..end up to date; yields each layer's index when it is done."""
        raise NotImplementedError

    def forward(self, start: int, end: int) -> Loss:
        """Run layers start..end; the sum over weighted tops of value times loss weight.

        The host does not wait for a GPU: the loss is a tensor there, or 0.0 without weighted tops.
        """
        loss: Loss = 0.0
        for i in self.steps(start, end):
            for blob, weight in zip(self.net.tops[i], self.net.layers[i]._loss_weights):
                if weight:
                    # The weight is read from the diff, where it was written when the net was built.
                    loss = loss + torch.dot(blob.x.view(-1), blob.dx.view(-1)).double()
        return loss

    def backward(self, start: int, end: int) -> None:
        """Run layers start..end backward, in falling order, where they need it."""
        net = self.net
        for hook in self.hooks:
            hook.begin_backward(start, end)
        for i in range(start, end - 1, -1):
            for hook in self.hooks:
                hook.before_backward(i)
            if net.layer_need_backward[i]:
                net.layers[i].backward(net.tops[i], net.bottom_need_backward[i], net.bottoms[i])
            for hook in self.hooks:
                hook.after_backward(i)

    def forward_backward(self) -> Loss:
        """Run all layers in both directions; the loss as `forward` gives it."""
        loss = self.forward(0, self.net.last)
        self.backward(self.net.last, 0)
        return loss

    def forget(self) -> None:
        """Drop what is known of the maps: another runner has computed them."""


class LayerByLayer(Runner):
    """Computes every layer in full, on any device, in any phase. All other ways must agree with it."""

    def steps(self, start: int, end: int) -> Iterator[int]:
        net = self.net
        for hook in self.hooks:
            hook.begin_forward(start, end)
        for i in range(start, end + 1):
            for hook in self.hooks:
                hook.before_forward(i)
            net.layers[i].reshape(net.bottoms[i], net.tops[i])
            net.layers[i].forward(net.bottoms[i], net.tops[i])
            yield i
            for hook in self.hooks:
                hook.after_forward(i)
