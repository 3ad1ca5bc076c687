"""`fcn crf-search`: looks for a dense CRF's parameters on pictures that are set aside for it.

    fcn crf-search --model voc-fcn16s --sample

The net runs once. Then one parameter after the other takes the value of its row in VALUES that gives the
highest mean IU, until a round through all of them changes nothing.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

import caffe
from fcn import crf, devices, leakage, models, prototxts, stages, weights
from fcn.datasets.sample import tells_how_to_get_scenes
from fcn.measures import fast_hist, scores
from fcn.wording import counted

TUNE = "tune"  # the embedded task's scenes to choose by
ROUNDS = 4  # through all parameters, at most
VALUES = {
    "bi_xy_std": (5, 8, 12, 20, 30, 50, 80),
    "bi_rgb_std": (3, 5, 10, 20, 40, 60),
    "bi_w": (1, 2, 3, 4, 5, 8, 12, 20),
    "pos_w": (0, 1, 2, 3, 5, 8),
    "pos_xy_std": (1, 2, 3, 5),
}


class Picture(NamedTuple):
    """What a net made of a picture, and what it shows."""

    unary: np.ndarray  # C x H x W
    image: np.ndarray  # H x W x 3
    truth: np.ndarray  # H x W


def net_of_split(prototxt: Path, split: str) -> caffe.Net:
    """The TEST net in a prototxt, reading another split; ValueError if it reads no splits."""
    net = prototxts.read_net(prototxt)
    layers = [(layer, params) for layer, params in prototxts.data_layers(net) if "split" in params]
    if not layers:
        raise ValueError(f"{prototxt}: no data layer names a split")
    for layer, params in layers:
        layer.python_param.param_str = str({**params, "split": split})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text(prototxts.text_of(net))
        return caffe.Net(str(path), caffe.TEST)


def collect(net: caffe.Net, blob: str, label: str, count: int) -> list[Picture]:
    """The scores, pictures and labels of the next passes of a net."""
    data, found = next(iter(net.blobs)), []
    for _ in tqdm(range(count), desc=blob, leave=False, disable=None):
        net.forward()
        unary = crf.unary_of(net.blobs[blob].data[0])
        image, truth = (np.array(net.blobs[name].data[0]) for name in (data, label))
        found.append(Picture(unary, image.transpose(1, 2, 0), truth[0]))
    return found


def mean_iu(pictures: Sequence[Picture], parameters: crf.Parameters | None) -> float:
    """Mean IU of the scores, refined if there are parameters."""
    classes = len(pictures[0].unary)
    hist = np.zeros((classes, classes), np.int64)
    for unary, image, truth in pictures:
        best = crf.DenseCRF(unary, image, parameters).infer() if parameters else unary
        hist += fast_hist(truth.ravel(), best.argmax(0).ravel(), classes)
    return scores(hist)["mean_iu"]


def search(pictures: Sequence[Picture], start: crf.Parameters) -> tuple[crf.Parameters, float]:
    """The best parameters found, and their mean IU."""
    best, reached = start, mean_iu(pictures, start)
    bar = tqdm(total=ROUNDS * sum(map(len, VALUES.values())), leave=False, disable=None)
    for _ in range(ROUNDS):
        before = best
        for name, values in VALUES.items():
            for value in values:
                tried = replace(best, **{name: value})
                if tried != best and (found := mean_iu(pictures, tried)) > reached:
                    best, reached = tried, found
                bar.update()
            tqdm.write(f"{reached:.4f}  {best}")
        if best == before:
            break
    bar.close()
    return best, reached


def run(args: argparse.Namespace) -> int:
    """Search and print what was found; returns the exit code."""
    caffe.init_log(1)
    split = args.split or (TUNE if args.sample else "")
    if not split:
        raise ValueError("--split: name pictures that are neither trained on nor scored")
    start = (crf.SAMPLE if args.sample else crf.PAPER).changed(args.crf_set)
    model = models.model_name(args.model)
    with tells_how_to_get_scenes(args.sample):
        file = weights.given_or_found(args.weights, model, args.sample)
        prototxt = models.prototxt_of(model, args.sample)
        devices.use(args)
        os.chdir(prototxt.parent)  # paths in prototxts are relative to the model's folder
        net = net_of_split(prototxt, split)
    stages.fill(net, file, model)
    ids = leakage.picture_ids(net)
    blob, label = next(iter(prototxts.scored(prototxts.read_net(prototxt)).items()))
    pictures = collect(net, blob, label, min(args.pictures, len(ids)))
    print(
        f"{counted(len(pictures), 'picture')} of {split}: mean IU {mean_iu(pictures, None):.4f} without a CRF"
    )
    best, reached = search(pictures, start)
    print(f"mean IU {reached:.4f} with\n--crf-set {best}")
    return 0
