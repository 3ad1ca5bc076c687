"""The recipe: rates, momentum, clipping and schedules that learn, and that do not."""

from types import SimpleNamespace

import numpy as np
import pytest

from caffe.lr_policy import learning_rate
from fcn.doctor.schedule import factors


def solver(task, **fields):
    """Change fields of the task's solver.prototxt; a list stands for a repeated field."""
    path = task.folder / "solver.prototxt"
    lines = [line for line in path.read_text().splitlines() if line.partition(":")[0] not in fields]
    for name, value in fields.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{name}: {each}" for each in values]
    path.write_text("\n".join(lines) + "\n")


def found(task, steps=1200):
    return [each for each in task.find(built=False, steps=steps)]


@pytest.mark.parametrize("rate", [0.12, 0.15, 0.2, 3])
def test_rates_that_become_nan(task, rate):
    solver(task, base_lr=rate)
    (finding,) = found(task)
    assert finding.kind == "recipe.rate" and "too large" in finding.what
    assert "above 0.17" in finding.evidence and "base_lr=1e-3" in finding.way_out


@pytest.mark.parametrize(
    "rate, momentum, learns",
    [(0.05, 0.9, True), (0.06, 0.9, False), (0.016, 0.99, True), (0.03, 0.99, False)]
    + [(0.15, 0.0, True), (0.2, 0.0, False), (0.01, 0.9, True), (0.001, 0.99, True)],
)
def test_what_was_measured(task, rate, momentum, learns):
    """Each of these was trained for 200 steps: it learned, or became NaN."""
    solver(task, base_lr=rate, momentum=momentum)
    assert (found(task) == []) == learns


@pytest.mark.parametrize("summed", [False, True])
def test_no_rate(task, summed):
    solver(task, base_lr=0)
    if summed:
        task.edit("normalize: true", "normalize: false")
    (finding,) = found(task)
    assert (finding.kind, finding.level) == ("recipe.rate", "refuse")
    assert f"--set base_lr={'1e-10' if summed else '1e-3'}" in finding.way_out


@pytest.mark.parametrize(
    "rate, clip, learns", [(0.08, 5, True), (0.2, 1, True), (1, 0.5, True), (0.2, 5, False)]
)
def test_clipping(task, rate, clip, learns):
    """Measured as above. Clipping changes what a rate does, and does not hide it."""
    solver(task, base_lr=rate, clip_gradients=clip)
    findings = found(task)
    assert (findings == []) == learns
    assert all(f"by clip_gradients {clip}" in each.evidence for each in findings)


def test_clipping_takes_the_gradient_of_a_sum_away(task):
    task.edit("normalize: true", "normalize: false")
    solver(task, base_lr="1e-10", momentum=0.99)
    assert found(task) == []
    solver(task, clip_gradients=10)
    (finding,) = found(task)
    assert "too small" in finding.what and "by clip_gradients 10" in finding.evidence
    assert "clip_gradients=-1" in finding.way_out


HEALTHY = {
    "fixed": dict(lr_policy='"fixed"'),
    "step": dict(lr_policy='"step"', gamma=0.1, stepsize=400),
    "poly": dict(lr_policy='"poly"', power=0.9, max_iter=1200),
    "steep poly": dict(lr_policy='"poly"', power=4, max_iter=1200),
    "exp": dict(lr_policy='"exp"', gamma=0.996),
    "inv": dict(lr_policy='"inv"', gamma=0.01, power=0.75),
    "sigmoid": dict(lr_policy='"sigmoid"', gamma=-0.01, stepsize=600),
    "warm-up": dict(lr_policy='"sigmoid"', gamma=0.05, stepsize=100),
    "multistep": dict(lr_policy='"multistep"', gamma=0.1, stepvalue=[600, 1000]),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_schedules(task, name):
    solver(task, **HEALTHY[name])
    assert found(task) == []


WRONG = {  # fields of the solver; level; words of the finding
    "at once": (dict(gamma="1e-6", stepvalue=1), "refuse", "falls to almost nothing"),
    "long before the end": (dict(gamma=0.1, stepvalue=[60, 90, 120]), "warn", "90% of them"),
    "step": (dict(lr_policy='"step"', gamma=0.1, stepsize=10), "warn", "stepsize=400"),
    "step of nothing": (dict(lr_policy='"step"', gamma=0.1), "refuse", "needs a stepsize above 0"),
    "exp": (dict(lr_policy='"exp"', gamma=0.5), "warn", "gamma 0.5"),
    "exp of 0": (dict(lr_policy='"exp"', gamma=0), "refuse", "almost nothing"),
    "inv": (dict(lr_policy='"inv"', gamma=1, power=2), "warn", "on average"),
    "poly": (dict(lr_policy='"poly"', power=60, max_iter=1200), "warn", "power=0.9 max_iter=1200"),
    "poly that ends early": (
        dict(lr_policy='"poly"', power=1, max_iter=600),
        "refuse",
        "negative from about step 600 of 1200",
    ),
    "poly that is no number": (
        dict(lr_policy='"poly"', power=0.9, max_iter=600),
        "refuse",
        "no number from about step 60",
    ),
    "poly that rises again": (
        dict(lr_policy='"poly"', power=2, max_iter=900),
        "warn",
        "rising again from about step 900",
    ),
    "poly without an end": (dict(lr_policy='"poly"', power=0.9, max_iter=0), "refuse", "infinite"),
    "sigmoid": (
        dict(lr_policy='"sigmoid"', gamma=0.1, stepsize=9000),
        "refuse",
        "is almost nothing",
    ),
    "growth": (dict(lr_policy='"exp"', gamma=1.01), "warn", "which lr_policy takes to 1.52e+03"),
    "growth to infinity": (dict(lr_policy='"exp"', gamma=10), "refuse", "infinite"),
    "below 0": (dict(lr_policy='"step"', gamma=-0.5, stepsize=300), "refuse", "negative"),
    "unknown": (dict(lr_policy='"cosine"'), "refuse", "known are fixed, step"),
    "none": (dict(lr_policy='""'), "refuse", "no lr_policy is set"),
}


@pytest.mark.parametrize("name", WRONG)
def test_schedules(task, name):
    fields, level, words = WRONG[name]
    solver(task, **fields)
    (finding,) = found(task)
    assert finding.level == level and words in str(finding)
    assert finding.kind.startswith("recipe.") and finding.way_out.startswith("--set ")


def test_the_solver_s_end_stands_in_for_unknown_steps(task):
    solver(task, lr_policy='"poly"', power=1, max_iter=600)
    assert found(task, steps=0) == []


def test_an_adaptive_solver(task):
    solver(task, base_lr=0.001, type='"Adam"')
    assert found(task) == []
    solver(task, base_lr=0.5)
    (finding,) = found(task)
    assert "far too large for Adam" in finding.what
    solver(task, base_lr=1e-9)
    (finding,) = found(task)
    assert "far too small for Adam" in finding.what and "base_lr=1e-4" in finding.way_out


def test_maps_that_are_normalised_stand_more(task):
    solver(task, base_lr=0.1)
    assert [each.kind for each in found(task)] == ["recipe.rate"]
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: "conv1_1" top: "conv1_1" }'
    for name in ("train", "val"):
        path = task.folder / f"{name}.prototxt"
        path.write_text(path.read_text() + norm)
    assert found(task) == []


@pytest.mark.parametrize("name", HEALTHY)
def test_schedules_are_the_solver_s(task, name):
    solver(task, base_lr=1, **HEALTHY[name])
    case = task.case(built=False, steps=1200)
    steps, values = factors(case)
    engine = SimpleNamespace(param=case.settings, current_step=0)
    expected = []
    for engine.iter in steps.astype(int).tolist():
        expected.append(learning_rate(engine))
    assert len(steps) == 1200
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-12)


def test_rate_of_the_other_normalisation(task):
    solver = task.folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("base_lr: 0.01", "base_lr: 1e-10"))
    found = task.find()
    assert [each.kind for each in found] == ["recipe.rate"]
    assert "too small" in found[0].what and "1e-10" in found[0].evidence
    solver.write_text(solver.read_text().replace("base_lr: 1e-10", "base_lr: 0.01"))
    task.edit("normalize: true", "normalize: false")
    found = task.find()
    assert [each.kind for each in found] == ["recipe.rate"] and "43200 pixels" in found[0].evidence


@pytest.mark.parametrize(
    "fields, kind, way",
    [
        (dict(iter_size=0), "recipe.iter_size", "iter_size=1"),
        (dict(weight_decay=1), "recipe.decay", "weight_decay=0.0005"),
        (dict(lr_policy='"exp"', gamma=1.05), "recipe.rate", "gamma="),
    ],
)
def test_settings_that_spoil_every_step(task, fields, kind, way):
    solver(task, **fields)
    assert way in {each.kind: each.way_out for each in found(task)}[kind]


def test_momentum(task):
    solver = task.folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("momentum: 0.9", "momentum: 1"))
    assert task.kinds() == ["recipe.momentum"]
