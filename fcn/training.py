"""A training from its beginning: what the run starts from, its folder, its solver, its record.

The command line is in train.py, the steps are in training_loop.py.
"""

import argparse
import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from fcn import devices, doctor, prototxts, results, runs, together, weights
from fcn.assisting import assist, take_along
from fcn.datasets.sample import tells_how_to_get_scenes
from fcn.leakage import picture_ids, refuse_leakage
from fcn.recipe import Recipe
from fcn.runs import Run
from fcn.scoring import read_records
from fcn.solver_settings import loss_is_a_mean, settings_of, write_settings
from fcn.starting import StartingNet, all_missing, fill, look, scores_of, starting_nets
from fcn.tasks import task_of
from fcn.training_loop import DONE, Plan, Teller, Training

LOGS_TO_FILES = hasattr(caffe, "log_to_file")  # BVLC's pycaffe has none


def train_model(folder: Path, recipe: Recipe, args: argparse.Namespace) -> int:
    """Train the model in `folder` as its recipe and the command line say; returns the exit code.

    Raises FileNotFoundError for missing weights, data or snapshots, ValueError for weights that do
    not fit and for scored pictures that are trained on, MemoryError for a net that is too large.
    """
    prototxts.allow_own_layers(folder)
    folder = folder / ("sample" if args.sample else "")
    group = together.join(args)
    try:
        if group is not None and group.rank:
            return assist(group, folder, args)
        return begin(folder, recipe, args)
    except BaseException as error:
        if group is not None:
            group.fail(error)
        raise
    finally:
        if group is not None:
            group.leave()


def begin(folder: Path, recipe: Recipe, args: argparse.Namespace) -> int:
    """Train; what is missing is told all at once."""
    try:
        return train(folder, recipe, args)
    except FileNotFoundError as error:
        if args.resume:
            raise
        raise all_missing(what_is_wanted(folder, recipe, args), error) from None


def train(folder: Path, recipe: Recipe, args: argparse.Namespace) -> int:
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
        with tells_how_to_get_scenes(args.sample):
            if recipe.prepare:
                recipe.prepare(Path.cwd())
            solver = caffe.get_solver(write_settings(run, settings))
        if args.recompute:
            use_less_memory(solver, recipe.scored)
        ids = picture_ids(solver.test_nets[0], settings.test_iter[0])
        refuse_leakage(picture_ids(solver.net), ids, args.leakage)
        restored, unscored = None, False
        if states:
            restored = runs.restore(solver, states)
            unscored = rounds_end_unscored(run, solver, recipe, args)
            if not anything_left(run, solver.iter, unscored, args):
                return 0
            print(f"run {run.name} goes on from {os.path.relpath(restored)}", flush=True)
            run.write_record(ended=None, doubtful=[])
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
            steps=args.rounds * args.steps,
        )
        look(case, Teller(run, solver), args.anyway, args.leakage)
        if restored:
            go_back(solver, restored)
        if not states:
            write_record(run, settings, start, args)
        plan = plan_of(settings, recipe, start, restored, unscored, ids, args)
        training = Training(run, solver, plan)
        if (group := together.group()) is not None:
            take_along(group, solver, plan, args)
        return training.run()


def plan_of(
    settings: Any,
    recipe: Recipe,
    start: list[StartingNet],
    restored: Path | None,
    unscored: bool,
    ids: list[str],
    args: argparse.Namespace,
) -> Plan:
    """What the run does, from its beginning or from the snapshot that was restored."""
    return Plan(
        scored=recipe.scored,
        ids=ids,
        last=args.rounds * args.steps,
        steps=args.steps,
        per_pixel=loss_is_a_mean(prototxts.read_net(settings.train_net or settings.net)),
        start=scores_of(start),
        last_good=str(restored) if restored else None,
        begun_from=[str(net.weights) for net in start],
        unscored=unscored,
        keep=args.keep,
        stops_unsaved=args.unsaved == "stop",
        checks_gradients=args.check_gradients,
        after_round=recipe.after_round,
    )


def go_back(solver: Any, restored: Path) -> None:
    """Set data and random numbers to where the snapshot was written: the checks have made passes since."""
    if hasattr(solver, "restore_position"):  # BVLC's resumes as it does
        said = solver.restore_position(str(restored))
        if said:
            print(f"not as if it had never been cut: {said}", flush=True)


def rounds_end_unscored(run: Run, solver: Any, recipe: Recipe, args: argparse.Namespace) -> bool:
    """Whether a resumed run is at the end of a round that it was stopped in the scoring of."""
    if solver.iter % args.steps:
        return False
    path = run.folder / "scores.jsonl"
    records = read_records(path) if path.is_file() else []
    scored = {each.get("layer") for each in records if each.get("iteration") == solver.iter}
    return not scored.issuperset(recipe.scored)


def anything_left(run: Run, at: int, unscored: bool, args: argparse.Namespace) -> bool:
    """Whether a resumed run has steps or scores to make. If not, that is said.

    ValueError if it has gone further than it is asked to.
    """
    last = args.rounds * args.steps
    schedule = f"iteration {last} ({args.rounds} x {args.steps})"
    if at > last:
        raise ValueError(
            f"run {run.name} is at iteration {at} already, beyond {schedule}: nothing to do; "
            f"--rounds {-(at // -args.steps) + 1} goes on"
        )
    if at < last or unscored:
        return True
    print(f"run {run.name} is at its end, {schedule}: nothing to do; --rounds takes it further")
    if (run.record().get("ended") or {}).get("how") != DONE:
        run.ended(DONE, at)
    return False


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
        return run, [state.resolve() for state in run.trusted_states()]
    tried = dict.fromkeys([Path(resume).absolute(), folder / resume])  # as our own lines name it
    state = next((path.resolve() for path in tried if path.is_file()), None)
    if state is None:
        raise FileNotFoundError(f"no solverstate {' nor '.join(map(str, tried))}")
    return runs.run_of_state(state), [state]


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
