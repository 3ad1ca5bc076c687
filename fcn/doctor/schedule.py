"""How the rate changes over the steps that are planned: lr_policy, as Caffe computes it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from fcn.doctor.case import Case
from fcn.findings import REFUSE, WARN, Finding
from fcn.wording import counted

UNKNOWN = 10000  # steps, where neither the recipe nor the solver says how many
LOOKED_AT = 2000  # steps that are computed, evenly over all
LEAST_MEAN, NO_MEAN = 0.05, 1e-3  # of base_lr, over all steps: told; refused
NOTHING = 1.1e-3  # of base_lr, a thousandth: less changes nothing more
IDLE = 0.5  # share of the steps that may be spent at less than that


def _multistep(p: Any, step: np.ndarray) -> np.ndarray:
    """Times gamma at each stepvalue that was reached, in their order."""
    values = np.array(p.stepvalue, float)
    values = np.maximum.accumulate(values) if len(values) else values
    return p.gamma ** np.searchsorted(values, step, side="right").astype(float)


class Policy(NamedTuple):
    """A way in which the rate changes."""

    fields: tuple[str, ...]  # of the solver, that it reads
    factor: Callable[[Any, np.ndarray], np.ndarray]  # of base_lr, at these steps


POLICIES = {  # as sgd_solver.cpp has them
    "fixed": Policy((), lambda p, step: np.ones_like(step)),
    "step": Policy(("gamma", "stepsize"), lambda p, step: p.gamma ** (step // p.stepsize)),
    "exp": Policy(("gamma",), lambda p, step: p.gamma**step),
    "inv": Policy(("gamma", "power"), lambda p, step: (1 + p.gamma * step) ** -p.power),
    "multistep": Policy(("gamma", "stepvalue"), _multistep),
    "poly": Policy(("power", "max_iter"), lambda p, step: (1 - step / p.max_iter) ** p.power),
    "sigmoid": Policy(
        ("gamma", "stepsize"), lambda p, step: 1 / (1 + np.exp(-p.gamma * (step - p.stepsize)))
    ),
}


def planned(case: Case) -> int:
    """The number of steps that are planned."""
    return case.steps or case.settings.max_iter or UNKNOWN


def factors(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """(steps, what base_lr is multiplied by at each); a policy that Caffe does not know: by 1."""
    steps = np.unique(np.linspace(0, planned(case) - 1, LOOKED_AT).astype(int)).astype(float)
    policy = POLICIES.get(case.settings.lr_policy, POLICIES["fixed"])
    with np.errstate(all="ignore"):
        return steps, np.asarray(policy.factor(case.settings, steps), float)


def peak(case: Case) -> float:
    """The largest factor; 1 for a schedule that makes no sense, which is told by itself."""
    values = factors(case)[1]
    return float(values.max()) if np.isfinite(values).all() and values.max() > 0 else 1.0


def check_schedule(case: Case) -> Iterator[Finding]:
    """Findings on a policy that is none, and on a rate that makes no sense or is almost nothing."""
    settings, policy = case.settings, case.settings.lr_policy
    if policy not in POLICIES:
        what = f"lr_policy {policy!r} is unknown" if policy else "no lr_policy is set"
        known = f"known are {', '.join(POLICIES)}"
        yield Finding("recipe.policy", REFUSE, what, known, "--set lr_policy=fixed, as published")
    elif policy == "step" and settings.stepsize <= 0:
        what = f"lr_policy 'step' needs a stepsize above 0, and it is {settings.stepsize}"
        way = f"--set {ways(planned(case))['step']}"
        yield Finding("recipe.policy", REFUSE, what, "solver.prototxt", way)
    else:
        found = senseless(case) or too_small(case)
        yield from [found] if found else []


def senseless(case: Case) -> Finding | None:
    """A finding on a rate that is negative or no number, or that poly lets rise again."""
    settings, (steps, values) = case.settings, factors(case)
    beyond = settings.lr_policy == "poly" and (steps >= max(settings.max_iter, 1))
    wrong = np.flatnonzero(~np.isfinite(values) | (values < 0) | beyond)
    if not len(wrong):
        return None
    value = values[wrong[-1]]
    kinds = {"no number": np.isnan(value), "infinite": np.isinf(value), "negative": value < 0}
    kind = next((kind for kind, holds in kinds.items() if holds), "rising again")
    what = f"the rate is {kind} from about step {steps[wrong[0]]:.0f} of {planned(case)} on"
    evidence = f"{text_of(settings)}: {value * settings.base_lr:g} at step {steps[wrong[-1]]:.0f}"
    level = WARN if kind == "rising again" else REFUSE
    return Finding("recipe.schedule", level, what, evidence, way_out(case))


def too_small(case: Case) -> Finding | None:
    """A finding on a rate that is almost nothing, at once or for most of the steps."""
    count, values = planned(case), factors(case)[1]
    mean, idle = float(values.mean()), float((values < NOTHING).mean())
    if mean >= LEAST_MEAN and idle <= IDLE:
        return None
    falls = "falls to" if values[0] > values[-1] else "is"
    what = f"the rate {falls} almost nothing, with {text_of(case.settings)}"
    evidence = (
        f"over {counted(count, 'step')} it is {mean:.2g} of base_lr on average, and a thousandth or less "
        f"in {idle:.0%} of them; at the first {values[0]:.2g}, at the last {values[-1]:.2g}"
    )
    level = REFUSE if mean < NO_MEAN else WARN
    return Finding("recipe.schedule", level, what, evidence, way_out(case))


def ways(count: int) -> dict[str, str]:
    """Settings of each policy that fit so many steps."""
    return {
        "step": f"gamma=0.1 stepsize={-(-count // 3)}",
        "multistep": f"gamma=0.1 stepvalue={int(0.8 * count)}",
        "exp": f"gamma={0.01 ** (1 / count):.8f}",
        "inv": f"gamma={10 / count:.1g} power=0.75",
        "poly": f"power=0.9 max_iter={count}",
        "sigmoid": f"gamma={-10 / count:.1g} stepsize={count // 2}",
    }


def way_out(case: Case) -> str:
    """Settings of the case's policy that fit its steps."""
    fitting = ways(planned(case))[case.settings.lr_policy]
    return f"--set {fitting}; or --set lr_policy=fixed, as published"


def text_of(settings: Any) -> str:
    """The policy and the fields that it reads, as they are set."""
    values = [f"{name} {value_of(settings, name)}" for name in POLICIES[settings.lr_policy].fields]
    return ", ".join([f"lr_policy {settings.lr_policy!r}", *values])


def value_of(settings: Any, name: str) -> str:
    """A field's value; several of one that is repeated."""
    value = getattr(settings, name)
    return f"{value:g}" if isinstance(value, int | float) else ", ".join(map(str, value)) or "none"
