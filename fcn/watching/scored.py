"""Findings about scores and losses, as sentences."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fcn.findings import NOTE, WARN, Finding
from fcn.watching.causes import SMALLER_RATE, START_ANEW, Cause
from fcn.watching.pace import NO_RATE
from fcn.watching.signatures import SATURATED, is_saturated, is_uniform, only_given, only_true

FAR_BELOW, BELOW = 0.8, 0.95  # shares of the start's mean IU
PATIENCE = 3  # scorings of one class only, after which that is no matter of time


def uniform(layer: str, classes: int, loss: float, steps: int, cause: Cause | None) -> Finding:
    """The loss is that of equal scores, and has been for so many steps."""
    why = f": {cause.text}" if cause else ", and none of the known causes holds"
    more = f"; {cause.evidence}" if cause and cause.evidence else ""
    return Finding(
        "uniform",
        WARN,
        f"{layer} gives all {classes} classes the same score{why}",
        f"loss {loss:.7g}, that is ln({classes}) = {math.log(classes):.5f} a pixel, for {steps} steps{more}",
        cause.way_out if cause else "look at the learning rate, the labels and the data",
    )


def stuck(lost: Any) -> list[Finding]:
    """Layers that can never learn, a `caffe.learnable.Stuck`; none if that is None."""
    if lost is None:
        return []
    what, _, way_out = str(lost).partition(". Way out: ")
    can = f"{len(lost.learning)} layers can" if lost.learning else "no layer's weights can"
    return [Finding("stuck", WARN, what, f"{can} learn", way_out or "give layers an lr_mult")]


def still(cause: Cause) -> Finding:
    """The weights do not move."""
    return Finding(
        "still", WARN, f"training stands still: {cause.text}", cause.evidence, cause.way_out
    )


def exploded(layer: str, times: float, steps: int, cause: Cause) -> Finding:
    """The loss is far above that of equal scores, and has been for so many steps."""
    return Finding(
        "exploded",
        WARN,
        f"the loss of {layer} has exploded: {cause.text}",
        f"{times:.3g} times that of equal scores for {steps} steps; {cause.evidence}",
        cause.way_out,
    )


def saturated(
    layer: str, loss: float, pixels: float | None, cause: Cause | None, wrong: float = 1.0
) -> Finding:
    """The loss is the largest there is; without a cause the start was so."""
    share = "every pixel" if wrong == 1 else f"every wrong pixel ({wrong:.1%} of them all)"
    evidence = (
        f"loss {loss:.7g}{f' over {pixels:.0f} pixels' if pixels else ''}, that is "
        f"-ln(FLT_MIN) = {SATURATED:.4f} for each"
    )
    return Finding(
        "saturated",
        WARN,
        f"the softmax of {layer} is saturated: the scores are so large that the right class gets "
        f"probability 0 in {share}",
        f"{evidence}; {cause.evidence}" if cause and cause.evidence else evidence,
        cause.way_out
        if cause
        else "this run's rate has not done this: start from other weights, or an older snapshot",
    )


def one_true_class(layer: str, only: int, which: str) -> Finding:
    """The truth holds one class."""
    return Finding(
        "labels.one_class",
        WARN,
        f"the {which} hold class {only} only, so that no score of {layer} says anything",
        f"every labelled pixel is class {only}; others are ignored or no class",
        "look at the masks: values 0 and 255 are background and void, not two classes; map 255 to 1",
    )


def dead(layer: str, share: float, early: float, looks: int, at_start: bool) -> Finding:
    """Rectified channels that are zero everywhere; `at_start`: before the first step, too."""
    channels = "all channels" if share == 1 else "most channels"
    are = "were dead before the first step" if at_start else "are dead"
    return Finding(
        "dead",
        WARN,
        f"{channels} of {layer} {are}: zero everywhere, and they get no gradient",
        f"{share:.0%} of them in {looks} looks in a row; {early:.0%} in the first ones",
        START_ANEW if at_start else SMALLER_RATE,
    )


def no_rate(reason: str, rate: float) -> Finding:
    """The policy gives no rate."""
    return Finding("no_rate", WARN, reason, f"rate {rate:g}", NO_RATE)


def from_scores(
    layer: str,
    hist: Any,
    loss: float,
    result: Mapping[str, Any],
    pixels: float | None,
    summed: bool | None,
    cause: Cause | None,
) -> list[Finding]:
    """What a confusion matrix and a loss tell by themselves; `cause`: of scores that are too large."""
    found = []
    truth = only_true(hist)
    if truth is not None and len(np.asarray(hist)) > 1:
        found.append(one_true_class(layer, truth, "scored pictures"))
    wrong = 1 - float(result["pixel_accuracy"])
    if is_saturated(loss, pixels, summed, wrong):
        found.append(saturated(layer, loss, pixels, cause, wrong))
    return found


def collapsed(
    layer: str,
    hist: Any,
    loss: float,
    result: Mapping[str, Any],
    pixels: float | None = None,
    summed: bool | None = None,
) -> Finding | None:
    """A note that all pixels are given one class, with the numbers that show it; else None."""
    given, classes = only_given(hist), len(np.asarray(hist))
    if given is None or classes < 2 or only_true(hist) is not None:
        return None
    b = float(result["pixel_accuracy"])
    measures = ", ".join(
        f"{name.replace('_', ' ')} {result[name]:.4f}"
        for name in ("pixel_accuracy", "mean_accuracy", "mean_iu", "fw_iu")
    )
    present = np.count_nonzero(np.asarray(hist).sum(1))
    evidence = (
        f"{measures}: b, 1/C, b/C and b squared, for C = {present} classes in the truth and a share "
        f"b = {b:.4f} of class {given}"
    )
    if is_uniform(loss, classes, pixels, summed):
        evidence += f"; loss {loss:.7g}, ln({classes}) a pixel"
    return Finding(
        "collapsed",
        NOTE,
        f"every pixel of {layer} is given class {given}",
        evidence,
        "early in training this is usual; if the next scores are the same, look at rate and labels",
    )


def because(finding: Finding, cause: Cause) -> Finding:
    """A finding that has a cause: a warning."""
    what = f"{finding.what}: {cause.text}"
    evidence = "; ".join(filter(None, (finding.evidence, cause.evidence)))
    return Finding(finding.kind, WARN, what, evidence, cause.way_out)


def again(finding: Finding, times: int) -> Finding:
    """The same, so many scorings in a row: a warning after a few."""
    if times < PATIENCE:
        return finding
    return Finding(
        finding.kind,
        WARN,
        f"{finding.what}, scoring after scoring",
        f"{times} in a row; {finding.evidence}",
        "none of the known causes holds: look at the rate, and at whether masks lie on their pictures",
    )


def below_start(
    layer: str,
    result: Mapping[str, Any],
    start: Mapping[str, Any] | None,
    steps: int,
    moved: bool = True,
) -> Finding | None:
    """Scores below those of the net that training started from, on as many pictures.

    Not `moved`: the weights are still those of the start.
    """
    if not start or not start.get("mean_iu"):
        return None
    images = start.get("images"), result.get("images")
    if None not in images and images[0] != images[1]:
        return None
    now, then = float(result["mean_iu"]), float(start["mean_iu"])
    if not now < BELOW * then:
        return None
    copied = (
        "see whether the start's layers were all copied, and whether mean, channels and labels are "
    )
    return Finding(
        "below_start",
        WARN if now < FAR_BELOW * then else NOTE,
        f"{layer} scores below the net that this stage started from",
        f"mean IU {now:.4f} after {steps} steps, {then:.4f} at the start",
        f"{'take a smaller base_lr, or ' if moved else 'the weights have hardly moved: '}{copied}"
        "those that it was trained with",
    )
