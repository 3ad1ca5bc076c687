"""The distribution under constraints: against scipy's solver, and what it promises."""

import numpy as np
import pytest
from scipy import optimize

from fcn.weak.constraints import Bound, project, softmax

SCORES = np.random.RandomState(0).randn(5, 3)


def by_scipy(scores, bounds):
    """The same by a general solver, on the primal problem; bounds hold, or cost their slack."""
    q, (cells, classes) = softmax(scores), scores.shape

    def parts(x):
        return x[: scores.size].reshape(cells, classes), x[scores.size :]

    def distance(x):
        p, violated = parts(x)
        kl = (p * np.log(np.maximum(p, 1e-12) / q)).sum() / cells
        return kl + sum(b.slack * v for b, v in zip(bounds, violated) if b.slack < 1e9)

    rules = [{"type": "eq", "fun": lambda x: parts(x)[0].sum(1) - 1}]
    for i, b in enumerate(bounds):

        def met(x, i=i, b=b):
            p, violated = parts(x)
            share = p[:, list(b.classes)].sum(1).mean()
            return b.sign * (share - b.share) + (violated[i] if b.slack < 1e9 else 0)

        rules.append({"type": "ineq", "fun": met})
    start = np.concatenate([q.ravel(), np.full(len(bounds), 0.2)])
    limits = [(1e-9, 1)] * scores.size + [(0, 1)] * len(bounds)
    found = optimize.minimize(
        distance,
        start,
        bounds=limits,
        constraints=rules,
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert found.success, found.message
    return parts(found.x)[0]


@pytest.mark.parametrize(
    "bounds",
    [
        [Bound(1, (0,), 0.7)],
        [Bound(-1, (0,), 0.1)],
        [Bound(1, (0,), 0.5), Bound(-1, (0,), 0.6), Bound(1, (1,), 0.3)],
        [Bound(1, (1, 2), 0.9)],
        [Bound(1, (0,), 0.9, 0.5)],  # dear: it stays violated
        [Bound(1, (2,), 0.4, 2.0), Bound(1, (0,), 0.3)],
        [Bound(1, (0,), 0.01)],  # holds anyway
    ],
)
def test_it_is_the_nearest(bounds):
    np.testing.assert_allclose(project(SCORES, bounds), by_scipy(SCORES, bounds), atol=2e-4)


def test_hard_constraints_hold():
    rng = np.random.RandomState(1)
    for _ in range(20):
        scores = 4 * rng.randn(60, 4)
        bounds = [Bound(1, (0,), 0.3), Bound(-1, (0,), 0.6), Bound(1, (2,), 0.25)]
        share = project(scores, bounds).mean(0)
        assert 0.3 - 1e-3 <= share[0] <= 0.6 + 1e-3 and share[2] >= 0.25 - 1e-3


def test_without_constraints_it_is_the_net_s():
    np.testing.assert_allclose(project(SCORES, []), softmax(SCORES))


@pytest.mark.parametrize(
    "bounds, said",
    [
        (
            [Bound(1, (0,), 0.7), Bound(-1, (0,), 0.6)],
            "share of class 0 at least 0.7; share of class 0 at",
        ),
        (
            [Bound(1, (0,), 0.6), Bound(1, (1,), 0.6)],
            "shares add up to 1.2: share of class 0 at least",
        ),
        ([Bound(-1, (k,), 0.2) for k in range(3)], "all classes' shares are at most 0.6"),
    ],
)
def test_constraints_that_cannot_be_met_together(bounds, said):
    with pytest.raises(ValueError, match=f"cannot be met together.*{said}"):
        project(SCORES, bounds)
