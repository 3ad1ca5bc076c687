"""Scores segmentations: between a solver's steps, or `fcn score --model voc-fcn8s`."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

import caffe
from fcn import (
    crf,
    devices,
    finite_scores,
    jobs,
    leakage,
    models,
    prototxts,
    results,
    runs,
    stages,
    together,
    weights,
)
from fcn.confusion import ConfusionMatrix, RefinedConfusionMatrix
from fcn.datasets.sample import tells_how_to_get_scenes
from fcn.measures import collapsed, scores
from fcn.records import read_records as read_records
from fcn.records import write_record as write_record
from fcn.report.pictures import Keeper
from fcn.tasks import task_of
from fcn.vis import save_classes
from fcn.watching.causes import why_equal
from fcn.wording import counted

SERVER = "results/VOC2012/Segmentation/comp6_test_cls"  # comp6: trained on more than VOC's own


def compute_hist(
    net: caffe.Net,
    save_dir: str | Path | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    keeper: Keeper | None = None,
    parameters: crf.Parameters | None = None,
) -> tuple[np.ndarray, float]:
    """Run the net once for each id of `dataset`; returns (confusion matrix, mean loss).

    Of several workers each takes its share of the ids, and gets the result of all.
    With a `save_dir`, which is made if needed, each prediction is saved there as a palette PNG,
    ID.png. Raises NotFinite, a ValueError, if scores are not finite; their prediction is not saved.
    A `keeper` gets the first pictures for the report. With `parameters` a dense CRF refines the scores.
    """
    if save_dir:
        Path(save_dir).mkdir(parents=True, exist_ok=True)
    blobs = net, layer, gt, _loss_of(net, layer)
    matrix = RefinedConfusionMatrix(*blobs, parameters) if parameters else ConfusionMatrix(*blobs)
    share = together.share(net, dataset)
    for idx in tqdm(share, desc=layer, leave=False, disable=None):  # a bar on a terminal only
        net.forward()
        if idx == share[0]:
            warn_of_raw_pixels(net)
        try:
            matrix.add()
        except finite_scores.NotFinite:
            raise
        except ValueError as error:
            raise ValueError(f"{idx}: {error}") from error
        # On a GPU a look waits for the device, so it is taken where predictions are fetched.
        if save_dir or idx == share[0] or devices.in_use() == "cpu":
            finite_scores.require_finite(net, layer)
        if save_dir:
            path = Path(save_dir) / f"{idx}.png"
            path.parent.mkdir(parents=True, exist_ok=True)  # an id may name a folder
            save_classes(matrix.prediction(), path)
        if keeper and not keeper.full:
            data = net.blobs[next(iter(net.blobs))].data
            keeper.keep(idx, data, net.blobs[gt].data, matrix.prediction())
    hist, loss = together.merged(matrix)
    if not np.isfinite(loss):
        raise finite_scores.not_finite(net, f"the loss of {layer} is {loss} (a picture's or all)")
    return hist, loss / max(len(dataset), 1)


def warn_of_raw_pixels(net: caffe.Net) -> None:
    """Print a warning if the net's first blob may hold pixels without the mean subtracted."""
    name = next(iter(net.blobs))
    data = net.blobs[name].data
    if looks_raw(data):
        seen = f"{name} is {data.min():g} to {data.max():g}"
        mean = getattr(net.layers[0], "mean", None)
        stated = "" if mean is None else f", and the data layer's mean is {mean}"
        text = "warning: no value of the input is negative: was the mean subtracted?"
        tqdm.write(f"{text} ({seen}{stated})")


def looks_raw(data: np.ndarray) -> bool:
    """True if these may be pixels without the mean subtracted: none negative, some over 1."""
    return data.min() >= 0 and data.max() > 1


def _loss_of(net: caffe.Net, layer: str) -> str | None:
    """The loss blob of a score blob: `loss_geo` of `score_geo`, else `loss`, if there is one."""
    own = layer.replace("score", "loss", 1)
    return own if own in net.blobs else "loss" if "loss" in net.blobs else None


def seg_tests(
    solver: caffe.SGDSolver,
    save_format: str | Literal[False],
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    record: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    keeper: Keeper | None = None,
) -> np.ndarray:
    """Score the solver's first test net with the weights as they are; see `do_seg_tests`."""
    print(">>>", datetime.now(), "Begin seg tests")
    solver.test_nets[0].share_with(solver.net)
    net = solver.test_nets[0]
    return do_seg_tests(net, solver.iter, save_format, dataset, layer, gt, record, about, keeper)


def do_seg_tests(
    net: caffe.Net,
    iter: int,
    save_format: str | Literal[False] | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    record: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    keeper: Keeper | None = None,
    parameters: crf.Parameters | None = None,
) -> np.ndarray:
    """Print the scores over `dataset`, a list of ids in the order in which the net reads them.

    `save_format` is a folder for the predictions, in which `{}` stands for the iteration, or
    false. `record` is a file to which every score of every class is added, as one line of JSON,
    together with `about`, which describes the weights. With `parameters` a dense CRF refines the
    scores. Returns the confusion matrix.
    """
    save_dir = save_format.format(iter) if save_format else None
    hist, loss = compute_hist(net, save_dir, dataset, layer, gt, keeper, parameters)
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
        cause = why_equal(net, layer) if dataset else None
        if cause is None and keeper is not None:  # a training that has just begun
            print(f"{layer}: {warning} so far", flush=True)
        else:
            because = f": {cause.text}" if cause else ""
            print(f"warning: {layer}: {warning}{because}", flush=True)
    if record:
        head = {"iteration": int(iter), "layer": layer, "images": len(dataset), "loss": loss}
        write_record(record, {**(about or {}), **head, **result, "hist": hist.tolist()})
    return hist


def print_classes(hist: np.ndarray, names: Sequence[str]) -> None:
    """Print every class's share, accuracy and IU, then both ways to count absent classes."""
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


# ---- the command


def run(args: argparse.Namespace) -> int:
    """Score a model's weights on its data set, without a solver; returns the exit code."""
    if jobs.wanted(args):
        return jobs.run("score", args)
    with together.working(args), together.told_once():
        return score(args)


def score(args: argparse.Namespace) -> int:
    """Score with the other workers, if there are any; returns the exit code."""
    caffe.init_log(1)  # warnings, not how the net is built
    if args.server and not args.save:
        raise ValueError("--server needs --save DIR")
    if args.server and not Path(args.model).name.startswith("voc"):
        raise ValueError("--server: VOC's evaluation server takes predictions of VOC's classes")
    save, record = (path and path.absolute() for path in (args.save, args.record))
    record = record if together.is_first() else None
    parameters = crf.given(args, args.sample)
    model = models.model_name(args.model)
    with tells_how_to_get_scenes(args.sample):
        file = weights.given_or_found(args.weights, model, args.sample, args.any_weights)
        prototxt = models.prototxt_of(model, args.sample)
        task = task_of(model, args.sample)
        devices.use(args)
        prototxts.allow_own_layers(models.folder(model))
        os.chdir(prototxt.parent)  # paths in prototxts are relative to the model's folder
        net = caffe.Net(prototxt.name, caffe.TEST)
    stages.fill(net, file, model)
    ids = leakage.picture_ids(net)
    if not ids:
        raise ValueError(f"{prototxt}: its first layer is no data layer that names its pictures")
    trained = leakage.training_ids(Path(next(iter(task.nets)) + ".prototxt"))
    leakage.refuse_leakage(trained, ids, args.leakage)
    print(f"{model}: {file}")
    print(f"{counted(len(ids), 'picture')} of {leakage.split_of(net)}")
    iteration = max(runs.iteration(file), 0)
    name = Path(model).name + ("/sample" if args.sample else "")
    about = results.provenance(name, file, net) if record else None
    if parameters:
        print(f"with a dense CRF of {parameters}")
    if about and parameters:
        about["crf"] = asdict(parameters)
    for layer, gt in prototxts.scored(prototxts.read_net(prototxt)).items():
        folder = save and str(save / (SERVER if args.server else gt))
        try:
            hist = do_seg_tests(
                net, iteration, folder, ids, layer, gt, record, about, None, parameters
            )
        except finite_scores.NotFinite as error:
            raise finite_scores.NotFinite(f"{file}: {error}", error.weights) from error
        print_classes(hist, task.names_of(layer))
    return 0
