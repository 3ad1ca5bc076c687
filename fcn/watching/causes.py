"""Why a net gives every place the same scores: the cause that holds in this net, or none."""

from typing import Any, NamedTuple

import caffe

MULTIPLYING = ("Convolution", "Deconvolution", "InnerProduct")
HARDLY = 1e-4  # weights that changed by a smaller share have hardly moved


class Cause(NamedTuple):
    """Why a net does not learn."""

    kind: str  # "stuck", "alike", "zero", "dead", "data", "rate"
    text: str
    way_out: str
    evidence: str = ""


def why_equal(
    net: Any, scores: str, movement: float | None = None, rate: float = 0.0
) -> Cause | None:
    """The Cause of scores that are equal everywhere; None if none of the known ones holds.

    `net` has run. `movement` is how far its weights are from where they started, as a share.
    """
    if getattr(caffe, "diagnosis", None) is None:  # BVLC's pycaffe
        return None
    if lost := caffe.learnable.stuck(net):
        text, _, way_out = str(lost).partition(". Way out: ")
        return Cause("stuck", text, way_out or "give a layer an lr_mult above 0")
    if alike := caffe.learnable.alike(net):
        text, _, way_out = caffe.learnable.alike_sentence(alike).partition(". Way out: ")
        return Cause("alike", text, way_out)
    if cause := _first_zero(net, scores):
        return cause
    if movement is not None and movement < HARDLY:
        return Cause(
            "rate",
            "the weights have hardly moved, because the rate is too small",
            "take a larger base_lr, one that fits the loss: summed over pixels or their mean",
            f"they moved by {movement:.1e} of their size; rate {rate:g}",
        )
    return None


def _first_zero(net: Any, scores: str) -> Cause | None:
    """The lowest layer below `scores` that makes zeros of something, if the scores are zeros."""
    maps = caffe.diagnosis.map_magnitudes(net)
    if maps.get(scores, 1.0) != 0:
        return _constant(net, scores, maps)
    for name in _below(net, scores):
        tops = [maps.get(top) for top in net.top_names[name]]
        bottoms = [maps.get(bottom) for bottom in net.bottom_names[name]]
        if any(top != 0 for top in tops) or _in_place(net, name):
            continue
        if not bottoms:
            text = f"layer {_called(net, name)}: what it reads from the data is zero everywhere"
            return Cause("data", text, "look at the pictures, and at how they are scaled")
        if any(bottoms):
            return _zeroing(net, name)
    return None


def _constant(net: Any, scores: str, maps: dict[str, float]) -> Cause | None:
    """Scores that are a layer's bias and nothing else: what the layer reads is zero."""
    for name in _below(net, scores):
        bottoms = [maps.get(bottom) for bottom in net.bottom_names[name]]
        multiplies = net.layer_dict[name].type in MULTIPLYING
        if multiplies and bottoms == [0] and any(maps.get(t) for t in net.top_names[name]):
            for lower in _below(net, net.bottom_names[name][0]):
                reads = [maps.get(bottom) for bottom in net.bottom_names[lower]]
                gives = [maps.get(top) for top in net.top_names[lower]]
                if any(reads) and not any(gives) and not _in_place(net, lower):
                    cause = _zeroing(net, lower)
                    text = f"{cause.text}, and what is left of {name} is its bias"
                    return Cause(cause.kind, text, cause.way_out)
    return None


def _zeroing(net: Any, name: str) -> Cause:
    """A layer that reads something and gives zeros."""
    layer = net.layer_dict[name]
    top = net.top_names[name][0]
    weights = caffe.diagnosis.weight_magnitudes(net).get(name)
    if layer.type in MULTIPLYING and weights == 0:
        return Cause(
            "zero",
            f"the weights of layer {_called(net, name)} are zero, so that it gives zeros",
            "load weights that fill it, or give it a weight_filler",
        )
    rectifier = next((n for n in net.top_names if _in_place(net, n, top)), name)
    return Cause(
        "dead",
        f"layer {_called(net, rectifier)} gives zeros everywhere: it is dead",
        "go back to weights from before it died, and take a smaller base_lr",
    )


def _below(net: Any, blob: str) -> list[str]:
    """The layers that a blob is made from, in the order of a pass."""
    needed, found = {blob}, []
    for name in reversed(list(net.top_names)):
        if needed.intersection(net.top_names[name]):
            found.append(name)
            needed.update(net.bottom_names[name])
    return found[::-1]


def _in_place(net: Any, name: str, top: str | None = None) -> bool:
    """Whether a layer works in place; on the blob `top`, as a ReLU, if that is given."""
    tops = net.top_names[name]
    if top is not None and (top not in tops or net.layer_dict[name].type != "ReLU"):
        return False
    return bool(tops) and list(tops) == list(net.bottom_names[name])


def _called(net: Any, name: str) -> str:
    """A layer's name and type."""
    return f"'{name}' ({net.layer_dict[name].type})"
