"""Trains the embedded task's classifier from random weights; `ilsvrc-nets/solve.py` is its command.

Its layers are scaled on data (fcn/scaling.py), and conv1_1 learns at 1/3600 of the rate, because raw
pixels are some 60 times as large as later blobs. Without either, it stays at chance for minutes.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import caffe
from fcn.scaling import scale_layers


def train(solver_file: str | Path, steps: int, show: int = 50) -> tuple[Any, float]:
    """Scale the layers, then train; returns the solver and the accuracy on its first test net.

    The nets have the tops label, loss and (in the test net) accuracy. The progress bar shows the
    loss every `show` steps.
    """
    solver = caffe.get_solver(str(solver_file))
    scale_layers(solver.net)
    with tqdm(total=steps, desc="classifier", unit="step") as bar:
        while bar.n < steps:
            count = min(show, steps - bar.n)
            solver.step(count)
            bar.set_postfix(loss=f"{float(solver.net.blobs['loss'].data):.3f}")
            bar.update(count)
    return solver, accuracy(solver)


def accuracy(solver: Any, batches: int = 10) -> float:
    """The mean of the top `accuracy` over some batches of the first test net."""
    net = solver.test_nets[0]
    net.share_with(solver.net)
    return float(np.mean([net.forward()["accuracy"] for _ in range(batches)]))
