"""Train and score Faster R-CNN end to end, and Fast R-CNN on sliding windows, on the embedded task.

    fcn demo                               # draws the scenes and trains the classifier that both start from
    python systems/faster-rcnn/run.py      # writes results.json and figure.png here

Digits are boxes, one class a digit. The figure is average precision at an overlap of .5, on the held-back
scenes; --tune scores on the tuning scenes.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import caffe
from fcn import cli, places, weights
from fcn.datasets.sample import MEAN
from fcn.detection import training
from fcn.detection.average_precision import RULES
from fcn.detection.detector import Detector, in_pixels, sliding_windows
from fcn.detection.drawing import draw_rows
from fcn.detection.scenes import Scene, roidb, scenes
from fcn.systems import seed_of_scenes

HERE = Path(__file__).resolve().parent
START = "ilsvrc-nets/vgg16"
KINDS = {"faster": "", "fast": "fast_"}  # what is trained -> how its files' names begin
# (height, width) of sliding windows: about the anchors', without those that lie
WINDOWS = [(round(side * 1.25), round(side * 0.75)) for side in (48, 64, 80)]
DENSE, SPARSE = 0.25, 0.65  # how far windows are apart, as a share of their sides: 361 windows, 60


class Row(NamedTuple):
    """A net that is trained, and the regions that it is scored on."""

    kind: str
    title: str
    share: float | None = None  # of windows


ROWS = {  # what it is called in results.json
    "faster": Row("faster", "Faster R-CNN"),
    "fast": Row("fast", "Fast R-CNN on sliding windows", DENSE),
    "fast, as many": Row("fast", "Fast R-CNN on as many windows as proposals", SPARSE),
}
DRAWN = 4


def weights_of(kind: str) -> Path:
    """The file of a trained net."""
    return HERE / "sample/snapshot" / f"{KINDS[kind]}rcnn.caffemodel"


def windows(share: float | None) -> np.ndarray | None:
    """The sliding windows of a scene; None for a net that proposes its regions."""
    return None if share is None else sliding_windows(180, 240, WINDOWS, share)


def train(kind: str, folder: Path, seed: int, steps: int) -> float:
    """Train one kind of net; the seconds that it took."""
    regions = windows(DENSE if kind == "fast" else None)
    db = roidb(list(scenes(folder, "train")), regions)
    return training.train(
        HERE / f"sample/{KINDS[kind]}solver.prototxt",
        [weights.given_or_found(None, START, sample=True)],
        weights_of(kind),
        steps,
        seed,
        prepare=lambda net: net.layers[0].set_roidb(db),
        finish=in_pixels,
    )


def detections(row: Row, found: list[Scene]) -> tuple[list[Any], float]:
    """(what a trained net finds in each scene, milliseconds of processor time a scene)."""
    net = caffe.Net(
        str(HERE / f"sample/{KINDS[row.kind]}test.prototxt"),
        str(weights_of(row.kind)),
        caffe.TEST,
    )
    detector, pictures = Detector(net, MEAN), training.pictures(found)
    regions, begun = windows(row.share), time.process_time()
    results = [detector.detect(picture, regions) for picture in pictures]
    return results, 1000 * (time.process_time() - begun) / len(found)


def main(args: argparse.Namespace) -> int:
    """Train, score, and write what came of it; returns the exit code."""
    folder, seed = places.scenes_folder().absolute(), seed_of_scenes()
    found = list(scenes(folder, "tune" if args.tune else "seg11valid"))
    path = HERE / "results.json"
    records = json.loads(path.read_text()) if path.is_file() else {}
    own, results = records.setdefault(str(seed), {}), {}
    for kind in () if args.scored else args.kinds:
        own[f"{kind}, seconds of training"] = round(train(kind, folder, seed, args.steps))
    for name, row in ROWS.items():
        if row.kind not in args.kinds:
            continue
        results[name], milliseconds = detections(row, found)
        record = {rule: training.precision(results[name], found, rule) for rule in RULES}
        said = ", ".join(f"AP ({rule}) {value:.3f}" for rule, value in record.items())
        print(f"{row.title}: {said}; {milliseconds:.0f} ms a scene", flush=True)
        own[name] = dict(record, milliseconds=round(milliseconds))
    if not args.tune:
        path.write_text(json.dumps(records, indent=1) + "\n")
        rows = {ROWS[name].title: each for name, each in results.items()}
        draw_rows(training.pictures(found[:DRAWN]), rows, HERE / "figure.png")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--steps", type=int, default=3000, help="of each training (default 3000)")
    parser.add_argument("--tune", action="store_true", help="score on the tuning scenes")
    parser.add_argument("--scored", action="store_true", help="do not train: score what is trained")
    parsed = parser.parse_args()
    sys.exit(cli.guarded("run.py", lambda: main(parsed)))
