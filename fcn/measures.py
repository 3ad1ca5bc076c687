"""The four measures of segmentation (paper, section 5), and the confusion matrix they come from.

n[i, j] being the pixels of class i given class j: pixel accuracy, mean accuracy, mean IU and
frequency weighted IU. A class that appears neither in the truth nor in the predictions has no score
and is left out of the means.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import caffe

from . import vis


def fast_hist(a, b, n):
    """n x n counts of the pairs (a, b), truth and prediction; where a is no class, void."""
    a, b = np.asarray(a), np.asarray(b)
    valid = (a >= 0) & (a < n)
    pairs = n * a[valid].astype(int) + b[valid].astype(int)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


class ArrayConfusion:
    """`caffe.ConfusionMatrix` in NumPy, for BVLC's pycaffe, which has none."""

    def __init__(self, net, scores, truth, loss=None):
        self.scores, self.truth = net.blobs[scores], net.blobs[truth]
        self.loss = loss and net.blobs[loss]
        self.hist, self.total = np.zeros([self.scores.data.shape[1]] * 2, np.int64), 0.0

    def add(self):
        truth = self.truth.data[0, 0].ravel()
        self.hist += fast_hist(truth, self.prediction().ravel(), len(self.hist))
        self.total += float(self.loss.data.flat[0]) if self.loss else 0.0

    def prediction(self):
        return array_predicted(self.scores)

    def result(self):
        return self.hist, self.total


def array_predicted(blob):
    """`caffe.predicted` in NumPy, for the same reason."""
    return blob.data[0].argmax(0)


ConfusionMatrix = getattr(caffe, "ConfusionMatrix", ArrayConfusion)
predicted = getattr(caffe, "predicted", array_predicted)


def scores(hist):
    """The measures of a histogram of `fast_hist`, as a dict of floats and of lists over classes.

    `mean_iu` counts a class that is absent from the truth as 0 once a single pixel is given to
    it, as published; `mean_iu_present` is over the classes of the truth only, and
    `mean_iu_foreground` over those but class 0 (PASCAL-Context's 59 of 60).
    """
    hist = np.asarray(hist, dtype=np.float64)
    right, truth, given = np.diag(hist), hist.sum(1), hist.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = right / truth
        iu = right / (truth + given - right)
        frequency = truth / truth.sum()
        overall = right.sum() / truth.sum()
    present = truth > 0
    return {
        "pixel_accuracy": float(overall),
        "mean_accuracy": _mean(accuracy),
        "mean_iu": _mean(iu),
        "fw_iu": float((frequency[present] * iu[present]).sum()),
        "mean_iu_present": _mean(iu[present]),
        "mean_iu_foreground": _mean(iu[1:][present[1:]]),
        "absent": np.flatnonzero(~present).tolist(),
        "accuracy": accuracy.tolist(),
        "iu": iu.tolist(),
        "frequency": frequency.tolist(),
    }


def _mean(values):
    """The mean of the classes that have a value; nan if none has."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def compute_hist(net, save_dir, dataset, layer="score", gt="label"):
    """Run the net once for each id of `dataset`; returns (histogram, mean loss).

    With a `save_dir`, made if needed, each prediction is saved there as a palette PNG, ID.png.
    """
    if save_dir:
        Path(save_dir).mkdir(parents=True, exist_ok=True)
    matrix = ConfusionMatrix(net, layer, gt, _loss_of(net, layer))
    for idx in tqdm(dataset, desc=layer, leave=False, disable=None):  # a bar on a terminal only
        net.forward()
        if idx == dataset[0] and looks_raw(net.blobs[next(iter(net.blobs))].data):
            tqdm.write("warning: no value of the input is negative: was the mean taken off?")
        matrix.add()
        if save_dir:
            save_prediction(matrix.prediction(), Path(save_dir) / f"{idx}.png")
    hist, loss = matrix.result()
    return hist, loss / max(len(dataset), 1)


def looks_raw(data):
    """Whether these may be pixels as stored: from 0 up, and by more than fractions."""
    return data.min() >= 0 and data.max() > 1


def _loss_of(net, layer):
    """The loss blob that judges a score: `loss_geo` of `score_geo`; otherwise `loss`, if any."""
    own = layer.replace("score", "loss", 1)
    return own if own in net.blobs else "loss" if "loss" in net.blobs else None


def save_prediction(prediction, path):
    """Save H x W class indices as a PNG in VOC's palette: the picture's pixels are the classes."""
    image = Image.fromarray(np.asarray(prediction).astype(np.uint8), mode="P")
    image.putpalette(vis.make_palette(256).tobytes())
    image.save(path)


def collapsed(hist):
    """What to tell of a net that gives every pixel the same class; None for any other net."""
    given = np.asarray(hist).sum(0)
    if np.count_nonzero(given) != 1:
        return None
    return (
        f"every pixel is given class {int(given.argmax())}. If the loss stays at ln({len(given)}) "
        f"= {np.log(len(given)):.5f} a pixel, the score layers are zero and nothing below them is "
        "pretrained: see which layers were filled when the weights were loaded"
    )
