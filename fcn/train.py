"""Trains a model: finds weights, fills the net, steps and scores. Behind every solve.py.

`python voc-fcn8s/solve.py` and `fcn train voc-fcn8s` are the same command.
"""

import argparse
import os
import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tqdm import tqdm

import caffe
from caffe.proto import caffe_pb2
from fcn import devices, models, prototxts, scoring, surgery, weights
from fcn.datasets.sample import tells_how_to_get_scenes
from fcn.leakage import picture_ids, refuse_leakage

MISSING, INTERRUPTED = 2, 130  # exit codes: a file is not there; the user pressed Ctrl-C


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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn train`."""
    parser.add_argument("model", help="model folder")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """`fcn train`; returns the exit code."""
    folder = models.writable(models.folder(models.model_name(args.model)).resolve())
    script = folder / "solve.py"
    if not script.is_file():
        raise FileNotFoundError(f"{folder} is no model folder: it has no solve.py")
    recipe = runpy.run_path(str(script)).get("RECIPE")
    if recipe is None:
        raise ValueError(f"{script} has no RECIPE (fcn.train.Recipe)")
    complete_options(args, recipe)
    train_model(folder, recipe, args)
    return 0


def solve(script: str, recipe: Recipe) -> None:
    """`python solve.py`: train the model in the script's folder."""
    args = parse(recipe)
    folder = models.writable(Path(script).resolve().parent)
    try:
        train_model(folder, recipe, args)
    except (FileNotFoundError, MemoryError) as error:
        print(f"{folder.name}/solve.py: {error}", file=sys.stderr)
        sys.exit(MISSING)


def parse(recipe: Recipe) -> argparse.Namespace:
    """The command line of a solve.py."""
    parser = argparse.ArgumentParser(description="train this model, scoring it as it goes")
    add_options(parser)
    args = parser.parse_args()
    try:
        complete_options(args, recipe)
    except ValueError as error:
        parser.error(str(error))
    return args


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every model."""
    parser.add_argument("old_gpu", nargs="?", type=int, metavar="GPU", help="as --gpu")
    devices.add_options(parser)
    parser.add_argument("--weights", nargs="+", type=Path, help="start from these files")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="STATE",
        help="go on from this .solverstate (default: the newest)",
    )
    parser.add_argument("--rounds", type=int, help="rounds of steps and scoring (as published)")
    parser.add_argument("--steps", type=int, help="steps a round (as published)")
    parser.add_argument("--seed", type=int, help="seed of everything random but the data's order")
    parser.add_argument("--sample", action="store_true", help="on the embedded task")
    text = "use less memory: compute maps again in backward, which takes a third more time"
    parser.add_argument("--recompute", action="store_true", help=text)
    parser.add_argument("--leakage", action="store_true", help="score training pictures, too")


def complete_options(args: argparse.Namespace, recipe: Recipe) -> None:
    """Take missing options from the recipe; ValueError if options contradict each other."""
    schedule = recipe.sample if args.sample else Schedule(recipe.rounds, recipe.steps)
    if schedule is None:
        raise ValueError("this model has no --sample form; voc-fcn32s, -fcn16s and -fcn8s have one")
    if args.old_gpu is not None and (args.cpu or args.gpu is not None):
        raise ValueError("the GPU's number was given, and --gpu or --cpu besides")
    args.gpu = args.gpu if args.old_gpu is None else args.old_gpu
    args.rounds = schedule.rounds if args.rounds is None else args.rounds
    args.steps = schedule.steps if args.steps is None else args.steps
    if args.steps < 1:
        raise ValueError("--steps must be at least 1")


# ---- training


def train_model(folder: Path, recipe: Recipe, args: argparse.Namespace) -> None:
    """Train the model in `folder` as its recipe and the command line say.

    Raises FileNotFoundError for missing weights, data or snapshots, ValueError for weights that do
    not fit and for scored pictures that are trained on, MemoryError for a net that is too large.
    """
    folder = folder / ("sample" if args.sample else "")
    with tells_how_to_get_scenes(args.sample):
        start = [] if args.resume else starting_nets(args, recipe)
        state = args.resume and resumed_state(args.resume, folder)
        os.chdir(folder)  # paths in prototxts are relative to the model's folder
        devices.use(args)
        solver = make_solver(args.seed)
    if args.recompute:
        use_less_memory(solver, recipe.scored)
    refuse_leakage(picture_ids(solver.net), picture_ids(solver.test_nets[0]), args.leakage)
    if state:
        solver.restore(str(state))
    else:
        fill(solver.net, start, recipe.initialize)
    train(solver, args.rounds, args.steps, recipe.scored)


class StartingNet(NamedTuple):
    """A net to start from."""

    name: str
    weights: Path
    prototxt: Path  # of the net; read only for a recipe's `initialize`


def starting_nets(args: argparse.Namespace, recipe: Recipe) -> list[StartingNet]:
    """The nets to start from, with the weights given on the command line or found by name."""
    names, given = recipe.starts, args.weights or [None] * len(recipe.starts)
    if len(given) != len(names):
        raise FileNotFoundError(f"--weights wants {len(names)} files, for {', '.join(names)}")
    start = []
    for path, name in zip(given, names):
        file = weights.given_or_found(path, name, args.sample)
        prototxt = models.prototxt_of(name, args.sample) if recipe.initialize else Path()
        start.append(StartingNet(name, file, prototxt))
    return start


def resumed_state(wish: str | Literal[True], folder: Path) -> Path:
    """The solverstate named, or the newest one in the model's snapshot folder."""
    if wish is not True:
        if not Path(wish).is_file():
            raise FileNotFoundError(f"no solverstate {Path(wish).absolute()}")
        return Path(wish).resolve()
    found = sorted(folder.glob("snapshot/*.solverstate*"), key=weights.iteration)
    if not found:
        raise FileNotFoundError(f"nothing to resume: no {folder}/snapshot/*.solverstate")
    return found[-1]


def read_settings() -> Any:
    """The SolverParameter in the working directory's solver.prototxt."""
    return prototxts.read_text("solver.prototxt", caffe_pb2.SolverParameter())


def snapshot_folder(settings: Any) -> Path:
    """The folder that a solver writes to."""
    return Path(settings.snapshot_prefix).parent


def make_solver(seed: int | None) -> Any:
    """The solver of the working directory's solver.prototxt, with a folder for its snapshots."""
    if seed is not None:
        caffe.set_random_seed(seed)
    snapshot_folder(read_settings()).mkdir(parents=True, exist_ok=True)
    return caffe.get_solver("solver.prototxt")


def use_less_memory(solver: caffe.SGDSolver, scored: Mapping[str, str]) -> None:
    """Recompute the training net's maps in backward; keep of a test net's maps what is scored."""
    solver.net.recompute()
    for net in solver.test_nets:
        net.reuse_memory(keep=[*scored, *scored.values()])


def fill(
    net: caffe.Net, start: list[StartingNet], initialize: Callable[..., None] | None = None
) -> None:
    """Fill the net from the nets to start from, and make deconvolutions that are zero bilinear.

    ValueError if most layers are zero then, because nothing could be learned.
    """
    for name, file, _ in start:
        print(f"starting from {name}: {file}")
    if initialize:
        initialize(net, *(prototxts.load(prototxt, file) for _, file, prototxt in start))
    else:
        net.copy_from(str(start[0].weights))
    is_deconvolution = {
        name: layer.type == "Deconvolution" for name, layer in net.layer_dict.items()
    }
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    surgery.interp(net, [name for name in zero if is_deconvolution[name]])
    zero = [name for name in zero if not is_deconvolution[name]]
    print(f"starting from zero: {', '.join(zero) or 'no layer'}", flush=True)
    learned = [name for name in net.params if not is_deconvolution[name]]
    if len(zero) > len(learned) / 2:
        raise ValueError(
            f"{len(zero)} of {len(learned)} layers are zero, so the scores would be uniform and "
            f"stay so. Do the layer names in {start[0].weights} match the net's?"
        )


def train(solver: caffe.SGDSolver, rounds: int, steps: int, scored: Mapping[str, str]) -> None:
    """Step and score until `rounds` rounds are done; save a snapshot at the end or on Ctrl-C."""
    settings = read_settings()
    record = snapshot_folder(settings) / "scores.jsonl"
    try:
        while solver.iter < rounds * steps:
            step(solver, steps - solver.iter % steps)
            for layer, gt in scored.items():
                ids = picture_ids(solver.test_nets[0], settings.test_iter[0])
                scoring.seg_tests(solver, False, ids, layer, gt, record)
    except KeyboardInterrupt:
        solver.snapshot()
        print(f"\ninterrupted at iteration {solver.iter} and saved; go on with --resume")
        sys.exit(INTERRUPTED)
    if not settings.snapshot or solver.iter % settings.snapshot:
        solver.snapshot()  # else the last steps would be lost


def step(solver: caffe.SGDSolver, count: int) -> None:
    """`count` steps, with a progress bar if Caffe's log, which shows the loss, is silenced."""
    if os.environ.get("GLOG_minloglevel", "0") == "0":
        solver.step(count)
        return
    with tqdm(total=count, desc=model_here(), unit="step", mininterval=1) as bar:
        while bar.n < count:
            some = min(20, count - bar.n)
            solver.step(some)
            bar.update(some)


def model_here() -> str:
    """The name of the model whose folder, or `sample` folder, is the working directory."""
    here = Path.cwd()
    return here.parent.name if here.name == "sample" else here.name
