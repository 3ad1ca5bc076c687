"""Train and score Faster R-CNN end to end, and Fast R-CNN on sliding windows, on the embedded task.

    fcn demo                               # draws the scenes and trains the classifier that both start from
    python systems/faster-rcnn/run.py      # writes results.json and figure.png here

Digits are boxes, one class a digit. The figure is average precision at an overlap of .5, on the held-back
scenes; --tune scores on the tuning scenes.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

import caffe
from fcn import cli, places, weights
from fcn.datasets.sample import CLASSES, MEAN
from fcn.detection.average_precision import RULES, Found, Truth, average_precisions
from fcn.detection.detector import Detector, in_pixels, sliding_windows
from fcn.detection.scenes import Scene, roidb, scenes
from fcn.systems import seed_of_scenes

HERE = Path(__file__).resolve().parent
START = "ilsvrc-nets/vgg16"
KINDS = {"faster": "", "fast": "fast_"}  # what is trained -> how its files' names begin
# (height, width) of sliding windows: as the anchors, without those that lie
WINDOWS = [(round(side * 1.25), round(side * 0.75)) for side in (48, 64, 80)]


def weights_of(kind: str) -> Path:
    """The file of a trained net."""
    return HERE / "sample/snapshot" / f"{KINDS[kind]}rcnn.caffemodel"


def train(kind: str, folder: Path, seed: int, steps: int) -> float:
    """Train one kind of net; the seconds that it took."""
    caffe.set_random_seed(seed)
    begun = time.monotonic()
    start = weights.given_or_found(None, START, sample=True).absolute()
    os.chdir(HERE / "sample")  # which the solver's paths are relative to
    solver = caffe.get_solver(f"{KINDS[kind]}solver.prototxt")
    solver.net.copy_from(str(start))
    found = list(scenes(folder, "train"))
    given = windows() if kind == "fast" else None
    solver.net.layers[0].set_roidb(roidb(found, given))
    for _ in tqdm(range(0, steps, 20), desc=kind, disable=None):
        solver.step(20)
    in_pixels(solver.net)
    path = weights_of(kind)
    path.parent.mkdir(exist_ok=True)
    solver.net.save(str(path))
    return time.monotonic() - begun


def windows() -> np.ndarray:
    """The sliding windows of a scene."""
    return sliding_windows(180, 240, WINDOWS)


def detections(kind: str, found: list[Scene]) -> tuple[list[list[Any]], float]:
    """(what a trained net finds in each scene, milliseconds a scene)."""
    net = caffe.Net(
        str(HERE / f"sample/{KINDS[kind]}test.prototxt"), str(weights_of(kind)), caffe.TEST
    )
    detector = Detector(net, MEAN)
    given = windows() if kind == "fast" else None
    pictures = [np.asarray(Image.open(scene.path).convert("RGB")) for scene in found]
    begun = time.monotonic()
    results = [
        detector.detect(picture, given) for picture in tqdm(pictures, desc="score", disable=None)
    ]
    return results, 1000 * (time.monotonic() - begun) / max(1, len(found))


def precision(results: list[list[Any]], found: list[Scene], rule: str) -> dict[int, float]:
    """Class -> average precision at an overlap of .5."""
    kinds = range(1, len(CLASSES))
    return average_precisions(
        {value: [Found(*each[value]) for each in results] for value in kinds},
        {value: [Truth(scene.boxes[scene.classes == value]) for scene in found] for value in kinds},
        rule=rule,
    )


def draw(found: list[Scene], results: dict[str, list[list[Any]]], path: Path) -> None:
    """Draw a few scenes with what each net finds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    chosen = range(min(4, len(found)))
    figure, axes = plt.subplots(
        len(results), len(chosen), figsize=(12, 2.5 * len(results)), squeeze=False
    )
    for row, (kind, each) in zip(axes, results.items()):
        for axis, i in zip(row, chosen):
            axis.imshow(Image.open(found[i].path))
            axis.axis("off")
            for value, (scores, boxes) in enumerate(each[i]):
                for score, (x1, y1, x2, y2) in zip(scores, boxes):
                    if score >= 0.5:
                        axis.add_patch(
                            plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color="yellow")
                        )
                        axis.text(
                            x1, y1 - 2, f"{CLASSES[value]} {score:.2f}", color="yellow", size=8
                        )
        row[0].set_title({"faster": "Faster R-CNN", "fast": "Fast R-CNN, sliding windows"}[kind])
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main(args: argparse.Namespace) -> int:
    """Train, score, and write what came of it; returns the exit code."""
    folder = places.scenes_folder().absolute()
    seed = seed_of_scenes()
    split = "tune" if args.tune else "seg11valid"
    found = list(scenes(folder, split))
    records, results = {}, {}
    for kind in args.kinds:
        seconds = None if args.scored else train(kind, folder, seed, args.steps)
        results[kind], milliseconds = detections(kind, found)
        record = {
            rule: float(np.mean(list(precision(results[kind], found, rule).values())))
            for rule in RULES
        }
        records[kind] = dict(record, milliseconds=milliseconds, seconds=seconds)
        print(
            f"{kind}: " + ", ".join(f"AP ({rule}) {value:.3f}" for rule, value in record.items()),
            flush=True,
        )
    if not args.tune:
        path = HERE / "results.json"
        every = json.loads(path.read_text()) if path.is_file() else {}
        every.setdefault(str(seed), {}).update(records)
        path.write_text(json.dumps(every, indent=1) + "\n")
        draw(found, results, HERE / "figure.png")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--steps", type=int, default=3000, help="of each training (default 3000)")
    parser.add_argument("--tune", action="store_true", help="score on the tuning scenes")
    parser.add_argument("--scored", action="store_true", help="do not train: score what is trained")
    parsed = parser.parse_args()
    sys.exit(cli.guarded("run.py", lambda: main(parsed), False))
