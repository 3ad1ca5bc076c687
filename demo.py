"""The last step of `make demo`: the table of scores, the paper's figure, and a scene segmented.

Needs the nets that `voc-fcn32s/solve.py --sample` and so on have trained and scored. Writes
scores.json and figure.png to demo/, and what infer.py makes of a scene no net has seen.
"""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

import caffe
import fcn_nets
import fcn_weights
import infer
import score
import vis
from data.sample import SCENES
from data.upper_bound import upper_bound
from fcn_tasks import SAMPLE

ROOT = Path(__file__).resolve().parent
OUT = ROOT / "demo"
MODELS = {"voc-fcn32s": 32, "voc-fcn16s": 16, "voc-fcn8s": 8}  # and their strides
MEASURES = ("pixel_accuracy", "mean_accuracy", "mean_iu", "fw_iu")
ROWS = 5  # pictures in the figure
VOC = SCENES / "voc"


def main():
    caffe.set_mode_cpu()
    OUT.mkdir(exist_ok=True)
    try:
        scores = {model: last_scores(model) for model in MODELS}
    except FileNotFoundError as error:
        sys.exit(f"demo.py: {error}\nThe nets must be trained and scored first: make demo")
    (OUT / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    draw_figure(OUT / "figure.png")
    unseen = sorted((VOC / "JPEGImages").glob("infer_*.jpg"))[0]
    print(f"\ninfer.py on a scene that no net has seen, {unseen.name}:", flush=True)
    command = [sys.executable, ROOT / "infer.py", "--sample", "--cpu", "--out", OUT, unseen]
    subprocess.run(command, check=True)
    print_table(scores)
    print(f"\nscores: {OUT}/scores.json, figure: {OUT}/figure.png")


def last_scores(model):
    """The four measures of a model's last scoring on the held-back scenes."""
    folder = fcn_weights.folder_of(model, sample=True)
    record = score.read_records(folder / "snapshot" / "scores.jsonl")[-1]
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
    weights = fcn_weights.find(model, sample=True)
    return fcn_nets.load(fcn_weights.prototxt_of(model, sample=True), weights)


def ids(split):
    return (VOC / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()


def label_of(name):
    """The true classes of a scene, H x W, 255 where two meet."""
    with Image.open(VOC / "SegmentationClass" / f"{name}.png") as image:
        return np.asarray(image)


if __name__ == "__main__":
    main()
