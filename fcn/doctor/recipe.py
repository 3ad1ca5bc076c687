"""The recipe: rate, momentum and how the loss is normalised, against those that are known to learn."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fcn import prototxts
from fcn.doctor.case import TRAIN, Case
from fcn.doctor.schedule import check_schedule, peak
from fcn.doctor.schedule import way_out as schedule_way_out
from fcn.findings import REFUSE, WARN, Finding

# The effective step per pixel is rate * (pixels if the loss is a sum over them) / (1 - momentum).
# Published, on 500x375 pictures: 32s 1.9e-3, 16s 1.9e-5, 8s 1.9e-7; AlexNet (a mean) 1e-3. The
# embedded task (a mean): 1e-1. SIFT Flow's pictures are a third as large: 32s 6.6e-4, 8s 6.6e-6.
FROM_CLASSIFIER = 1e-6  # less learns almost nothing
FINE_TUNING = 2e-8  # so in a stage that starts from a coarser one
# What is too large goes with the noise of steps that momentum adds up: rate * pixels / sqrt(1 - momentum).
# The embedded task, by momentum, learns with 0: .15, .9: .05, .99: .016, and becomes NaN within 200
# steps with 0: .2, .9: .06, .99: .03: everywhere between 0.16 and 0.19. Published nets have 3e-4 at most.
LARGEST = 0.17
NORMALIZED = (
    10  # times as much where BatchNorm keeps maps in bounds: 0.1 with momentum 0.9 is usual
)
# The norm of a mean loss's gradient when the embedded task begins, which clip_gradients cuts. A rate
# of .08 (momentum .9) learns with clip_gradients 5, .2 with 1 and 1 with .5; .2 with 5 does not.
GRADIENT = 15
# The share of the weights that decay takes in a step: published nets have 5e-7 at most, the
# embedded task's 5e-5; at this one half is gone after 700 steps.
MOST_DECAY, LARGE_DECAY = 1e-3, 0.05
PIXELS = 500 * 375  # where no picture can be read
KNOWN = (
    "1e-10 (1e-12 for 16s, 1e-14 for 8s) with momentum 0.99 belong to a summed loss; 1e-4 to 1e-2 "
    "with momentum 0.9 belong to an averaged loss"
)
ADAPTIVE = ("Adam", "AdaDelta", "AdaGrad", "RMSProp")  # their step does not follow the loss's scale


def check(case: Case) -> Iterator[Finding]:
    """Findings on the solver's settings."""
    settings = case.settings
    if not 0 < settings.base_lr < np.inf:  # NaN is not, either
        what = f"base_lr is {settings.base_lr:g}: nothing would be learned"
        ways = [way_out(prototxts.loss_is_summed(loss.loss_param), True) for loss in losses(case)]
        way = ways[0] if ways else f"--set a rate: {KNOWN}"
        yield Finding("recipe.rate", REFUSE, what, "solver.prototxt", way)
        return
    if not 0 <= settings.momentum < 1:
        what = f"momentum is {settings.momentum:g}, but only 0 to below 1 comes to rest"
        way = "--set momentum=0.9, or 0.99 as published for one picture a step"
        yield Finding("recipe.momentum", REFUSE, what, "solver.prototxt", way)
        return
    if settings.iter_size < 1:
        what = f"iter_size is {settings.iter_size}: no step would see a picture"
        yield Finding("recipe.iter_size", REFUSE, what, "solver.prototxt", "--set iter_size=1")
        return
    yield from check_decay(case)
    yield from check_schedule(case)
    for loss in losses(case):
        found = of_adaptive(settings) if settings.type in ADAPTIVE else of_rate(case, loss)
        yield from [found] if found else []


def check_decay(case: Case) -> Iterator[Finding]:
    """A finding on a weight decay that takes weights away faster than they can be learned."""
    settings = case.settings
    if settings.regularization_type != "L2":
        return
    taken = settings.base_lr * settings.weight_decay * peak(case) / (1 - settings.momentum)
    if settings.weight_decay > LARGE_DECAY and taken > MOST_DECAY:  # else it is the rate
        what = f"weight_decay {settings.weight_decay:g} is far too large: weights would go to zero"
        evidence = (
            f"with base_lr {settings.base_lr:g} and momentum {settings.momentum:g} a step takes "
            f"{taken:.2g} of them"
        )
        way = "--set weight_decay=0.0005, as published"
        yield Finding("recipe.decay", WARN, what, evidence, way)


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


def of_adaptive(settings: Any) -> Finding | None:
    """A finding if the rate is far off for a solver whose steps do not follow the loss's scale.

    AdaDelta's steps have a scale of their own, and its rate is near 1.
    """
    rate, least = settings.base_lr, 1e-3 if settings.type == "AdaDelta" else 1e-6
    if least <= rate <= (10 if settings.type == "AdaDelta" else 0.1):
        return None
    what = f"base_lr {rate:g} is far too {'small' if rate < least else 'large'} for {settings.type}"
    if settings.type == "AdaDelta":
        return Finding("recipe.rate", WARN, what, "1 is usual", "--set base_lr=1")
    return Finding("recipe.rate", WARN, what, "1e-5 to 1e-3 are usual", "--set base_lr=1e-4")


def of_rate(case: Case, loss: Any) -> Finding | None:
    """A finding if the effective step per pixel is far away from all that is known to learn."""
    settings = case.settings
    summed = prototxts.loss_is_summed(loss.loss_param)
    count, read = pixels(case) if summed else (1, True)
    scale = count * abs(loss.loss_weight[0] if loss.loss_weight else 1.0)
    clip = clipped(settings, scale)
    rate = settings.base_lr * peak(case) * scale * clip
    small, large = rate / (1 - settings.momentum), rate / (1 - settings.momentum) ** 0.5
    least = FROM_CLASSIFIER if case.from_classifier else FINE_TUNING
    most = LARGEST * (NORMALIZED if has_batch_norm(case) else 1)
    if small >= least and large <= most:
        return None
    below, grown = small < least, peak(case)
    kind, size = "a sum" if summed else "a mean", "small" if below else "large"
    result = "almost nothing would be learned" if below else "the loss would become NaN"
    base = f"base_lr {settings.base_lr:g}"
    to = f", which lr_policy takes to {settings.base_lr * grown:.3g}," if grown > 1 else ""
    what = (
        f"{base}{to} is far too {size} for {loss.name!r}, which is {kind} over the pixels: {result}"
    )
    times = f"{count} pixels{'' if read else ' (assumed)'}" if summed else "1, a mean over pixels,"
    also = f" x {grown:.3g} at the schedule's peak" if grown != 1 else ""
    also += f" x {clip:.2g} by clip_gradients {settings.clip_gradients:g}" if clip < 1 else ""
    momentum = f"(1 - momentum {settings.momentum:g})"
    step = f"{momentum} = {small:.2g}" if below else f"sqrt{momentum} = {large:.2g}"
    limit = f"below {least:g} almost nothing" if below else f"above {most:g} nothing"
    evidence = f"step per pixel: {base}{also} x {times} / {step}; {limit} is known to learn"
    way = schedule_way_out(case) if grown > 1 else way_out(summed, below, clip)
    return Finding("recipe.rate", WARN, what, evidence, way)


def clipped(settings: Any, scale: float) -> float:
    """What clip_gradients leaves of a usual gradient of a loss of this scale, 1 at most."""
    limit = settings.clip_gradients
    return min(1.0, limit / (GRADIENT * scale)) if limit > 0 and scale > 0 else 1.0


def has_batch_norm(case: Case) -> bool:
    """Whether the train net normalises its maps."""
    return any(layer.type == "BatchNorm" for layer in case.nets[TRAIN].layer)


def way_out(summed: bool, small: bool, clip: float = 1.0) -> str:
    """The rate of this normalisation, or the normalisation of this rate."""
    if clip < 1 and small:
        return f"--set clip_gradients=-1, or loss_param {{ normalize: true }} and its rate: {KNOWN}"
    if summed:
        rate = "base_lr=1e-10 momentum=0.99" if not small else "base_lr=1e-10"
        change = "" if small else ", or loss_param { normalize: true }"
    else:
        rate = "base_lr=1e-3 momentum=0.9"
        change = ", or loss_param { normalize: false }" if small else ""
    return f"--set {rate}{change}: {KNOWN}"
