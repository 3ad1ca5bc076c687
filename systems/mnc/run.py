"""Train the mask stage of MNC upon Faster R-CNN, and score its instances, on the embedded task.

    python systems/faster-rcnn/run.py      # trains what finds the boxes
    python systems/mnc/run.py              # writes results.json and figure.png here

The figure is AP^r, average precision where masks for boxes overlap, by .5 and by .7, on the held-back
scenes; --tune scores on the tuning scenes. Beside it: the boxes, filled, as masks.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import caffe
from fcn import cli, places
from fcn.datasets.sample import MEAN
from fcn.detection import training
from fcn.detection.average_precision import mask_overlaps
from fcn.detection.detector import Detector
from fcn.detection.drawing import draw_rows
from fcn.detection.masks import masks_of
from fcn.detection.scenes import Scene, scenes
from fcn.systems import seed_of_scenes

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE / "sample/snapshot/masks.caffemodel"
BOXES = HERE.parent / "faster-rcnn/sample"
DRAWN = 4


def entries(found: list[Scene]) -> list[dict[str, Any]]:
    """What the data layer reads."""
    pictures = training.pictures(found)
    return [
        dict(picture=picture, boxes=scene.boxes, masks=scene.masks)
        for picture, scene in zip(pictures, found)
    ]


def train(folder: Path, seed: int, steps: int) -> float:
    """Train the mask stage; the seconds that it took."""
    read = entries(list(scenes(folder, "train")))
    return training.train(
        HERE / "sample/solver.prototxt",
        [BOXES / "snapshot/rcnn.caffemodel"],
        WEIGHTS,
        steps,
        seed,
        prepare=lambda net: net.layers[0].set_scenes(read),
    )


def detections(found: list[Scene]) -> tuple[list[Any], list[Any]]:
    """For each scene [(scores, masks)] a class, by the mask stage, and by the boxes alone."""
    net = caffe.Net(str(HERE / "sample/test.prototxt"), str(WEIGHTS), caffe.TEST)
    boxes = caffe.Net(
        str(BOXES / "test.prototxt"), str(BOXES / "snapshot/rcnn.caffemodel"), caffe.TEST
    )
    detector, masks, filled = Detector(boxes, MEAN), [], []
    for picture in training.pictures(found):
        results = detector.detect(picture)
        every = np.concatenate([each for _, each in results])
        ends = np.cumsum([len(scores) for scores, _ in results])[:-1]
        parts = np.split(masks_of(net, picture, MEAN, every), ends)
        masks.append([(scores, part) for (scores, _), part in zip(results, parts)])
        filled.append([(scores, solid(each, picture.shape[:2])) for scores, each in results])
    return masks, filled


def solid(boxes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Boxes (n, 4) as filled masks (n, H, W)."""
    found = np.zeros((len(boxes), *size), bool)
    for mask, (x1, y1, x2, y2) in zip(found, np.rint(boxes).astype(int)):
        mask[y1 : y2 + 1, x1 : x2 + 1] = True
    return found


def main(args: argparse.Namespace) -> int:
    """Train, score, and write what came of it; returns the exit code."""
    if not (BOXES / "snapshot/rcnn.caffemodel").is_file():
        raise FileNotFoundError(
            "no boxes to start from: train them by python systems/faster-rcnn/run.py"
        )
    folder, seed = places.scenes_folder().absolute(), seed_of_scenes()
    record = {} if args.scored else {"seconds": train(folder, seed, args.steps)}
    found = list(scenes(folder, "tune" if args.tune else "seg11valid"))
    masks, filled = detections(found)
    for name, results in (("masks", masks), ("boxes, filled", filled)):
        for least in (0.5, 0.7):
            value = training.precision(results, found, "area", least, mask_overlaps, "masks")
            record[f"{name}, {least}"] = value
            print(f"AP^r of {name} at {least}: {value:.3f}")
    if not args.tune:
        path = HERE / "results.json"
        records = json.loads(path.read_text()) if path.is_file() else {}
        records.setdefault(str(seed), {}).update(record)
        path.write_text(json.dumps(records, indent=1) + "\n")
        rows = {"masks under the boxes of Faster R-CNN": masks}
        draw_rows(training.pictures(found[:DRAWN]), rows, HERE / "figure.png")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=2000, help="of the training (default 2000)")
    parser.add_argument("--tune", action="store_true", help="score on the tuning scenes")
    parser.add_argument("--scored", action="store_true", help="do not train: score what is trained")
    parsed = parser.parse_args()
    sys.exit(cli.guarded("run.py", lambda: main(parsed)))
