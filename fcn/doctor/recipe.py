"""The recipe: rate, momentum and how the loss is normalised, against those that are known to learn."""

from collections.abc import Iterator
from typing import Any

from fcn import prototxts
from fcn.doctor.case import TRAIN, Case
from fcn.findings import REFUSE, WARN, Finding

# The effective step per pixel is rate * (pixels if the loss is a sum over them) / (1 - momentum).
# Published, on 500x375 pictures: 32s 1.9e-3, 16s 1.9e-5, 8s 1.9e-7; AlexNet (a mean) 1e-3. The
# embedded task (a mean): 1e-1. SIFT Flow's pictures are a third as large: 32s 6.6e-4, 8s 6.6e-6.
FROM_CLASSIFIER = (1e-6, 3.0)
FINE_TUNING = (2e-8, 3.0)  # a stage that starts from a coarser one
PIXELS = 500 * 375  # where no picture can be read
ADAPTIVE = ("Adam", "AdaDelta", "AdaGrad", "RMSProp")  # their step does not follow the loss's scale


def check(case: Case) -> Iterator[Finding]:
    """Findings on the solver's settings."""
    settings = case.settings
    if settings.base_lr <= 0:
        what = f"base_lr is {settings.base_lr:g}: nothing would be learned"
        yield Finding("recipe.rate", REFUSE, what, "solver.prototxt", "--set base_lr=1e-10")
        return
    if not 0 <= settings.momentum < 1:
        what = f"momentum is {settings.momentum:g}, but only 0 to below 1 comes to rest"
        way = "--set momentum=0.9, or 0.99 as published for one picture a step"
        yield Finding("recipe.momentum", REFUSE, what, "solver.prototxt", way)
        return
    for loss in losses(case):
        yield from check_rate(case, loss)


def losses(case: Case) -> list[Any]:
    """The softmax losses of the train net."""
    layers = case.nets[TRAIN].layer if TRAIN in case.nets else []
    return [layer for layer in layers if layer.type == "SoftmaxWithLoss"]


def pixels(case: Case) -> tuple[int, bool]:
    """The pixels of a first picture, and whether one could be read."""
    for source in case.sources_of(TRAIN):
        for blob in case.labels(TRAIN):
            reader, top = source.reader, source.tops.get(blob)
            for id in source.ids[:5] if reader and top else []:
                assert reader is not None and top is not None
                try:
                    return int(reader.load(top, id).size), True
                except (OSError, ValueError, KeyError):
                    continue
    blobs = case.net.blobs if case.net is not None else {}
    for blob in case.labels(TRAIN):
        if blob in blobs:
            return int(blobs[blob].data[0].size), True
    return PIXELS, False


def check_rate(case: Case, loss: Any) -> Iterator[Finding]:
    """A finding if the effective step per pixel is far away from all that is known to learn."""
    settings = case.settings
    if settings.type in ADAPTIVE:
        if settings.base_lr > 0.1:
            what = f"base_lr {settings.base_lr:g} is far too large for {settings.type}"
            way = "--set base_lr=1e-4"
            yield Finding("recipe.rate", WARN, what, "1e-5 to 1e-3 are usual", way)
        return
    summed = prototxts.loss_is_summed(loss.loss_param)
    count, read = pixels(case) if summed else (1, True)
    scale = loss.loss_weight[0] if loss.loss_weight else 1.0
    step = settings.base_lr * count * abs(scale) / (1 - settings.momentum)
    low, high = FROM_CLASSIFIER if case.from_classifier else FINE_TUNING
    if low <= step <= high or (step > high and settings.clip_gradients > 0):
        return
    times = f"{count} pixels{'' if read else ' (assumed)'}" if summed else "1, a mean over pixels"
    evidence = (
        f"step per pixel: base_lr {settings.base_lr:g} x {times} / (1 - momentum "
        f"{settings.momentum:g}) = {step:.2g}; what is known to learn lies between {low:g} and {high:g}"
    )
    kind = "a sum" if summed else "a mean"
    small = step < low
    what = (
        f"base_lr {settings.base_lr:g} is far too {'small' if small else 'large'} for {loss.name!r}, "
        f"which is {kind} over the pixels: "
        + ("almost nothing would be learned" if small else "the loss would become NaN")
    )
    yield Finding("recipe.rate", WARN, what, evidence, way_out(summed, small))


def way_out(summed: bool, small: bool) -> str:
    """The rate of this normalisation, or the normalisation of this rate."""
    published = "1e-10 (1e-12 for 16s, 1e-14 for 8s) with momentum 0.99 belong to a summed loss"
    averaged = "1e-4 to 1e-2 with momentum 0.9 belong to an averaged loss"
    if summed:
        rate = "base_lr=1e-10 momentum=0.99" if not small else "base_lr=1e-10"
        change = "" if small else ", or loss_param { normalize: true }"
    else:
        rate = "base_lr=1e-3 momentum=0.9"
        change = ", or loss_param { normalize: false }" if small else ""
    return f"--set {rate}{change}: {published}; {averaged}"
