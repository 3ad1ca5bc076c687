"""Which loss and which labels belong to a score blob, by the layers between them."""

import math
from typing import Any, NamedTuple

from fcn import prototxts


class Scores(NamedTuple):
    """A score blob of a net, its loss and its labels, as far as there are such."""

    name: str
    classes: int
    loss: str | None
    labels: str | None
    summed: bool | None  # over a picture's pixels; False: their mean; None: nobody knows

    @classmethod
    def of(cls, net: Any, name: str, classes: int) -> "Scores":
        """Those of a score blob."""
        loss = loss_of(net, name)
        return cls(name, classes, loss, labels_of(net, loss), is_summed(net, loss))

    def area(self, net: Any) -> float:
        """The pixels of a picture of the last batch, with those that are void."""
        return math.prod(net.blobs[self.labels].shape[1:]) if self.labels else 1.0

    def guess(self, net: Any) -> float | None:
        """The loss of equal scores, of a sum without void the largest; None if nobody knows."""
        if self.summed is None:
            return None
        return math.log(self.classes) * (self.area(net) if self.summed else 1.0)


def loss_of(net: Any, scores: str) -> str | None:
    """The loss blob that is computed from a score blob; None if there is none."""
    for name, layer in _layers(net):
        bottoms = [_source(net, bottom) for bottom in net.bottom_names[name]]
        if "Loss" in layer.type and len(bottoms) > 1 and bottoms[0] == scores:
            return str(net.top_names[name][0])
    return None


def labels_of(net: Any, loss: str | None) -> str | None:
    """The label blob of a loss blob, None if there is none."""
    for name, layer in _layers(net):
        if loss in net.top_names[name] and "Loss" in layer.type:
            return str(net.bottom_names[name][1])
    return None


def is_summed(net: Any, loss: str | None) -> bool | None:
    """Whether a loss is the sum over a picture's pixels, not their mean; None if nobody knows."""
    for name, layer in _layers(net):
        if loss in net.top_names[name] and "Loss" in layer.type:
            if not hasattr(layer, "layer_param"):  # BVLC's pycaffe
                return None
            return prototxts.loss_is_summed(layer.layer_param.loss_param)
    return None


def _layers(net: Any) -> list[tuple[str, Any]]:
    return list(zip(net.top_names, net.layers))


def _source(net: Any, blob: str) -> str:
    """The blob that a Split copied; any other blob itself."""
    for name, layer in _layers(net):
        if layer.type == "Split" and blob in net.top_names[name]:
            return str(net.bottom_names[name][0])
    return blob
