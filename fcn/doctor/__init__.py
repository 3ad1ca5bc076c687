"""What is checked before the first step of training, and by `fcn doctor MODEL`.

A kind of check is a module with `check(case)`, which yields findings; CHECKS is the table of them.
`before_training(case)` runs them all. A check that lacks what it looks at (weights, data, a built
net) finds nothing; what is missing is a finding of its own.
"""

from collections.abc import Callable, Iterable, Iterator

from fcn.doctor import (
    alignment,
    data,
    first_scores,
    labels,
    memory,
    missing,
    net,
    pictures,
    recipe,
    starting_nets,
    weights,
)
from fcn.doctor.case import TEST, TRAIN, Case
from fcn.findings import Finding, by_weight

# What needs no data first, then what reads it, then the nets. A check may ask what those before it
# found, so that what follows from a fault is not told as another.
CHECKS: dict[str, Callable[[Case], Iterable[Finding]]] = {
    "what is there": missing.check,
    "the recipe": recipe.check,
    "the data layers": data.check,
    "the nets": net.check,
    "the labels": labels.check,
    "the pictures": pictures.check,
    "labels on pictures": alignment.check,
    "the weights": weights.check,
    "the starting nets": starting_nets.check,
    "what they give": first_scores.check,
    "memory": memory.check,
}

__all__ = ["CHECKS", "TEST", "TRAIN", "Case", "before_training", "findings"]


def findings(case: Case, begin: Callable[[str], object] = lambda title: None) -> Iterator[Finding]:
    """All that is found, check by check; `begin` is told of each check before it runs."""
    for title, check in CHECKS.items():
        begin(title)
        for finding in check(case):
            case.found.append(finding)
            yield finding


def before_training(case: Case) -> list[Finding]:
    """All that is found, the heaviest first."""
    return by_weight(findings(case))
