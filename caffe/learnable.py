"""Which parameters of a net can ever move: a layer of zeros lets no gradient through.

A convolution, deconvolution or inner product whose weights are zero gives zeros and passes zeros
down. It is healthy as long as its own weights get a gradient, as the zero score layers of FCNs do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .diagnosis import weight_magnitudes
from .layer import describe
from .net import Net

MULTIPLYING = ("Convolution", "Deconvolution", "InnerProduct")
# Layers that give zeros where all they read is zero; any other is taken to give something
_KEEP_ZERO = ("ReLU", "Pooling", "Dropout", "Crop", "Split", "Concat", "Eltwise", "Slice")
_SHOWN = 4  # layers that a message names


class Stuck(NamedTuple):
    """What cannot learn in a net, and why."""

    layers: list[str]  # whose weights get no gradient, though they should learn
    blocking: list[str]  # whose weights are zero and stay so
    frozen: list[str]  # those of them whose lr_mult is 0
    learning: list[str]  # layers whose weights can move
    biases: list[str]  # layers of which only the bias can move

    def __str__(self) -> str:
        """One sentence."""
        if not self.blocking:
            return "nothing can be learned: lr_mult is 0 for every parameter of the net"
        reason = "their lr_mult is 0" if self.frozen == self.blocking else "they get no gradient"
        text = (
            f"no gradient reaches the weights of {listed(self.layers)}: the weights of "
            f"{listed(self.blocking)} are zero and stay so, because {reason}"
        )
        if not self.learning:
            only = f"only the bias of {listed(self.biases)}" if self.biases else "nothing"
            text += f"; {only} can learn"
        fill = "load weights, or give a weight_filler"
        if any("(Deconvolution)" in name for name in self.blocking):
            fill += ' (an upsampling: { type: "bilinear" })'
        return f"{text}. Way out: {fill}"


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def stuck(net: Net) -> Stuck | None:
    """What of a TRAIN net can never learn from the weights that it has now; None if all can."""
    layers, t = net.layers, net._topology
    with_blobs = [i for i, layer in enumerate(layers) if len(layer.blobs)]
    if not any(any(layers[i].param_propagate_down) for i in with_blobs):
        return Stuck([], [], [], [], []) if with_blobs else None
    nonzero = {key for key, v in weight_magnitudes(net, by_layer=False).items() if v != 0}
    reach = _Reach(net, nonzero)
    lost, blocking = reach.lost(), _reasons(net, nonzero)
    if not lost or not blocking:
        return None
    frozen = [i for i in blocking if not layers[i].param_propagate_down[0]]
    learning = [i for i in with_blobs if (i, 0) in reach.movable]
    biases = [i for i in with_blobs if (i, 1) in reach.movable and i not in learning]
    names = t.layer_names
    return Stuck(
        [names[i] for i in lost],
        [describe(layers[i].layer_param).removeprefix("layer ") for i in blocking],
        [describe(layers[i].layer_param).removeprefix("layer ") for i in frozen],
        [names[i] for i in learning],
        [names[i] for i in biases],
    )


def alike(net: Net) -> list[str]:
    """Frozen layers that give all their channels the same values, as a bilinear filler does without
    a group for each channel: no class can then get another score than the others."""
    found = []
    for layer in net.layers:
        if layer.type not in ("Convolution", "Deconvolution") or not len(layer.blobs):
            continue
        weights, outputs = layer.blobs[0].x, int(layer.type == "Deconvolution")
        grouped = layer.param.group > 1 or weights.shape[outputs] < 2
        if grouped or any(layer.param_propagate_down):
            continue
        same = weights == weights.narrow(outputs, 0, 1)
        if bool(same.all() & weights.any()):
            found.append(layer.name)
    return found


def alike_sentence(names: Sequence[str]) -> str:
    """What `alike` found, as a sentence with its way out."""
    return (
        f"all classes get the same score for ever: the frozen weights of {listed(names)} are the same "
        "for every output. Way out: group: as many as num_output (the bilinear filler means that), or "
        "other weights"
    )


def _reasons(net: Net, nonzero: set[tuple[int, int]]) -> list[int]:
    """The fewest layers of zeros that have to be filled so that everything can learn.

    Of several choices the frozen layers, then the lowest: a zero layer above them is healthy.
    """
    reach, filled = _Reach(net, nonzero), set(nonzero)
    chosen: list[int] = []
    while reach.lost():
        zero = [i for i in reach.multiplying if not reach.may_be_nonzero(i, 0)]
        zero.sort(key=lambda i: (bool(net.layers[i].param_propagate_down[0]), i))
        if not zero:
            break
        enough = (i for i in zero if not _Reach(net, filled | {(i, 0)}).lost())
        chosen.append(next(enough, zero[0]))
        filled.add((chosen[-1], 0))
        reach = _Reach(net, filled)
    return sorted(chosen)


class _Reach:
    """How far signals and gradients get in a net, now or once what can move has moved."""

    def __init__(self, net: Net, nonzero: set[tuple[int, int]]) -> None:
        self.net, self.topology, self.nonzero = net, net._topology, nonzero
        with_blobs = [(i, layer) for i, layer in enumerate(net.layers) if len(layer.blobs)]
        self.multiplying = [i for i, layer in with_blobs if layer.type in MULTIPLYING]
        self.signal: set[int] = set()  # blobs that are not all zero
        self.gradient: set[int] = set()  # blobs whose diff is not all zero
        self.movable: set[tuple[int, int]] = set()  # (layer index, parameter index)
        before = None
        while before != (before := (len(self.signal), len(self.gradient), len(self.movable))):
            for i in range(len(net.layers)):
                self._forward(i)
            for i in reversed(range(len(net.layers))):
                self._backward(i)

    def may_be_nonzero(self, i: int, k: int) -> bool:
        """Whether a parameter is, or may become, other than zero; it may be shared by name."""
        layers = self.net.layers
        if k >= len(layers[i].blobs):
            return False
        memory = layers[i].blobs[k]._data
        moves = any(layers[j].blobs[m]._data is memory for j, m in self.movable)
        return (i, k) in self.nonzero or moves

    def _forward(self, i: int) -> None:
        t, layer = self.topology, self.net.layers[i]
        reads = any(b in self.signal for b in t.bottom_ids[i])
        if i in self.multiplying:
            alive = reads and self.may_be_nonzero(i, 0) or self.may_be_nonzero(i, 1)
        else:
            alive = reads or layer.type not in _KEEP_ZERO
        if alive:
            self.signal.update(t.top_ids[i])

    def _backward(self, i: int) -> None:
        t, layer = self.topology, self.net.layers[i]
        arrives = any(b in self.gradient for b in t.top_ids[i]) or any(layer._loss_weights)
        if not arrives or not t.layer_need_backward[i]:
            return
        reads = any(b in self.signal for b in t.bottom_ids[i])
        for k, learns in enumerate(layer.param_propagate_down):
            if learns and (k or reads or i not in self.multiplying):
                self.movable.add((i, k))
        if i not in self.multiplying or self.may_be_nonzero(i, 0):
            needed = zip(t.bottom_ids[i], t.bottom_need_backward[i])
            self.gradient.update(b for b, need in needed if need)

    def lost(self) -> list[int]:
        """Layers whose weights should learn and never get a gradient."""
        needed = self.topology.layer_need_backward
        return [
            i
            for i, layer in enumerate(self.net.layers)
            if len(layer.blobs)
            and needed[i]
            and layer.param_propagate_down[0]
            and (i, 0) not in self.movable
        ]
