"""A training that is killed by SIGKILL again and again, and resumed: does it equal the uncut one?"""

import contextlib
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import warm
from PIL import Image

NET = """
layer { name: "data" type: "ImageData" top: "data" top: "label"
  transform_param { crop_size: 8 mirror: true }
  image_data_param { source: "list" batch_size: 3 shuffle: true } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "d" type: "Dropout" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.0001 momentum: 0.9 lr_policy: "fixed" max_iter: {steps}
snapshot: 3 snapshot_prefix: "s" random_seed: 2 average_loss: 5 solver_mode: CPU
"""
TRAIN = """
import sys
import torch
from caffe.__main__ import main
torch.set_num_threads(1)
sys.exit(main(["train", "-solver", "solver.prototxt", *sys.argv[1:]]))
"""
STEPS = 400


def soak(seconds: float, seed: int = 0) -> tuple[str, list[str]]:
    """(what was done, the faults) in about so many seconds."""
    end, kills, runs, faults = time.monotonic() + seconds, 0, 0, []
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        begin = time.monotonic()
        wanted = finished(Path(place, "uncut"))
        whole = time.monotonic() - begin
        while time.monotonic() < end and not faults:
            folder = Path(place, f"run{runs}")
            killed, faults = cut(folder, lambda: rng.uniform(0, whole / 4), end)
            kills += killed
            weights = folder / f"s_iter_{STEPS}.caffemodel"
            if not faults and weights.exists():
                runs += 1
                if weights.read_bytes() != wanted:
                    faults = [f"run {runs} differs from the uncut one"]
    return f"{kills} kills in {runs} runs, each equal to the uncut one", faults


def finished(folder: Path) -> bytes:
    """The weights of a training that nobody cuts."""
    cut(folder, lambda: None, float("inf"))
    return (folder / f"s_iter_{STEPS}.caffemodel").read_bytes()


def cut(folder: Path, moment: Callable[[], float | None], end: float) -> tuple[int, list[str]]:
    """Train, killed after `moment()` seconds each time; returns (kills, faults)."""
    write(folder)
    kills = 0
    while time.monotonic() < end:
        states = sorted(folder.glob("*.solverstate"), key=number)
        words = ["-snapshot", states[-1].name] if states else []
        process = warm.start([folder / "train.py", *words], folder, GLOG_minloglevel=2)
        seconds = moment()
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        _, said = process.communicate(timeout=600)
        if process.returncode == -signal.SIGKILL:
            kills += 1
            continue
        if process.returncode:
            return kills, [f"after {kills} kills: {said[-300:]}"]
        break
    return kills, []


def number(path: Path) -> int:
    """The iteration in a snapshot's name."""
    return int(path.name.split("_")[2].split(".")[0])


def write(folder: Path) -> None:
    """The net, its solver and seven pictures."""
    folder.mkdir()
    pixels = np.random.RandomState(0).randint(0, 255, (7, 12, 14, 3)).astype(np.uint8)
    for k in range(7):
        Image.fromarray(pixels[k]).save(folder / f"{k}.png")
    (folder / "list").write_text("".join(f"{k}.png {k % 3}\n" for k in range(7)))
    (folder / "train.py").write_text(TRAIN)
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(SOLVER.format(steps=STEPS))
