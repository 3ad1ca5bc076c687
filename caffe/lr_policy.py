"""Learning-rate policies (GetLearningRate in src/caffe/solvers/sgd_solver.cpp)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .c_math import c_pow
from .glog import info

if TYPE_CHECKING:
    from .solver import Solver


def _step(p: Any, solver: "Solver") -> float:
    if p.stepsize <= 0:
        raise ValueError(f"lr_policy 'step' needs a stepsize above 0, got {p.stepsize}")
    solver.current_step = solver.iter // p.stepsize
    return c_pow(p.gamma, solver.current_step)


def _multistep(p: Any, solver: "Solver") -> float:
    # Every reading of the rate may advance current_step, by one at most, as in Caffe.
    if solver.current_step < len(p.stepvalue) and solver.iter >= p.stepvalue[solver.current_step]:
        solver.current_step += 1
        info(
            "sgd_solver.cpp:57",
            f"MultiStep Status: Iteration {solver.iter}, step = {solver.current_step}",
        )
    return c_pow(p.gamma, solver.current_step)


def _poly(p: Any, solver: "Solver") -> float:
    # Beyond max_iter the base is negative. Without max_iter it is NaN, and NaN to the power 0 is 1.
    with np.errstate(all="ignore"):
        return c_pow(1 - np.divide(solver.iter, p.max_iter), p.power)


def _sigmoid(p: Any, solver: "Solver") -> float:
    with np.errstate(over="ignore"):
        return float(1 / (1 + np.exp(np.float64(-p.gamma * (solver.iter - p.stepsize)))))


# name -> factor of base_lr, from the solver's parameters and its iteration
LR_POLICIES: dict[str, Callable[[Any, "Solver"], float]] = {
    "fixed": lambda p, solver: 1.0,
    "step": _step,
    "exp": lambda p, solver: c_pow(p.gamma, solver.iter),
    "inv": lambda p, solver: c_pow(1 + p.gamma * solver.iter, -p.power),
    "multistep": _multistep,
    "poly": _poly,
    "sigmoid": _sigmoid,
}
_USE_GAMMA = ("step", "exp", "inv", "multistep")


def learning_rate(solver: "Solver") -> float:
    """The rate of the solver's current iteration, rounded to float32 as Caffe's.

    ValueError for a policy that is unknown or lacks a setting.
    """
    p = solver.param
    if p.lr_policy not in LR_POLICIES:
        known = ", ".join(LR_POLICIES)
        what = f"unknown lr_policy '{p.lr_policy}'" if p.lr_policy else "lr_policy is not set"
        raise ValueError(f"{solver.source}: {what}; known: {known}")
    if p.lr_policy in _USE_GAMMA and p.gamma < 0:
        raise ValueError(
            f"{solver.source}: lr_policy '{p.lr_policy}' needs a gamma of at least 0, got {p.gamma:g}"
        )
    return float(np.float32(p.base_lr * LR_POLICIES[p.lr_policy](p, solver)))
