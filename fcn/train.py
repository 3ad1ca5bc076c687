"""Trains a model: the options, what a run starts from, its solver. Behind every solve.py.

`python voc-fcn8s/solve.py` and `fcn train voc-fcn8s` are the same command. The steps themselves are
in training_loop.py.
"""

import argparse
import contextlib
import os
import runpy
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn import cli, devices, doctor, models, prototxts, results, runs, weights
from fcn.datasets.sample import tells_how_to_get_scenes
from fcn.leakage import picture_ids, refuse_leakage
from fcn.options import train as options
from fcn.runs import Run
from fcn.solver_settings import loss_is_a_mean, settings_of, write_settings
from fcn.starting import StartingNet, all_missing, fill, look, scores_of, starting_nets
from fcn.tasks import task_of
from fcn.training_loop import Plan, Teller, Training

LOGS_TO_FILES = hasattr(caffe, "log_to_file")  # BVLC's pycaffe has none


class Schedule(NamedTuple):
    """How long to train: `rounds` times `steps` steps, with the scores after every round."""

    rounds: int
    steps: int


class Recipe(NamedTuple):
    """How a model is trained, apart from its solver.prototxt. Each solve.py has one as RECIPE.

    The solver's max_iter does not count: `step` never stops there, and the published ones disagree
    with the published scripts.
    """

    start: str | tuple[str, ...]  # the net or nets whose weights are copied first
    rounds: int
    steps: int
    scored: Mapping[str, str] = {"score": "label"}  # score blob -> label blob
    # initialize(net, *those nets) fills `net`. None: copy the layers of the same name.
    initialize: Callable[..., None] | None = None
    sample: Schedule | None = None  # on the embedded task, if the model has such a form

    @property
    def starts(self) -> list[str]:
        """The nets to start from."""
        return [self.start] if isinstance(self.start, str) else list(self.start)


# ---- the commands


def run(args: argparse.Namespace) -> int:
    """`fcn train`; returns the exit code."""
    folder = models.writable(models.folder(models.model_name(args.model)).resolve())
    recipe = recipe_of(folder)
    complete_options(args, recipe)
    return train_model(folder, recipe, args)


def recipe_of(folder: Path) -> Recipe:
    """The RECIPE of a model folder's solve.py."""
    script = folder / "solve.py"
    if not script.is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no solve.py")
    recipe = runpy.run_path(str(script)).get("RECIPE")
    if recipe is None:
        raise ValueError(f"{script} has no RECIPE (fcn.train.Recipe)")
    return recipe


def solve(script: str, recipe: Recipe) -> None:
    """`python solve.py`: train the model in the script's folder; exits if that did not go well."""
    args = parse(recipe)
    folder = models.writable(Path(script).resolve().parent)
    name = f"{folder.name}/solve.py"
    code = cli.guarded(name, lambda: train_model(folder, recipe, args), args.debug)
    if code:
        sys.exit(code)


def parse(recipe: Recipe) -> argparse.Namespace:
    """The command line of a solve.py."""
    parser = argparse.ArgumentParser(description="train this model, scoring it as it goes")
    options.add_options(parser)
    cli.add_debug(parser)
    args = parser.parse_args()
    try:
        complete_options(args, recipe)
    except ValueError as error:
        parser.error(str(error))
    return args


def complete_options(args: argparse.Namespace, recipe: Recipe) -> None:
    """Take missing options from the recipe; ValueError if options contradict each other."""
    schedule = recipe.sample if args.sample else Schedule(recipe.rounds, recipe.steps)
    if schedule is None:
        raise ValueError("this model has no --sample form; voc-fcn32s, -fcn16s and -fcn8s have one")
    if args.old_gpu is not None and (args.cpu or args.gpu is not None):
        raise ValueError("the GPU's number was given, and --gpu or --cpu besides")
    if args.resume and args.weights:
        raise ValueError(
            "--resume takes the weights of the snapshot: leave --weights out, or --resume to start "
            "afresh from them"
        )
    args.gpu = args.gpu if args.old_gpu is None else args.old_gpu
    args.rounds = schedule.rounds if args.rounds is None else args.rounds
    args.steps = schedule.steps if args.steps is None else args.steps
    if args.steps < 1:
        raise ValueError("--steps must be at least 1")


# ---- training


def train_model(folder: Path, recipe: Recipe, args: argparse.Namespace) -> int:
    """Train the model in `folder` as its recipe and the command line say; returns the exit code.

    Raises FileNotFoundError for missing weights, data or snapshots, ValueError for weights that do
    not fit and for scored pictures that are trained on, MemoryError for a net that is too large.
    """
    folder = folder / ("sample" if args.sample else "")
    with tells_how_to_get_scenes(args.sample):
        try:
            return begin(folder, recipe, args)
        except FileNotFoundError as error:
            if args.resume:
                raise
            raise all_missing(what_is_wanted(folder, recipe, args), error) from None


def begin(folder: Path, recipe: Recipe, args: argparse.Namespace) -> int:
    """Find what the run starts from, take its folder, and train."""
    initialized = recipe.initialize is not None
    start = [] if args.resume else starting_nets(args, recipe.starts, initialized)
    run, states = chosen_run(folder, args.resume, args.run)
    os.chdir(folder)  # paths in prototxts are relative to the model's folder
    run = Run(run.name, Path(os.path.relpath(run.folder)))
    devices.use(args)
    run.folder.mkdir(parents=True, exist_ok=True)
    with run.locked(), contextlib.ExitStack() as stack:
        if not states:
            run.forget_refused()
        if LOGS_TO_FILES:
            stack.enter_context(caffe.log_to_file(run.folder / "train.log"))
        settings = settings_of(run, args)
        solver = caffe.get_solver(write_settings(run, settings))
        if args.recompute:
            use_less_memory(solver, recipe.scored)
        ids = picture_ids(solver.test_nets[0], settings.test_iter[0])
        refuse_leakage(picture_ids(solver.net), ids, args.leakage)
        if states:
            restored = runs.restore(solver, states)
            print(f"run {run.name} goes on from {os.path.relpath(restored)}", flush=True)
            run.write_record(ended=None)
        else:
            fill(solver.net, start, recipe.initialize)
        case = doctor.Case(
            folder=Path.cwd(),
            settings=settings,
            scored=recipe.scored,
            net=solver.net,
            test_net=solver.test_nets[0],
            start=[(net.name, net.weights) for net in start],
            sample=args.sample,
        )
        look(case, Teller(run, solver), args.anyway, args.leakage)
        if not states:
            write_record(run, settings, start, args)
        plan = Plan(
            scored=recipe.scored,
            ids=ids,
            last=args.rounds * args.steps,
            steps=args.steps,
            per_pixel=loss_is_a_mean(prototxts.read_net(settings.train_net or settings.net)),
            start=scores_of(start),
            last_good=str(states[0]) if states else None,
        )
        return Training(run, solver, plan).run()


def what_is_wanted(folder: Path, recipe: Recipe, args: argparse.Namespace) -> doctor.Case:
    """The case of a run that cannot begin: what it needs, and nothing built."""
    settings = prototxts.read_text(folder / "solver.prototxt", caffe_pb2.SolverParameter())
    given = [path.absolute() for path in args.weights or ()]
    return doctor.Case(
        folder, settings, recipe.scored, wanted=recipe.starts, given=given, sample=args.sample
    )


def chosen_run(
    folder: Path, resume: str | Literal[True] | None, name: str | None
) -> tuple[Run, list[Path]]:
    """The run that is trained, and the solverstates to go on from, the best first."""
    if not resume:
        run = runs.new_run(folder, name)
        if run.name != runs.FIRST:
            print(f"run {run.name}, in {run.folder}", flush=True)
        return run, []
    if resume is True:
        run = runs.run_to_resume(folder, name)
        return run, [state.resolve() for state in run.states()]
    state = Path(resume)
    if not state.is_file():
        raise FileNotFoundError(f"no solverstate {state.absolute()}")
    return runs.run_of_state(state.resolve()), [state.resolve()]


def use_less_memory(solver: Any, scored: Mapping[str, str]) -> None:
    """Recompute the training net's maps in backward; keep of a test net's maps what is scored."""
    solver.net.recompute()
    for net in solver.test_nets:
        net.reuse_memory(keep=[*scored, *scored.values()])


# ---- the record


def write_record(
    run: Run, settings: Any, start: list[StartingNet], args: argparse.Namespace
) -> None:
    """Write run.json: all that the run's figures depend on."""
    folder = Path.cwd().parent if args.sample else Path.cwd()
    started = [
        {"net": net.name, "file": str(net.weights), "sha1": weights.sha1_of(net.weights)}
        for net in start
    ]
    run.write_record(
        run=run.name,
        model=folder.name,
        sample=args.sample,
        started=runs.now(),
        seed=settings.random_seed,
        host=socket.gethostname(),
        pid=os.getpid(),
        command=sys.argv,
        start=started,
        start_sha1=" ".join(each["sha1"] for each in started),
        solver=text_format.MessageToString(settings),
        set=dict(text.split("=", 1) for text in args.set),
        versions=results.versions(),
        device=devices.in_use(),
        precision=args.precision or "float32",
        classes=classes_of(str(folder), args.sample),
        ended=None,
    )


def classes_of(model: str, sample: bool) -> list[str]:
    """The names of a model's classes; none for a folder that belongs to no known data set."""
    try:
        return list(task_of(model, sample).dataset.classes)
    except ValueError:
        return []
