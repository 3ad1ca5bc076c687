"""Why a net gives every place the same scores: the cause that holds in this net, or none."""

from collections.abc import Collection
from typing import Any, NamedTuple

import caffe

MULTIPLYING = ("Convolution", "Deconvolution", "InnerProduct")
SMALLER_RATE = "go back to weights from before they died, and take a smaller base_lr"
DEAD_AT_START = ", and was so before the first step"
START_ANEW = (
    "this run's rate has not done this: start from other weights or an older snapshot, and see whether "
    "the mean and the scale of the pictures are those that the weights were trained with"
)


class Cause(NamedTuple):
    """Why a net does not learn."""

    kind: str  # "stuck", "alike", "zero", "dead", "data", "labels", "rate", "too_large"
    text: str
    way_out: str
    evidence: str = ""
    layer: str = ""  # that it is about


def why_equal(net: Any, scores: str, start_dead: Collection[str] = ()) -> Cause | None:
    """The Cause, in the net itself, of scores that are equal everywhere; None if none of these holds.

    `net` has run. `start_dead` are layers that gave zeros before the first step already.
    """
    if getattr(caffe, "diagnosis", None) is None:  # BVLC's pycaffe
        return None
    if lost := caffe.learnable.stuck(net):
        text, _, way_out = str(lost).partition(". Way out: ")
        return Cause("stuck", text, way_out or "give a layer an lr_mult above 0")
    if alike := caffe.learnable.alike(net):
        text, _, way_out = caffe.learnable.alike_sentence(alike).partition(". Way out: ")
        return Cause("alike", text, way_out)
    cause = _first_zero(net, scores)
    if cause and cause.kind == "dead" and cause.layer in start_dead:
        text = cause.text.replace("it is dead", f"it is dead{DEAD_AT_START}")
        return Cause("dead", text, START_ANEW, layer=cause.layer)
    return cause


def _first_zero(net: Any, scores: str) -> Cause | None:
    """The lowest layer below `scores` that makes zeros of something, if the scores are zeros."""
    maps = caffe.diagnosis.map_magnitudes(net)
    if maps.get(scores, 1.0) != 0:
        return _constant(net, scores, maps)
    for name, tops in _below(net, scores).items():
        bottoms = [maps.get(bottom) for bottom in net.bottom_names[name]]
        if any(maps.get(top) != 0 for top in tops) or _in_place(net, name):
            continue
        if any(bottoms) or not bottoms:
            return _zeroing(net, name)
    return None


def _constant(net: Any, scores: str, maps: dict[str, float]) -> Cause | None:
    """Scores that are a layer's bias and nothing else: what the layer reads is zero."""
    for name in _below(net, scores):
        bottoms = [maps.get(bottom) for bottom in net.bottom_names[name]]
        multiplies = net.layer_dict[name].type in MULTIPLYING
        if not multiplies or bottoms != [0] or not any(maps.get(t) for t in net.top_names[name]):
            continue
        for lower, tops in _below(net, net.bottom_names[name][0]).items():
            reads = [maps.get(bottom) for bottom in net.bottom_names[lower]]
            gives = any(maps.get(top) for top in tops)
            if (any(reads) or not reads) and not gives and not _in_place(net, lower):
                cause = _zeroing(net, lower)
                left = f", and what is left of {name} is its bias"
                return cause and Cause(
                    cause.kind, cause.text + left, cause.way_out, layer=cause.layer
                )
    return None


def _zeroing(net: Any, name: str) -> Cause | None:
    """A layer that gives zeros, of something or of the data."""
    top = net.top_names[name][0]
    if not net.bottom_names[name]:
        text = f"layer {_called(net, name)}: what it reads from the data is zero everywhere"
        return Cause("data", text, "look at the pictures, and at how they are scaled")
    weights = caffe.diagnosis.weight_magnitudes(net)
    for each in (name, *(n for n in net.top_names if _in_place(net, n, top))):
        kind = net.layer_dict[each].type
        if weights.get(each) == 0:
            text = f"the weights of layer {_called(net, each)} are zero, so that it gives zeros"
            return Cause("zero", text, "load weights that fill it, or give it a weight_filler")
        text = f"layer {_called(net, each)} gives zeros everywhere"
        if kind == "ReLU":
            return Cause("dead", f"{text}: it is dead", SMALLER_RATE, layer=each)
        if kind not in MULTIPLYING:
            text += ", though what it reads is not zero"
            return Cause("zero", text, "look at what the prototxt says of that layer")
    return None  # its weights were zero in that pass, and are no more


def _below(net: Any, blob: str) -> dict[str, list[str]]:
    """The layers that a blob is made from, in the order of a pass, each with its tops that matter."""
    needed, found = {blob}, {}
    for name in reversed(list(net.top_names)):
        if tops := [top for top in net.top_names[name] if top in needed]:
            found[name] = tops
            needed.update(net.bottom_names[name])
    return dict(reversed(found.items()))


def _in_place(net: Any, name: str, blob: str | None = None) -> bool:
    """Whether a layer works in place; on that blob, if one is given."""
    tops = list(net.top_names[name])
    return bool(tops) and tops == list(net.bottom_names[name]) and blob in (None, tops[0])


def _called(net: Any, name: str) -> str:
    """A layer's name and type."""
    return f"'{name}' ({net.layer_dict[name].type})"
