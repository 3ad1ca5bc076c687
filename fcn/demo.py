"""`fcn demo`: the whole chain on the embedded task, from nothing to scores and the paper's figure.

Draws the scenes, trains a classifier, makes it fully convolutional, refines it to strides 32, 16 and
8, each in a process of its own. Writes scores.json and figure.png to demo/, and what `fcn infer`
makes of a scene that no net has seen.
"""

import argparse
import json
import os
import subprocess
import sys

import matplotlib
import numpy as np
from PIL import Image

import caffe

from . import infer, places, vis
from .datasets.sample import SCENES
from .datasets.upper_bound import upper_bound
from .nets import load as load_net
from .results import read_records
from .tasks import SAMPLE
from .weights import find, folder_of, prototxt_of

OUT = places.WORK / "demo"
MODELS = {"voc-fcn32s": 32, "voc-fcn16s": 16, "voc-fcn8s": 8}  # and their strides
MEASURES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "fw_iu")
ROWS = 5  # pictures in the figure
VOC = SCENES / "voc"
# OpenMP threads that spin while they wait slow every step down tenfold once a core is busy elsewhere
QUIET = {"GLOG_minloglevel": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn demo`."""
    parser.add_argument("--seed", type=int, default=1, help="of scenes and training (%(default)s)")
    parser.add_argument("--report", action="store_true", help="only show what was trained before")


def run(args: argparse.Namespace) -> int:
    """Run the chain and show what came of it; returns the exit status."""
    if not args.report:
        for command in chain(args.seed):
            status = subprocess.run(command, env=os.environ | QUIET).returncode
            if status:
                return status
    report()
    return 0


def chain(seed: int) -> list[list[str]]:
    """The commands from nothing to three trained nets."""
    python, sown = sys.executable, ["--seed", str(seed)]
    ilsvrc, *models = (places.writable(places.ROOT / m) for m in ("ilsvrc-nets", *MODELS))
    return [
        [python, "-m", "fcn", "data", "sample", *sown],
        [python, str(ilsvrc / "solve.py"), "--sample", *sown],
        [python, str(ilsvrc / "convert.py"), "--sample"],
        *([python, str(folder / "solve.py"), "--sample", *sown] for folder in models),
    ]


def report() -> None:
    """Write and print the scores, draw the figure, segment a scene that no net has seen."""
    caffe.set_mode_cpu()
    OUT.mkdir(exist_ok=True)
    try:
        scores = {model: last_scores(model) for model in MODELS}
    except FileNotFoundError as error:
        raise ValueError(f"{error}\nThe nets must be trained and scored first: fcn demo") from error
    (OUT / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    draw_figure(OUT / "figure.png")
    unseen = sorted((VOC / "JPEGImages").glob("infer_*.jpg"))[0]
    print(f"\nfcn infer on a scene that no net has seen, {unseen.name}:", flush=True)
    options = ["--sample", "--cpu", "--out", str(OUT), str(unseen)]
    subprocess.run([sys.executable, "-m", "fcn", "infer", *options], check=True)
    print_table(scores)
    print(f"\nscores: {OUT}/scores.json, figure: {OUT}/figure.png")


def last_scores(model):
    """The four measures of a model's last scoring on the held-back scenes."""
    folder = folder_of(model, sample=True)
    record = read_records(folder / "snapshot" / "scores.jsonl")[-1]
    return {measure: record[measure] for measure in MEASURES}


def print_table(scores):
    """The scores, and the upper bound of mean IU that comes with the stride."""
    labels = [label_of(name) for name in ids("seg11valid")]
    print(f"\n{len(labels)} held-back scenes, {SAMPLE.classes} classes")
    print("upper bound: mean IU of the truth itself, averaged to the stride and interpolated back")
    print("(a yardstick: a net may place its scores better than the means of boxes do)\n")
    titles = ("pixel acc.", "mean acc.", "mean IU", "f.w. IU", "upper bound")
    print(f"{'':12}" + "".join(f"{title:>12}" for title in titles))
    for model, stride in MODELS.items():
        bound = upper_bound(labels, SAMPLE.classes, stride)
        measures = [scores[model][measure] for measure in MEASURES]
        print(f"{model:12}" + "".join(f"{value:12.3f}" for value in (*measures, bound)))


def draw_figure(path):
    """Rows of pictures as in the paper: the input, strides 32, 16 and 8, and the truth."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    nets = [load(model) for model in MODELS]
    palette = vis.make_palette(256)
    titles = ["input", *(f"stride {stride}" for stride in MODELS.values()), "truth"]
    figure, axes = plt.subplots(ROWS, len(titles), figsize=(2 * len(titles), 1.6 * ROWS))
    for axis, title in zip(axes[0], titles):
        axis.set_title(title)
    for row, name in zip(axes, ids("seg11valid")):
        image = infer.read_picture(VOC / "JPEGImages" / f"{name}.jpg")
        segs = [infer.segment(net, image, SAMPLE.mean)[""] for net in nets]
        pictures = [image] + [vis.color_seg(seg, palette) for seg in (*segs, label_of(name))]
        for axis, picture in zip(row, pictures):
            axis.imshow(picture)
            axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def load(model):
    """A trained model, ready for pictures."""
    weights = find(model, sample=True)
    return load_net(prototxt_of(model, sample=True), weights)


def ids(split):
    return (VOC / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()


def label_of(name):
    """The true classes of a scene, H x W, 255 where two meet."""
    with Image.open(VOC / "SegmentationClass" / f"{name}.png") as image:
        return np.asarray(image)
