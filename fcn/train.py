"""`fcn train MODEL`, and what is behind every solve.py: the recipe and the command line.

`python voc-fcn8s/solve.py` and `fcn train voc-fcn8s` are the same command. Nothing here computes, so
that --help is quick and a Ctrl-C while PyTorch is loaded is met: training.py does what is asked for.
"""

import argparse
import importlib
import runpy
import sys
from pathlib import Path

from fcn import cli, models
from fcn.options import train as options
from fcn.recipe import Recipe, Schedule
from fcn.stopping import Interrupted, ended_by_signals


def run(args: argparse.Namespace) -> int:
    """`fcn train`; returns the exit code."""
    folder = models.writable(models.folder(models.model_name(args.model)).resolve())
    recipe = recipe_of(folder)
    complete_options(args, recipe)
    return train_model(folder, recipe, args)


def train_model(folder: Path, recipe: Recipe, args: argparse.Namespace) -> int:
    """Train the model in `folder`; a signal ends it with the exit code that shells have for it."""
    try:
        with ended_by_signals():
            training = importlib.import_module("fcn.training")  # brings PyTorch
            return training.train_model(folder, recipe, args)
    except Interrupted as interrupted:
        print(f"\n{interrupted}", file=sys.stderr)
        return interrupted.exit_code


def recipe_of(folder: Path) -> Recipe:
    """The RECIPE of a model folder's solve.py."""
    script = folder / "solve.py"
    if not script.is_file():
        raise models.no_model(folder)
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
    if args.keep is not None and args.keep < 1:
        raise ValueError(f"--keep {args.keep}: 1 snapshot at least")
    args.gpu = args.gpu if args.old_gpu is None else args.old_gpu
    args.rounds = schedule.rounds if args.rounds is None else args.rounds
    args.steps = schedule.steps if args.steps is None else args.steps
    for name, value in (("rounds", args.rounds), ("steps", args.steps)):
        if value < 1:
            raise ValueError(f"--{name} {value}: 1 at least, else nothing is trained")
