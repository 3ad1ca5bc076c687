"""The embedded task's chain on this device, with its scores; and the same 50 steps twice."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import caffe
from fcn.measures import MEASURES

from .. import peers, reading
from ..contest import OURS
from . import training
from .part import Report, Scale

ROOT = Path(__file__).resolve().parents[2]
STEPS = 50
COPIED = ("caffe", "fcn", "data", "ilsvrc-nets", "voc-fcn32s", "voc-fcn16s", "voc-fcn8s")


def run(report: Report, scale: Scale) -> None:
    """The repeated steps first: they are short."""
    report.attempt("repeated steps", repeated_steps, report, scale)
    report.attempt("demo", demo, report, scale)


def repeated_steps(report: Report, scale: Scale) -> None:
    """Train twice from the same start and compare all weights bit for bit."""
    tree = report.folder / "tree"
    reading.write_tree(tree, scale.step_size)
    peers.switch(OURS, "float32")
    steps = 3 if scale.rehearsal else STEPS
    first, second = (weights_after(steps, scale, tree) for _ in range(2))
    differ = {
        name: float(np.abs(a - b).max() / np.abs(a).max())
        for name, a, b in ((name, first[name], second[name]) for name in first)
        if not np.array_equal(a, b)
    }
    equal = (
        "equal bit for bit" if not differ else f"{len(differ)} of {len(first)} blobs differ, by "
    )
    line = f"{steps} steps twice: {equal}"
    if differ:
        line += f"at most {max(differ.values()):.1e} of their largest value"
    report("repeated steps", {"steps": steps, "blobs": len(first), "differ": differ}, line)


def weights_after(steps: int, scale: Scale, tree: Path) -> dict[str, np.ndarray]:
    """All parameters after some steps of FCN-32s."""
    caffe.set_random_seed(1)
    solver = training.solver_of(scale, tree)
    solver.step(steps)
    return {
        f"{name}[{i}]": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }


def demo(report: Report, scale: Scale) -> None:
    """`fcn demo` in a copy of the project, so that nothing of the checkout's own runs is touched."""
    place = report.folder / "project"
    for name in COPIED:
        skip = shutil.ignore_patterns("__pycache__", "snapshot", "*.caffemodel", "scenes")
        shutil.copytree(ROOT / name, place / name, ignore=skip)
    for file in ROOT.glob("*.py"):
        shutil.copy(file, place)
    environment = os.environ | {"PYTHONPATH": str(place)}
    command = [sys.executable, "-m", "fcn", "demo", "--seed", "1"] + ["--quick"] * scale.rehearsal
    begin = time.perf_counter()
    subprocess.run(command, cwd=place, env=environment, check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - begin
    scores: dict[str, Any] = json.loads((place / "demo" / "scores.json").read_text())
    line = ", ".join(f"{model} {score[MEASURES[2]]:.3f}" for model, score in scores.items())
    report("demo", {"seconds": seconds, "scores": scores}, f"demo: mean IU {line}, {seconds:.0f} s")
