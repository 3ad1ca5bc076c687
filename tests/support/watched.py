"""A solver that is watched, and its scoring."""

import math

from fcn import measures, scoring
from fcn.findings import NOTE
from fcn.watching import Watch


def watched(solver, at_leisure=False, **more):
    """The watch, and the list of what it tells; `at_leisure` it looks however long that takes."""
    told = []
    watch = Watch(solver, {"score": 3}, tell=told.append, **more)
    if at_leisure:
        watch.spent = -math.inf
    return watch, told


def score(watch, images=3):
    net = watch.solver.test_nets[0]
    net.share_with(watch.solver.net)
    hist, loss = scoring.compute_hist(net, None, "cde"[:images])
    return watch.scored("score", hist, loss, measures.scores(hist), images)


def kinds(told):
    return [finding.kind for finding in told if finding.level != NOTE]
