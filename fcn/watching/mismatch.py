"""What differs between the pictures that a net trains on and those that it is scored on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fcn.findings import WARN, Finding
from fcn.watching.causes import Cause
from fcn.watching.signatures import renumbered

LOOKS = 10  # at the labels that are trained on
STEPS = 10  # of a training; after fewer its losses say nothing of the scored pictures
FEW = 5  # looks that tell which classes are frequent
MOST, HARDLY_ANY = 0.5, 0.05  # shares of the pixels


class Labels:
    """The classes of the labels that a net trains on, score blob by score blob."""

    def __init__(self, classes: Mapping[str, int]):
        self.counts = {name: np.zeros(count, np.int64) for name, count in classes.items()}
        self.looks = dict.fromkeys(classes, 0)

    def add(self, name: str, values: np.ndarray) -> float:
        """Count the labels of a batch; returns how many of a picture are of a class."""
        counts = self.counts[name]
        valid = values[(values >= 0) & (values < len(counts))]
        counts += np.bincount(valid.astype(np.int64), minlength=len(counts))
        self.looks[name] += 1
        return valid.size / len(values)

    def only(self, name: str) -> int | None:
        """The only class there was; None before there were enough looks, or if there are several."""
        seen = np.flatnonzero(self.counts[name])
        return int(seen[0]) if len(seen) == 1 and self.looks[name] >= LOOKS else None

    def differ(self, name: str, hist: Any, learned: bool) -> list[Finding]:
        """A finding if classes have other numbers in training than in the scored pictures.

        `learned`: the net is right on most of what it trains on.
        """
        if name not in self.counts:
            return []
        truth, looks = np.asarray(hist).sum(1), self.looks[name]
        most = int(truth.argmax())
        scored = truth / max(truth.sum(), 1)
        trained = self.counts[name] / max(self.counts[name].sum(), 1)
        other = int(trained.argmax())
        evidence = ""
        if looks >= FEW and scored[most] >= MOST and trained[most] < HARDLY_ANY:
            evidence = (
                f"class {most} fills {scored[most]:.1%} of the scored pictures and {trained[most]:.1%} "
                f"of {looks} that are trained on, class {other} {scored[other]:.1%} and "
                f"{trained[other]:.1%}"
            )
        elif learned and (pairs := renumbered(hist)):
            shown = ", ".join(f"class {k} is given {v}" for k, v in list(pairs.items())[:4])
            evidence = f"{shown}, in most of its pixels each"
        if not evidence:
            return []
        what = f"the labels that {name} trains on are numbered otherwise than those that are scored"
        way_out = "look at both sets' masks: a class must have the same number in both, void be 255"
        return [Finding("labels.differ", WARN, what, evidence, way_out)]


def why_unlike(trained: float, scored: float, guess: float) -> Cause:
    """A net that is better than a guess where it trains, and worse where it is scored, as a cause.

    The three are losses, `guess` that of equal scores.
    """
    return Cause(
        "unlike",
        "it is right on what it trains on, and wrong on what is scored: the two differ",
        "compare the two nets' data layers: the numbers of the classes, mean, order of the channels",
        f"loss {trained:.3g} a pixel in training and {scored:.3g} in the scoring, {guess:.3g} for equal "
        "scores",
    )


def why_means(net: Any, test_net: Any) -> Cause | None:
    """The means of the two nets' data layers as a cause, if they differ."""
    means = [np.ravel(getattr(each.layers[0], "mean", ())) for each in (net, test_net)]
    if not all(mean.size for mean in means) or np.array_equal(means[0], means[1]):
        return None
    train, test = (", ".join(f"{value:g}" for value in mean) for mean in means)
    text = "the data layers of the train and the test net subtract different means"
    return Cause("data", text, "give both the same mean", f"train ({train}), test ({test})")
