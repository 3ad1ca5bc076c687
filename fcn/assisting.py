"""Training by several workers: how worker 0 takes the others along, and what they do.

Worker 0 trains as one does alone: it finds what to start from, looks for what would spoil the run,
tells, scores, saves. The others build the same solver, make the same steps on their own pictures, and
score their share. Gradients are averaged before each update.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import text_format

import caffe
from fcn import devices, scoring, together
from fcn.stopping import handled_by, restore


class Orders(NamedTuple):
    """What worker 0 tells the others at the beginning."""

    settings: str  # SolverParameter
    at: tuple[int, int]  # iter and current_step of the solver
    last: int  # iteration
    steps: int  # between two scorings
    scored: dict[str, str]  # score blob -> label blob
    ids: Sequence[str]
    unscored: bool  # whether scoring comes first
    recompute: bool


def take_along(group: Any, solver: Any, plan: Any, args: argparse.Namespace) -> None:
    """Give the other workers their orders, the weights and the histories."""
    orders = Orders(
        text_format.MessageToString(solver.param),
        (solver.iter, solver.current_step),
        plan.last,
        plan.steps,
        dict(plan.scored),
        plan.ids,
        plan.unscored,
        args.recompute,
    )
    group.gather(orders)
    link(solver, args.compress)


def link(solver: Any, compress: bool) -> None:
    """Join a solver to those of the other workers."""
    nccl = caffe.NCCL(solver, bf16=compress)
    nccl.bcast()
    solver.add_callback(nccl)
    solver.net.after_backward(nccl)


def assist(group: Any, folder: Path, args: argparse.Namespace) -> int:
    """Be one of the other workers until worker 0 is at its end; returns the exit code.

    What goes wrong is told by worker 0, unless it cannot be reached.
    """
    os.chdir(folder)  # paths in prototxts are relative to the model's folder
    try:
        with together.told_once():
            devices.use(args)
            orders: Orders = group.gather(None)[0]
            solver = solver_of(orders)
            link(solver, args.compress)
            return follow(solver, orders)
    except caffe.workers.WorkerLost as lost:
        if "worker 0 cannot" in str(lost):
            raise
        return 1
    except Exception as error:
        group.fail(error)
        return 1


def solver_of(orders: Orders) -> Any:
    """The same solver as worker 0's, at the same iteration."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(orders.settings)
        file.flush()
        solver = caffe.get_solver(file.name)
    solver.iter, solver.current_step = orders.at
    if orders.recompute:
        solver.net.recompute()
    return solver


def follow(solver: Any, orders: Orders) -> int:
    """Step and score with worker 0; returns the exit code, that of a signal if one came."""
    received: list[int] = []
    before = handled_by(lambda signum, frame: received.append(signum))
    solver.action = lambda: "stop" if received else "none"
    try:
        if orders.unscored:
            score(solver, orders)
        while solver.iter < orders.last:
            target = solver.iter + orders.steps - solver.iter % orders.steps
            solver.step(target - solver.iter)
            if solver.iter < target:
                break
            score(solver, orders)
    finally:
        restore(before)
    return 128 + received[0] if received else 0


def score(solver: Any, orders: Orders) -> None:
    """Score this worker's share of the pictures."""
    net = solver.test_nets[0]
    net.share_with(solver.net)
    for layer, gt in orders.scored.items():
        scoring.compute_hist(net, None, orders.ids, layer, gt)


def stopped_by_another(solver: Any, target: int, stopping: Any) -> None:
    """End the run as by SIGTERM where a worker was asked to stop and this one was not."""
    if solver.iter < target and stopping.signum is None:
        print("another worker was asked to stop", file=sys.stderr, flush=True)
        stopping.receive(signal.SIGTERM)
