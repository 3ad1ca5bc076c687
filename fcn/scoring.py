"""Score segmentations: during a solver's steps, or `fcn score voc-fcn8s`."""

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import caffe

from . import devices
from .command import alone
from .datasets.sample import HOW_TO_GET
from .leakage import refuse_leakage, training_ids
from .measures import collapsed, compute_hist, scores
from .nets import read_net, scored
from .results import provenance, write_record
from .tasks import task_of
from .weights import MISSING, given_or_found, iteration, model, prototxt_of

SERVER = "results/VOC2012/Segmentation/comp6_test_cls"  # comp6: trained on more than VOC's own


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn score`."""
    parser.add_argument("--model", default="voc-fcn8s", help="model folder (%(default)s)")
    parser.add_argument("--weights", type=Path, help="caffemodel (default: the model's, by name)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="save predictions as palette PNGs")
    parser.add_argument(
        "--server", action="store_true", help=f"save them as VOC's server wants: DIR/{SERVER}"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="add the scores as JSON lines")
    parser.add_argument("--sample", action="store_true", help="the net of the embedded task")
    parser.add_argument("--leakage", action="store_true", help="score training pictures, too")
    devices.add_options(parser)


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if args.server and not args.save:
        parser.error("--server needs --save DIR")
    if args.server and not Path(args.model).name.startswith("voc"):
        parser.error("--server: VOC's evaluation server takes predictions of VOC's classes")


def run(args: argparse.Namespace) -> int:
    """Score a model's weights on its data set, without a solver; returns the exit status."""
    save, record = (path and path.absolute() for path in (args.save, args.record))
    try:
        args.model = model(args.model)
        weights = given_or_found(args.weights, args.model, args.sample)
        prototxt = prototxt_of(args.model, args.sample)
        task = task_of(args.model, args.sample)
        devices.use(args)
        os.chdir(prototxt.parent)  # paths in prototxts are relative to the model's folder
        net = caffe.Net(prototxt.name, str(weights), caffe.TEST)
        source: Any = net.layers[0]
        ids = source.indices
        trained = training_ids(Path(next(iter(task.nets)) + ".prototxt"))
        refuse_leakage(trained, ids, args.leakage)
    except (FileNotFoundError, ValueError) as error:
        hint = HOW_TO_GET if args.sample and isinstance(error, FileNotFoundError) else ""
        print(f"fcn score: {error}{hint}", file=sys.stderr)
        return MISSING
    print(f"{args.model}: {weights}")
    print(f"{len(ids)} pictures of {source.split}")
    at = max(iteration(weights), 0)
    name = Path(args.model).name + ("/sample" if args.sample else "")
    about = provenance(name, weights, net) if record else None
    for layer, gt in scored(read_net(prototxt)).items():
        folder = save and str(save / (SERVER if args.server else gt))
        hist = do_seg_tests(net, at, folder, ids, layer, gt, record, about)
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


def main() -> int:
    """The command `python score.py`."""
    return alone(sys.modules[__name__], "score.py")
