"""A training that is killed by SIGKILL again and again, and resumed: does it equal the uncut one?"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
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
STEPS = 400


def soak(seconds: float, seed: int = 0) -> tuple[str, list[str]]:
    """(what was done, the faults) in about so many seconds."""
    end, kills, runs, faults = time.monotonic() + seconds, 0, 0, []
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        wanted = finished(Path(place, "uncut"), [])
        while time.monotonic() < end and not faults:
            moments = [rng.uniform(1.5, 4.0) for _ in range(1000)]
            folder = Path(place, f"run{runs}")
            killed, faults = cut(folder, moments, end)
            kills += killed
            if not faults and (folder / f"s_iter_{STEPS}.caffemodel").exists():
                runs += 1
                got = (folder / f"s_iter_{STEPS}.caffemodel").read_bytes()
                faults = [] if got == wanted else [f"run {runs} differs from the uncut one"]
    return f"{kills} kills in {runs} runs, each equal to the uncut one", faults


def finished(folder: Path, moments: list[float]) -> bytes:
    """The weights of a training that nobody cuts."""
    cut(folder, moments, float("inf"))
    return (folder / f"s_iter_{STEPS}.caffemodel").read_bytes()


def cut(folder: Path, moments: list[float], end: float) -> tuple[int, list[str]]:
    """Train, killed after each of these seconds; returns (kills, faults)."""
    write(folder)
    kills = 0
    while time.monotonic() < end:
        states = sorted(folder.glob("*.solverstate"), key=number)
        command = [sys.executable, "-m", "caffe", "train", "-solver", "solver.prototxt"]
        command += ["-snapshot", states[-1].name] if states else []
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, env=environment())
        try:
            _, said = process.communicate(timeout=moments[kills] if kills < len(moments) else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
            continue
        if process.returncode:
            return kills, [f"after {kills} kills: {said.decode()[-300:]}"]
        break
    return kills, []


def number(path: Path) -> int:
    """The iteration in a snapshot's name."""
    return int(path.name.split("_")[2].split(".")[0])


def environment() -> dict[str, str]:
    """Of a training: one thread, a quiet log."""
    root = str(Path(__file__).resolve().parents[2])
    return os.environ | {"PYTHONPATH": root, "GLOG_minloglevel": "2", "OMP_NUM_THREADS": "1"}


def write(folder: Path) -> None:
    """The net, its solver and seven pictures."""
    folder.mkdir()
    pixels = np.random.RandomState(0).randint(0, 255, (7, 12, 14, 3)).astype(np.uint8)
    for k in range(7):
        Image.fromarray(pixels[k]).save(folder / f"{k}.png")
    (folder / "list").write_text("".join(f"{k}.png {k % 3}\n" for k in range(7)))
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(SOLVER.format(steps=STEPS))
