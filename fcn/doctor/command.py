"""`fcn doctor MODEL`: looks for everything that would spoil a training, without training."""

import argparse
import contextlib
import io
import os
import runpy
from pathlib import Path
from typing import Any

import caffe
from caffe.proto import caffe_pb2
from fcn import devices, models, prototxts, starting, weights
from fcn.doctor import CHECKS, TRAIN, Case
from fcn.findings import NOTE, REFUSE, Finding, by_weight


def run(args: argparse.Namespace) -> int:
    """Print what is found; returns the exit code: 0 if nothing is wrong, 1 if something is."""
    caffe.init_log(2)  # the net's own log is no finding
    home = models.folder(models.model_name(args.model)).resolve()
    recipe = recipe_in(home)
    folder = home / "sample" if args.sample else home
    if not (folder / "solver.prototxt").is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no solver.prototxt")
    args.weights = [path.absolute() for path in args.weights or []]
    os.chdir(folder)  # paths in prototxts are relative to the model's folder
    devices.use(args)
    case, found = make_case(folder, recipe, args)
    for title, check in CHECKS.items():
        print(f"looking at {title}", flush=True)
        found += check(case)
    return show(by_weight(found), case.model)


def recipe_in(folder: Path) -> Any:
    """The RECIPE of a model folder's solve.py; None without one."""
    script = folder / "solve.py"
    return runpy.run_path(str(script)).get("RECIPE") if script.is_file() else None


def make_case(folder: Path, recipe: Any, args: argparse.Namespace) -> tuple[Case, list[Finding]]:
    """The case of a model folder, its nets built and filled as far as that is possible."""
    settings = prototxts.read_text("solver.prototxt", caffe_pb2.SolverParameter())
    wanted = recipe.starts if recipe else []
    case = Case(folder, settings, sample=args.sample, wanted=wanted, given=args.weights)
    scored = recipe.scored if recipe else None
    case.scored = scored or (prototxts.scored(case.nets[TRAIN]) if TRAIN in case.nets else {})
    found: list[Finding] = []
    try:
        case.net = caffe.Net(settings.train_net or settings.net, caffe.TRAIN)
    except (OSError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        found += not_built(case, error)
    if case.net is not None:
        found += fill(case, recipe)
    return case, found


def not_built(case: Case, error: Exception) -> list[Finding]:
    """What keeps the net from being built, unless it is only that data is missing."""
    if any(source.reader is None or not source.ids for source in case.sources):
        return []  # told with what is missing
    if any(source.reader.absent_files(source.ids) for source in case.sources if source.reader):
        return []
    text = str(error.args[0] if error.args else error)
    return [Finding("net.not_built", REFUSE, "the train net cannot be built", text, "correct it")]


def fill(case: Case, recipe: Any) -> list[Finding]:
    """Fill the net as training would; what keeps it from being filled."""
    start = []
    for number, name in enumerate(case.wanted):
        paths = (
            [case.given[number]]
            if number < len(case.given)
            else weights.candidates(name, case.sample)
        )
        file = next((path for path in paths if path.is_file()), None)
        if file is None:
            case.net = None  # told with what is missing; a net that is not filled tells nothing
            return []
        prototxt = models.prototxt_of(name, case.sample) if recipe.initialize else Path()
        start.append(starting.StartingNet(name, file, prototxt))
    case.start = [(each.name, each.weights) for each in start]
    if recipe is None or case.net is None:
        return []
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            starting.fill(case.net, start, recipe.initialize)
    except ValueError as error:
        what, text = "the weights do not fit the net", str(error)
        case.net = None
        return [Finding("weights.misfit", REFUSE, what, text, "see which net the file is of")]
    return []


def show(found: list[Finding], model: str) -> int:
    """Print findings; returns the exit code."""
    for finding in found:
        print(f"\n{finding.level.upper()} {finding.kind}: {finding}")
    wrong = sum(finding.level != NOTE for finding in found)
    notes = len(found) - wrong
    told = f"{wrong} findings" if wrong != 1 else "1 finding"
    print(f"\n{model}: {told if wrong else 'nothing is wrong'}" + f", {notes} notes" * bool(notes))
    return 1 if wrong else 0
