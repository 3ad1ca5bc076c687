"""Which loss and which labels belong to a score blob, by the layers between them."""

from typing import Any

from fcn import prototxts


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
