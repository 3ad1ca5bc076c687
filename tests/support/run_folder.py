"""Builds the folder of a training run, as fcn/runs.py and scoring write it, of made-up numbers."""

import json

import numpy as np

from fcn.measures import scores
from fcn.report.pictures import Keeper

SOLVER = """train_net: "train.prototxt"
base_lr: 1e-10  # unnormalised
momentum: 0.99
weight_decay: 0.0005
snapshot_prefix: "snapshot/train"
"""
HEADER = (
    "run,iteration,time,rate,seed,start_sha1,loss,smoothed_loss,loss_per_pixel,pictures_per_second"
)


def run_folder(
    tmp_path,
    run="1",
    model="voc-fcn8s",
    classes=5,
    iterations=2000,
    display=20,
    rounds=4,
    size=(60, 80),
    pictures=6,
    layers=("score",),
    steps=(),
    level=1.0,
    names=None,
    **about,
):
    """The folder of a run below tmp_path/MODEL/snapshot; `steps` are changes of the rate.

    `level` scales the loss and the errors; `about` are further keys of run.json.
    """
    folder = tmp_path / model / "snapshot" / ("" if run == "1" else run)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(run))
    names = names or ["background", *(f"thing {k}" for k in range(1, classes))]
    write_about(folder, run, model, names, iterations, about)
    write_log(folder, run, iterations, display, steps, level, rng)
    with open(folder / "scores.jsonl", "w") as file:
        for number in range(1, rounds + 1):
            iteration = iterations * number // rounds
            for layer in layers:
                hist = confusion(classes, level * 0.6 / number, rng)
                record = scoring(run, iteration, layer, hist)
                file.write(json.dumps(record) + "\n")
                keep_pictures(folder, layer, iteration, classes, size, pictures, 0.3 / number)
    finding = {
        "time": "2026-01-01T12:00:00",
        "iteration": 40,
        "kind": "scores.background",
        "level": "warn",
        "what": "Every pixel is given class 0.",
        "evidence": "mean IU 0.0349 = b / 21",
        "way_out": "Train on: with a rate as small as this it takes a thousand steps.",
    }
    (folder / "findings.jsonl").write_text(json.dumps(finding) + "\n")
    return folder


def write_about(folder, run, model, names, iterations, about):
    """run.json"""
    record = {
        "run": run,
        "model": model,
        "sample": False,
        "started": "2026-01-01T10:00:00.123456",
        "seed": 1,
        "host": "machine",
        "pid": 1,
        "command": ["fcn", "train", model, "--run", run],
        "start": [{"net": "voc-fcn16s", "file": "voc-fcn16s.caffemodel", "sha1": "ab" * 20}],
        "start_sha1": "ab" * 20,
        "solver": SOLVER,
        "set": {},
        "versions": {"python": "3.11", "torch": "2.13"},
        "device": "cpu",
        "precision": "float32",
        "classes": names,
        "ended": {"how": "done", "iteration": iterations, "time": "2026-01-01T20:00:00"},
    }
    (folder / "run.json").write_text(json.dumps(record | about))


def write_log(folder, run, iterations, display, steps, level, rng):
    """log.csv"""
    iteration = np.arange(0, iterations + 1, display)
    fall = level * (0.1 + 1.6 * np.exp(-5 * iteration / iterations))
    loss = fall * rng.lognormal(0, 0.35, len(fall))
    rate = 1e-10 * 0.1 ** np.searchsorted(steps, iteration, side="right")
    lines = [
        f"{run},{i},2026-01-01T10:00:00,{r:.6g},1,abab,{200000 * v:.6g},{200000 * f:.6g},{v:.6g},3.1"
        for i, r, v, f in zip(iteration.tolist(), rate.tolist(), loss.tolist(), fall.tolist())
    ]
    (folder / "log.csv").write_text("\n".join([HEADER, *lines]) + "\n")


def confusion(classes, error, rng):
    """A confusion matrix: most of a class is right, the rest is spread unevenly."""
    size = 10.0 ** rng.uniform(4, 6, classes)
    wrong = rng.gamma(0.15, 1, (classes, classes))
    np.fill_diagonal(wrong, 0)
    wrong *= (rng.uniform(0.2, 1.4, classes) * error / wrong.sum(1).clip(1e-6))[:, None]
    wrong /= wrong.sum(1).clip(1)[:, None] * 1.02
    return (size[:, None] * (wrong + np.diag(1 - wrong.sum(1)))).astype(int)


def scoring(run, iteration, layer, hist):
    """A line of scores.jsonl."""
    head = {"run": run, "time": "2026-01-01T12:00:00", "rate": 1e-10, "seed": 1, "start_sha1": "ab"}
    head |= {"iteration": iteration, "layer": layer, "images": 36, "loss": 40000.0}
    result = {
        key: [None if v != v else v for v in value] if isinstance(value, list) else value
        for key, value in scores(hist).items()
    }
    return head | result | {"hist": hist.tolist()}


def keep_pictures(folder, layer, iteration, classes, size, count, error):
    """Pictures of ellipses; `error` of the prediction's pixels are wrong."""
    keeper = Keeper(folder, layer, iteration, count, mean=(104, 117, 123))
    rows, columns = np.mgrid[: size[0], : size[1]]
    for k in range(count):
        rng = np.random.default_rng(k)
        truth = np.zeros(size, np.uint8)
        for _ in range(3):
            y, x = rng.uniform(0, size[0]), rng.uniform(0, size[1])
            r = rng.uniform(0.1, 0.4) * min(size)
            inside = ((rows - y) ** 2 + ((columns - x) / 1.4) ** 2) < r**2
            edge = ((rows - y) ** 2 + ((columns - x) / 1.4) ** 2) < (r + 2) ** 2
            truth[edge & ~inside], truth[inside] = 255, rng.integers(1, classes)
        shade = np.stack([truth * 7.0 % 200 + 30, rows * 1.0 % 255, columns * 0.5 % 255])
        shift = int(error * 40)
        prediction = np.roll(np.where(truth == 255, 0, truth), (shift, 2 * shift), (0, 1))
        keeper.keep(f"2008_{k:06}", shade - 110, truth, prediction)
