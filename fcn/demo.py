"""`fcn demo`: the whole chain on the embedded task, from nothing to scores and the paper's figure.

Draws the scenes, trains the classifier, makes it fully convolutional, and trains strides 32, 16 and 8.
Writes scores.json, figure.png and a segmented scene to demo/. Every step is a process of its own, by
the commands that the published models are trained with.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

import caffe
from fcn import models, places, runs
from fcn.datasets.upper_bound import upper_bound
from fcn.figure.comparison import segmented, write_comparison
from fcn.measures import MEASURES
from fcn.pictures import read_picture
from fcn.scoring import read_records
from fcn.tasks import SAMPLE

OUT = places.HOME / "demo"
STRIDES = {"voc-fcn32s": 32, "voc-fcn16s": 16, "voc-fcn8s": 8}
ROWS = 5  # pictures in the figure
VOC = places.scenes_folder() / "voc"
# With --quick: enough scenes for the figure's rows, and steps that take seconds
FEW_SCENES, FEW_STEPS = 8, 2
# OpenMP threads that spin while they wait slow every step down tenfold if a core is busy elsewhere.
ENVIRONMENT = {"GLOG_minloglevel": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def run(args: argparse.Namespace) -> int:
    """Run the whole chain, or its last step; returns the exit code."""
    if args.figure:
        show_results()
        return 0
    classifier = models.folder(models.CLASSIFIERS)
    seed = ["--seed", str(args.seed)]
    few_scenes = ["--most", str(FEW_SCENES)] if args.quick else []
    few_steps = ["--steps", str(FEW_STEPS)] if args.quick else []
    # two steps leave a net at chance, which the next stage is not started from unasked
    one_round = ["--rounds", "1", *few_steps, "--anyway"] if args.quick else []
    fcn = ["-m", "fcn"]
    for arguments in (
        [*fcn, "data", "sample", *seed, *few_scenes],
        [str(classifier / "solve.py"), "--sample", *seed, *few_steps],
        [str(classifier / "convert.py"), "--sample"],
        *([*fcn, "train", model, "--sample", *seed, *one_round] for model in STRIDES),
        [*fcn, "demo", "--figure"],
    ):
        status = run_python(arguments)
        if status:
            return status
    return 0


def run_python(arguments: list[str]) -> int:
    """Run Python with these arguments and the project on its path; returns the exit code."""
    project = str(places.PACKAGE.parent)
    path = os.pathsep.join(filter(None, (project, os.environ.get("PYTHONPATH"))))
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": path}
    return subprocess.run([sys.executable, *arguments], env=environment, cwd=places.HOME).returncode


def show_results() -> None:
    """Write scores.json and figure.png, segment a scene, and print the table of scores.

    FileNotFoundError if the nets have not been trained and scored.
    """
    caffe.set_mode_cpu()
    try:
        scores = {model: last_scores(model) for model in STRIDES}
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}\nThe nets must be trained and scored first: fcn demo"
        ) from None
    OUT.mkdir(exist_ok=True)
    (OUT / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    draw_figure(OUT / "figure.png")
    unseen = sorted((VOC / "JPEGImages").glob("infer_*.jpg"))[0]
    print(f"\nfcn infer on a scene that no net has seen, {unseen.name}:", flush=True)
    run_python(["-m", "fcn", "infer", "--sample", "--cpu", "--out", str(OUT), str(unseen)])
    print_table(scores)
    print(f"\nscores: {OUT}/scores.json, figure: {OUT}/figure.png")


def last_scores(model: str) -> dict[str, float]:
    """The four measures of a model's last scoring on the held-back scenes."""
    found = runs.runs_of(models.own_folder(model, sample=True))
    if not found:
        raise FileNotFoundError(f"no run of {model} --sample")
    record = read_records(found[0].folder / "scores.jsonl")[-1]
    return {measure: record[measure] for measure in MEASURES}


def print_table(scores: Mapping[str, Mapping[str, float]]) -> None:
    """Print the scores, and the upper bound of mean IU at each stride."""
    labels = [label_of(name) for name in ids("seg11valid")]
    print(f"\n{len(labels)} held-back scenes, {SAMPLE.classes} classes")
    print("upper bound: mean IU of the truth itself, averaged to the stride and interpolated back")
    print("(a yardstick: a net may place its scores better than the means of boxes do)\n")
    titles = ("pixel acc.", "mean acc.", "mean IU", "f.w. IU", "upper bound")
    print(f"{'':12}" + "".join(f"{title:>12}" for title in titles))
    for model, stride in STRIDES.items():
        bound = upper_bound(labels, SAMPLE.classes, stride)
        measures = [scores[model][measure] for measure in MEASURES]
        print(f"{model:12}" + "".join(f"{value:12.3f}" for value in (*measures, bound)))


def draw_figure(path: Path) -> None:
    """Draw rows of pictures as in the paper: the input, strides 32, 16 and 8, and the truth."""
    names = ids("seg11valid")[:ROWS]
    pictures = [read_picture(VOC / "JPEGImages" / f"{name}.jpg") for name in names]
    columns = segmented(list(STRIDES), [None] * len(STRIDES), True, pictures)
    titles = [f"stride {stride}" for stride in STRIDES.values()]
    truths = [label_of(name) for name in names]
    write_comparison(path, pictures, list(zip(titles, columns)), truths, "classes")


def ids(split: str) -> list[str]:
    """The scenes of a split."""
    return (VOC / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()


def label_of(name: str) -> np.ndarray:
    """The true classes of a scene, H x W, 255 where two meet."""
    with Image.open(VOC / "SegmentationClass" / f"{name}.png") as image:
        return np.asarray(image)
