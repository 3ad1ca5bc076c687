"""Score segmentations: during a solver's steps, or `python score.py --model voc-fcn8s`.

The four measures of the paper (section 5), n[i, j] being the pixels of class i given class j:
pixel accuracy, mean accuracy, mean IU and frequency weighted IU. A class that appears neither
in the truth nor in the predictions has no score and is left out of the means.
"""

import argparse
import json
import os
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import caffe
import vis

SERVER = "results/VOC2012/Segmentation/comp6_test_cls"  # comp6: trained on more than VOC's own


def fast_hist(a, b, n):
    """n x n counts of the pairs (a, b), truth and prediction; where a is no class, void."""
    a, b = np.asarray(a), np.asarray(b)
    valid = (a >= 0) & (a < n)
    pairs = n * a[valid].astype(int) + b[valid].astype(int)
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


class ArrayTally:
    """`caffe.Tally` in NumPy, for BVLC's pycaffe, which has none."""

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


Tally = getattr(caffe, "Tally", ArrayTally)
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
    tally = Tally(net, layer, gt, _loss_of(net, layer))
    for idx in tqdm(dataset, desc=layer, leave=False, disable=None):  # a bar on a terminal only
        net.forward()
        if idx == dataset[0] and looks_raw(net.blobs[next(iter(net.blobs))].data):
            tqdm.write("warning: no value of the input is negative: was the mean taken off?")
        tally.add()
        if save_dir:
            save_prediction(tally.prediction(), Path(save_dir) / f"{idx}.png")
    hist, loss = tally.result()
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


def seg_tests(solver, save_format, dataset, layer="score", gt="label", record=None):
    """Score the solver's first test net as it stands now; see `do_seg_tests`."""
    print(">>>", datetime.now(), "Begin seg tests")
    solver.test_nets[0].share_with(solver.net)
    net = solver.test_nets[0]
    return do_seg_tests(net, solver.iter, save_format, dataset, layer, gt, record)


def do_seg_tests(
    net, iter, save_format, dataset, layer="score", gt="label", record=None, about=None
):
    """Print the scores over `dataset`, a list of ids in the order the net reads them.

    `save_format` is a folder for the predictions, `{}` in it standing for the iteration, or
    false. `record` is a file that every score of every class is added to, a line of JSON a call,
    with what `about`, a dict, says of the weights.
    Returns the histogram.
    """
    save_dir = save_format.format(iter) if save_format else None
    hist, loss = compute_hist(net, save_dir, dataset, layer, gt)
    result = scores(hist)
    for name, value in (
        ("loss", loss),
        ("overall accuracy", result["pixel_accuracy"]),
        ("mean accuracy", result["mean_accuracy"]),
        ("mean IU", result["mean_iu"]),
        ("fwavacc", result["fw_iu"]),
    ):
        print(">>>", datetime.now(), "Iteration", iter, name, value, flush=True)
    if result["mean_iu"] != result["mean_iu_present"] and result["absent"]:
        print(
            f"{layer}: mean IU {result['mean_iu_present']} if classes that are absent from the "
            f"truth ({', '.join(map(str, result['absent']))}) are left out",
            flush=True,
        )
    if warning := collapsed(hist):
        print(f"warning: {layer}: {warning}", flush=True)
    if record:
        head = {"iteration": int(iter), "layer": layer, "images": len(dataset), "loss": loss}
        write_record(record, (about or {}) | head | result)
    return hist


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


def write_record(path, record):
    """Add one line of JSON; a score that does not exist (nan) is null."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(json.dumps(_without_nan(record), allow_nan=False) + "\n")


def _without_nan(value):
    if isinstance(value, dict):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def read_records(path):
    """The records of a file that `do_seg_tests` wrote, oldest first."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def main():
    """Score a model's weights on its data set, without a solver; returns the exit code."""
    import fcn_device
    import fcn_nets
    import fcn_results
    import fcn_solve
    import fcn_tasks
    import fcn_weights

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="voc-fcn8s", help="model folder (%(default)s)")
    parser.add_argument("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save predictions as palette PNGs")
    parser.add_argument(
        "--server", action="store_true", help=f"save them as VOC's server wants: DIR/{SERVER}"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="add the scores as JSON lines")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument("--leakage", action="store_true", help="score training pictures, too")
    fcn_device.add_options(parser)
    args = parser.parse_args()
    if args.server and not args.save:
        parser.error("--server needs --save DIR")
    if args.server and not Path(args.model).name.startswith("voc"):
        parser.error("--server: VOC's evaluation server takes predictions of VOC's classes")
    save, record = (path and path.absolute() for path in (args.save, args.record))
    try:
        args.model = fcn_weights.model(args.model)
        weights = fcn_weights.given_or_found(args.weights, args.model, args.sample)
        prototxt = fcn_weights.prototxt_of(args.model, args.sample)
        task = fcn_tasks.task_of(args.model, args.sample)
        fcn_device.use(args)
        os.chdir(prototxt.parent)  # paths in prototxts are relative to the model's folder
        net = caffe.Net(prototxt.name, str(weights), caffe.TEST)
        ids = net.layers[0].indices
        trained = fcn_solve.training_ids(Path(next(iter(task.nets)) + ".prototxt"))
        fcn_solve.refuse_leakage(trained, ids, args.leakage)
    except (FileNotFoundError, ValueError) as error:
        hint = fcn_solve.SCENES if args.sample and isinstance(error, FileNotFoundError) else ""
        print(f"score.py: {error}{hint}", file=sys.stderr)
        return fcn_weights.MISSING
    print(f"{args.model}: {weights}")
    print(f"{len(ids)} pictures of {net.layers[0].split}")
    iteration = max(fcn_weights.iteration(weights), 0)
    name = Path(args.model).name + ("/sample" if args.sample else "")
    about = fcn_results.provenance(name, weights, net) if record else None
    for layer, gt in fcn_nets.scored(fcn_nets.read_net(prototxt)).items():
        folder = save and str(save / (SERVER if args.server else gt))
        hist = do_seg_tests(net, iteration, folder, ids, layer, gt, record, about)
        print_classes(hist, task.names_of(layer))
    return 0


def print_classes(hist, names):
    """A table of every class's share, accuracy and IU, then both ways to count absent classes."""
    result = scores(hist)
    print(f"{'class':20}{'share':>8}{'accuracy':>10}{'IU':>8}")
    rows = zip(names, result["frequency"], result["accuracy"], result["iu"])
    for name, share, accuracy, iu in rows:
        print(f"{name:20}{share:8.3f}{accuracy:10.3f}{iu:8.3f}")
    present = len(names) - len(result["absent"])
    absent = ", ".join(names[k] for k in result["absent"]) or "none"
    for what, value in (
        ("as published, absent classes counted once predicted", result["mean_iu"]),
        (f"of the {present} classes in the truth (absent: {absent})", result["mean_iu_present"]),
    ):
        print(f"mean IU {value:.4f} {what}")
    if names[0] == "background":
        others = present - (0 not in result["absent"])
        print(f"mean IU {result['mean_iu_foreground']:.4f} of these without background ({others})")


if __name__ == "__main__":
    caffe.init_log(1)  # the scores, not how the net is built
    sys.exit(main())
