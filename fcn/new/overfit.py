"""`fcn new DIR --check`: trains on one picture until nearly all of it is right.

A net that cannot learn one picture by heart will not learn many. So if it can, picture, labels and net
fit: what is left is to train.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from tqdm import tqdm

import caffe
from fcn import devices, models, prototxts, starting, train
from fcn.datasets.data_layer import SegDataLayer
from fcn.datasets.dataset import VOID
from fcn.datasets.registry import own_readers
from fcn.datasets.upper_bound import restored
from fcn.measures import fast_hist, scores
from fcn.tasks import task_of

ENOUGH = 0.99  # of the labelled pixels
EVERY, MOST = 20, 1500  # steps between two looks; steps after which it counts as failed
LITTLE, PATIENCE = 0.001, 400  # it failed, too, if no more than so much was gained in so many steps
STRIDE = 8  # of the net's scores
TIMED = 3  # steps whose time tells how long it takes
USUAL = 200  # steps that it takes
AMONG = 50  # pictures, of which the one with the most classes is taken
# Adam learns one picture at any scale of the loss; weights that have learned much want small steps.
RATE_FROM_NOTHING, RATE = 2e-3, 1e-4
SOLVER = """train_net: "{net}" type: "Adam" lr_policy: "fixed" base_lr: {rate} momentum: 0.9
momentum2: 0.999 weight_decay: 0 display: 0 snapshot: 0 max_iter: {most} random_seed: 1
snapshot_prefix: "{folder}/check"
"""


def run(args: argparse.Namespace) -> int:
    """Train on one picture; returns the exit code: 0 if it was learned, 1 if not."""
    caffe.init_log(1)
    folder = first_stage(models.folder(str(args.dir)).resolve())
    recipe = train.recipe_of(folder)
    prototxts.allow_own_layers(folder)
    names = task_of(str(folder)).names_of("score")
    looked_for = argparse.Namespace(weights=None, sample=False, any_weights=False)
    start = starting.starting_nets(looked_for, recipe.starts, recipe.initialize is not None)
    id, labels = busiest(own_readers(folder)[0].layer)
    devices.use(args)
    before = Path.cwd()
    os.chdir(folder)  # paths in prototxts are relative to the model's folder
    try:
        with tempfile.TemporaryDirectory() as place:
            net = one_picture_net(folder, Path(place), id)
            solver = solver_of(net, Path(place), bool(start))
            starting.fill(solver.net, start, recipe.initialize)
            print(f"learning {id} by heart, until {ENOUGH:.0%} of its pixels are right", flush=True)
            hist = learn(solver, caffe.Net(str(net), caffe.TEST), labels)
    finally:
        os.chdir(before)
    kept = scores(restored([labels], len(names), STRIDE))["pixel_accuracy"]
    return told(hist, kept, solver.iter, id, names)


def first_stage(folder: Path) -> Path:
    """The folder, or that of its first stage. FileNotFoundError if it holds no net."""
    if (folder / "solver.prototxt").is_file():
        return folder
    stages = sorted(
        folder.glob("fcn*s/solver.prototxt"), key=lambda path: "32" not in path.parent.name
    )
    if not stages:
        raise FileNotFoundError(f"no net in {folder}: fcn new makes one, with --images and --masks")
    return stages[0].parent


def busiest(layer: SegDataLayer) -> tuple[str, np.ndarray]:
    """(id, labels) of the picture with the most classes, among the first."""
    first = [(id, layer.load("label", id)[0]) for id in layer.read_split()[:AMONG]]
    return max(first, key=lambda pair: len(np.unique(pair[1])))


def one_picture_net(folder: Path, place: Path, id: str) -> Path:
    """Write the training net, which reads that picture alone; returns its path.

    ValueError for a net whose data layer has its lists elsewhere.
    """
    stem = next(iter(prototxts.nets_of(folder)))
    net = prototxts.read_net(folder / f"{stem}.prototxt")
    for layer, params in prototxts.data_layers(net):
        if "lists_dir" not in params:
            raise ValueError(f"{folder}: --check takes folders that fcn new has made")
        params |= {"lists_dir": str(place), "randomize": False}
        layer.python_param.param_str = repr(params)
        (place / f"{params['split']}.txt").write_text(f"{id}\n", encoding="utf-8")
    path = place / "train.prototxt"
    path.write_text(text_format.MessageToString(net))
    return path


def solver_of(net: Path, place: Path, started: bool) -> Any:
    """The solver of the net, `started` from weights or from nothing."""
    rate = RATE if started else RATE_FROM_NOTHING
    text = SOLVER.format(net=net, rate=rate, most=MOST, folder=place)
    (place / "solver.prototxt").write_text(text)
    return caffe.get_solver(str(place / "solver.prototxt"))


SILENT = 10  # seconds between two lines where there is no terminal


def learn(solver: Any, test_net: caffe.Net, labels: np.ndarray) -> np.ndarray:
    """Step until enough is right, or too many steps are done; returns the confusion matrix."""
    test_net.share_with(solver.net)
    begin = told = time.monotonic()
    best, since = 0.0, 0
    with tqdm(total=MOST, unit="step", leave=False, disable=None) as bar:
        while True:
            count = TIMED if solver.iter < TIMED else EVERY
            solver.step(count)
            bar.update(count)
            if solver.iter == TIMED:
                minutes = (time.monotonic() - begin) / TIMED * USUAL / 60
                if minutes > 1:
                    bar.write(f"this takes about {minutes:.0f} minutes; Ctrl-C ends it")
            hist = matrix(test_net, labels)
            right = scores(hist)["pixel_accuracy"]
            bar.set_postfix(right=f"{right:.1%}")
            if bar.disable and time.monotonic() > told + SILENT:  # no terminal, so no bar
                told = time.monotonic()
                print(f"step {solver.iter}: {right:.1%} of the pixels are right", flush=True)
            if right > best + LITTLE:
                best, since = right, solver.iter
            if right >= ENOUGH or solver.iter >= min(MOST, since + PATIENCE):
                return hist


def matrix(net: caffe.Net, labels: np.ndarray) -> np.ndarray:
    """The confusion matrix of the net's one picture."""
    net.forward()
    given = net.blobs["score"].data[0].argmax(0)
    labelled = labels != VOID
    classes = net.blobs["score"].data.shape[1]
    return fast_hist(labels[labelled].ravel(), given[labelled].ravel(), classes)


def told(hist: np.ndarray, kept: float, steps: int, id: str, names: tuple[str, ...]) -> int:
    """Say what was learned; returns the exit code.

    `kept` is the share of the pixels that are right if the labels are averaged to the net's stride.
    """
    result = scores(hist)
    there = [k for k in range(len(names)) if hist[k].sum()]
    each = ", ".join(f"{names[k]} {result['iu'][k]:.2f}" for k in there)
    right = result["pixel_accuracy"]
    print(f"{right:.2%} of {id} is right after {steps} steps; IU of its classes: {each}")
    if right >= ENOUGH:
        print("data, labels and net fit")
        return 0
    if kept < ENOUGH and right >= kept:
        print(
            f"not {ENOUGH:.0%}, but its objects are thin: the scores of this net are {STRIDE} pixels apart, "
            f"and of the labels themselves {kept:.2%} are right if they are averaged to that. Data, "
            "labels and net fit as far as that goes; larger pictures would show more"
        )
    else:
        print(
            f"not {ENOUGH:.0%}: do the labels lie on the pictures (labels.png shows some)? At {STRIDE} "
            f"pixels, the distance of this net's scores, {kept:.2%} of the labels are right"
        )
    return 1
