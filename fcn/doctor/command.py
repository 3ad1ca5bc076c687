"""`fcn doctor MODEL`: looks for everything that would spoil a training, without training."""

import argparse
import contextlib
import io
import os
import re
import runpy
from pathlib import Path
from typing import Any

import caffe
from caffe.proto import caffe_pb2
from fcn import devices, doctor, models, prototxts, starting, weights
from fcn.doctor import TEST, TRAIN, Case
from fcn.findings import NOTE, REFUSE, Finding, by_weight
from fcn.wording import counted


def run(args: argparse.Namespace) -> int:
    """Print what is found; returns the exit code: 0 if nothing is wrong, 1 if something is."""
    caffe.init_log(2)  # the net's own log is no finding
    name = models.model_name(args.model)
    home = models.folder(name).resolve()
    recipe = recipe_in(home)
    prototxts.allow_own_layers(home)
    folder = models.folder(name, args.sample).resolve()
    if not (folder / "solver.prototxt").is_file():
        raise models.no_model(folder, "solver.prototxt")
    args.weights = [path.absolute() for path in args.weights or []]
    os.chdir(folder)  # paths in prototxts are relative to the model's folder
    devices.use(args)
    if recipe and recipe.prepare:
        with contextlib.suppress(FileNotFoundError):  # what is missing is told by the checks
            recipe.prepare(folder)
    case, unbuilt = make_case(folder, recipe, args)
    found = list(doctor.findings(case, lambda title: print(f"looking at {title}", flush=True)))
    told = case.refused("data.", "labels.")  # what a data layer raised is said with the data
    found += [each for each in unbuilt if not (told and names_data(case, each.what))]
    return show(by_weight(found), case.model)


def recipe_in(folder: Path) -> Any:
    """The RECIPE of a model folder's solve.py; None without one."""
    script = folder / "solve.py"
    return runpy.run_path(str(script)).get("RECIPE") if script.is_file() else None


def steps_of(recipe: Any, sample: bool) -> int:
    """The steps that a recipe plans; 0 without one."""
    schedule = recipe.sample if recipe and sample else recipe
    return schedule.rounds * schedule.steps if schedule else 0


def make_case(folder: Path, recipe: Any, args: argparse.Namespace) -> tuple[Case, list[Finding]]:
    """The case of a model folder, its nets built and filled as far as that is possible."""
    settings = prototxts.read_text("solver.prototxt", caffe_pb2.SolverParameter())
    wanted = recipe.starts if recipe else []
    case = Case(folder, settings, sample=args.sample, wanted=wanted, given=args.weights)
    case.steps = steps_of(recipe, args.sample)
    scored = recipe.scored if recipe else None
    case.scored = scored or (prototxts.scored(case.nets[TRAIN]) if TRAIN in case.nets else {})
    found = [*build(case, TRAIN), *build(case, TEST)]
    if case.net is not None:
        found += fill(case, recipe)
    return case, found


def build(case: Case, which: str) -> list[Finding]:
    """Build a net of the case; what keeps it from being built."""
    if which not in case.nets:
        return []  # told where its prototxt could not be read
    settings = case.settings
    train, test = settings.train_net or settings.net, [*settings.test_net, settings.net][0]
    path = train if which == TRAIN else test
    try:
        if which == TRAIN:
            case.net = caffe.Net(path, caffe.TRAIN)
        else:
            case.test_net = caffe.Net(path, caffe.TEST)
    except (OSError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        return not_built(case, which, path, error)
    return []


def not_built(case: Case, which: str, path: str, error: Exception) -> list[Finding]:
    """What keeps a net from being built, unless it is only that data is missing."""
    for source in case.sources_of(which):
        if source.reader is None or not source.ids or source.reader.absent_files(source.ids):
            return []  # told with what is missing, or with the data layers
    text, _, way = str(error.args[0] if error.args else error).partition(". Way out: ")
    layer = re.search("layer '[^']+'", text)
    mend = f"change {layer[0]} in {path}" if layer else f"mend {path}"
    if isinstance(error, MemoryError):
        mend = "a smaller net, smaller pictures, or a machine with more memory"
    what = f"the {which} net cannot be built: {text}"
    return [Finding("net.not_built", REFUSE, what, path, way or mend)]


def names_data(case: Case, text: str) -> bool:
    """Whether an error's text is that of one of the data layers."""
    return any(source.kind and f" {source.kind.__name__}: " in text for source in case.sources)


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
    told = counted(wrong, "finding") if wrong else "nothing is wrong"
    print(f"\n{model}: {told}" + f", {counted(notes, 'note')}" * bool(notes))
    return 1 if wrong else 0
