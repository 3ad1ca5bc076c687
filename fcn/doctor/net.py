"""The nets as their prototxts state them: crops, losses, the number of outputs, train against test."""

from collections.abc import Iterator
from typing import Any

from caffe.coord_map import crop_params
from fcn import prototxts
from fcn.doctor.case import TRAIN, Case
from fcn.explain import Layers, layers_and_tops, position_map
from fcn.findings import NOTE, REFUSE, WARN, Finding
from fcn.prototxts import CHANGES_CHANNELS, outputs_of
from fcn.wording import counted


def check(case: Case) -> Iterator[Finding]:
    """Findings on the two nets."""
    nets = case.nets
    for which, (path, error) in case.unread.items():
        what = f"the {which} net cannot be read, so that nothing of it was checked"
        there = not isinstance(error, FileNotFoundError)
        way = "mend that line" if there else "put it there, or name another in solver.prototxt"
        evidence = str(error) if there else f"no file {path}"
        yield Finding("net.unreadable", REFUSE, what, evidence, way)
    if case.no_task and case.listed:
        what = "the list of classes is not the net's, so that every picture would get wrong names"
        way = f"mend {case.listed}, or the num_output of the layers that score"
        yield Finding("net.classes", REFUSE, what, str(case.no_task), way)
    for which, net in nets.items():
        losses = [layer for layer in net.layer if prototxts.is_loss(layer)]
        if which == TRAIN and not losses:
            what = "the train net has no loss, so nothing can be learned"
            way = "add a SoftmaxWithLoss of the scores and the labels"
            yield Finding("net.no_loss", REFUSE, what, str(case.settings.train_net), way)
        yield from check_crops(which, net)
        yield from check_outputs(case, which, net)
    yield from check_same_layers(case)


# ---- crops


def check_crops(which: str, net: prototxts.NetParameter) -> Iterator[Finding]:
    """Crops at the channels' axis, and offsets that do not follow from the coordinate map."""
    crops = [layer for layer in net.layer if layer.type == "Crop" and len(layer.bottom) == 2]
    for layer in crops:
        if layer.crop_param.axis == 1:
            what = f"layer {layer.name!r} of the {which} net crops from axis 1, the channels, on"
            way = "crop_param { axis: 2 }: height and width alone"
            yield Finding("net.crop_axis", REFUSE, what, "crop_param: axis 1", way)
    if not crops:
        return
    layers, why = mapped(net)
    if why:
        what = f"the crop offsets of the {which} net could not be checked"
        yield Finding("net.offset_unknown", NOTE, what, why, "fcn explain says more")
    for layer, top in layers:
        if layer.type == "Crop" and len(layer.bottom) == 2:
            yield from check_offset(which, layer, top)


def mapped(net: prototxts.NetParameter) -> tuple[Layers, str]:
    """The layers with net_spec's tops, or why they cannot be had."""
    try:
        return layers_and_tops(prototxts.deploy(net)), ""
    except (AssertionError, KeyError, AttributeError, TypeError) as error:
        return [], f"{type(error).__name__}: {error}"


def check_offset(which: str, layer: Any, top: Any) -> Iterator[Finding]:
    """A finding if a Crop does not put its bottoms on each other."""
    try:
        place = position_map(*top.fn.inputs)
    except (AssertionError, KeyError, ValueError):
        return
    if place is None:
        return
    scale, shift = place
    stated = [int(value) for value in crop_params(top.fn)[1]]
    where = f"[i] of {layer.bottom[0]!r} lies at {scale:g} i {shift:+g} of {layer.bottom[1]!r}"
    if abs(scale - 1) > 1e-6:
        what = f"layer {layer.name!r} of the {which} net crops blobs of different scales"
        way = f"a Deconvolution of {layer.bottom[0]!r} by {scale:g} before it"
        yield Finding("net.scale", WARN, what, where, way)
    elif any(value != -shift for value in stated) and layer.crop_param.axis >= 2:
        far = max(abs(value + shift) for value in stated)
        what = f"layer {layer.name!r} of the {which} net puts scores {far:g} pixels off"
        evidence = f"{where}, so the offset should be {-shift:g}; the file says {stated[0]}"
        way = f"crop_param {{ axis: 2 offset: {-shift:g} }} (fcn explain shows where it comes from)"
        yield Finding("net.offset", WARN, what, evidence, way)


# ---- losses and outputs


def check_outputs(case: Case, which: str, net: prototxts.NetParameter) -> Iterator[Finding]:
    """Scores against the classes that the labels have."""
    for layer in net.layer:
        if layer.type != "SoftmaxWithLoss" or len(layer.bottom) < 2:
            continue
        score, label = layer.bottom[:2]
        outputs, classes = outputs_of(net, score), case.classes_of(which, label)
        if outputs and classes and outputs != classes:
            fewer = outputs < classes
            what = (
                f"blob {score!r} of the {which} net has {counted(outputs, 'channel')}, "
                f"but the labels have {counted(classes, 'class', 'classes')}"
            )
            evidence = f"layer {layer.name!r}; label values are 0 to {classes - 1}"
            way = f"num_output: {classes} in its score layers, or 'classes': {outputs} in param_str"
            yield Finding("net.outputs", REFUSE if fewer else WARN, what, evidence, way)


# ---- train against test


def check_same_layers(case: Case) -> Iterator[Finding]:
    """Layers that are learned and not scored, or scored and not learned."""
    if len(case.nets) < 2:
        return
    learned, scored = (
        {layer.name for layer in net.layer if layer.type in CHANGES_CHANNELS}
        for net in case.nets.values()
    )
    other = sorted(scored - learned)
    if other:
        verb = "is" if len(other) == 1 else "are"
        what = f"{counted(len(other), 'layer')} of the test net {verb} not in the train net: never learned"
        way = "give the layers of both nets the same names"
        yield Finding("net.differ", REFUSE, what, ", ".join(other[:9]), way)
