"""The one training loop behind every solve.py: find weights, fill the net, step, score."""

import argparse
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

import caffe
from caffe.proto import caffe_pb2

from . import devices, places, surgery
from .command import INTERRUPTED
from .datasets.sample import HOW_TO_GET
from .leakage import picture_ids, refuse_leakage
from .nets import load, read_text
from .scoring import seg_tests
from .weights import MISSING, given_or_found, iteration, model, prototxt_of


def solve(
    script: str,
    start: str | list[str],
    rounds: int,
    steps: int,
    scored: dict[str, str] | None = None,
    initialize: Callable[..., None] | None = None,
    sample: dict[str, int] | None = None,
) -> None:
    """What `python solve.py` does: train the model in the script's folder.

    `start` names the net whose weights are copied first, layer by layer of the same name. With
    `initialize`, it names one or several nets, and initialize(net, *those nets) fills `net` from them.
    Then `rounds` times `steps` steps are made, whatever the solver's max_iter (`step` never stops
    there; the published ones disagree), each round followed by scoring the pairs of `scored`,
    score blob: label blob. `sample`, if there is such a form, is what --sample changes:
    a dict of rounds and steps.
    """
    args = parse(rounds, steps, sample)
    scored = scored or {"score": "label"}
    starts = [start] if isinstance(start, str) else list(start)
    folder = Path(script).resolve().parent / ("sample" if args.sample else "")
    try:
        weights = [] if args.resume else starting_weights(args.weights, starts, args.sample)
        state = args.resume and resumed_state(args.resume, folder)
        os.chdir(folder)  # paths in prototxts are relative to the model's folder
        devices.use(args)
        solver = make_solver(args.seed)
        if args.recompute:
            use_less_memory(solver, scored)
        refuse_leakage(picture_ids(solver.net), picture_ids(solver.test_nets[0]), args.leakage)
        if state:
            solver.restore(str(state))
        else:
            fill(solver.net, starts, weights, initialize, args.sample)
        train(solver, args.rounds, args.steps, scored)
    except (FileNotFoundError, MemoryError) as error:
        missing_scenes = args.sample and isinstance(error, FileNotFoundError)
        hint = HOW_TO_GET if missing_scenes else ""
        print(f"{Path(script).resolve().parent.name}/solve.py: {error}{hint}", file=sys.stderr)
        sys.exit(MISSING)


def add_options(parser: argparse.ArgumentParser, rounds: int | str, steps: int | str) -> None:
    """The options of every solve.py; `rounds` and `steps` are shown as the defaults."""
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
    parser.add_argument("--rounds", type=int, help=f"rounds of steps and scoring ({rounds})")
    parser.add_argument("--steps", type=int, help=f"steps a round ({steps})")
    parser.add_argument("--seed", type=int, help="seed of everything random but the data's order")
    parser.add_argument("--sample", action="store_true", help="on the embedded task")
    text = "use less memory: compute maps again in backward, which takes a third more time"
    parser.add_argument("--recompute", action="store_true", help=text)
    parser.add_argument("--leakage", action="store_true", help="score training pictures, too")


def parse(rounds: int, steps: int, sample: dict[str, int] | None) -> argparse.Namespace:
    """The command line of a solve.py, with the model's own schedule as defaults."""
    parser = argparse.ArgumentParser(description="train this model, scoring it as it goes")
    add_options(parser, rounds, steps)
    args = parser.parse_args()
    if args.sample and not sample:
        parser.error("this model has no --sample form; voc-fcn32s, voc-fcn16s and voc-fcn8s have")
    if args.old_gpu is not None and (args.cpu or args.gpu is not None):
        parser.error("the GPU's number was given, and --gpu or --cpu besides")
    args.gpu = args.gpu if args.old_gpu is None else args.old_gpu
    schedule = sample if args.sample and sample else dict(rounds=rounds, steps=steps)
    args.rounds = schedule["rounds"] if args.rounds is None else args.rounds
    args.steps = schedule["steps"] if args.steps is None else args.steps
    if args.steps < 1:
        parser.error("--steps must be at least 1")
    return args


def starting_weights(given, starts, sample):
    """The files to start from, one a net: those given on the command line, or found by name."""
    given = given or [None] * len(starts)
    if len(given) != len(starts):
        raise FileNotFoundError(f"--weights wants {len(starts)} files, for {', '.join(starts)}")
    return [given_or_found(path, net, sample) for path, net in zip(given, starts)]


def resumed_state(wish, folder):
    """The solverstate named, or the newest in the model's snapshot folder."""
    if wish is not True:
        if not Path(wish).is_file():
            raise FileNotFoundError(f"no solverstate {Path(wish).absolute()}")
        return Path(wish).resolve()
    found = sorted(folder.glob("snapshot/*.solverstate*"), key=iteration)
    if not found:
        raise FileNotFoundError(f"nothing to resume: no {folder}/snapshot/*.solverstate")
    return found[-1]


def make_solver(seed):
    """The solver of the working directory's solver.prototxt, with a folder for its snapshots."""
    if seed is not None:
        caffe.set_random_seed(seed)
    settings = read_text("solver.prototxt", caffe_pb2.SolverParameter())
    snapshots_of(settings).mkdir(parents=True, exist_ok=True)
    return caffe.get_solver("solver.prototxt")


def use_less_memory(solver, scored):
    """Only what is scored stays of the test nets' maps; the training net computes its own again."""
    solver.net.recompute()
    for net in solver.test_nets:
        net.reuse_memory(keep=[*scored, *scored.values()])


def fill(net, starts, weights, initialize=None, sample=False):
    """Fill the net from weights files; interpolation goes into deconvolutions that are still zero.

    ValueError if nothing can be learned then, because most layers are zero.
    """
    for name, path in zip(starts, weights):
        print(f"starting from {name}: {path}")
    if initialize:
        protos = [prototxt_of(name, sample) for name in starts]
        initialize(net, *(load(proto, path) for proto, path in zip(protos, weights)))
    else:
        net.copy_from(str(weights[0]))
    types = dict(zip(net._layer_names, (layer.type for layer in net.layers)))
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    surgery.interp(net, [name for name in zero if types[name] == "Deconvolution"])
    zero = [name for name in zero if types[name] != "Deconvolution"]
    print(f"starting from zero: {', '.join(zero) or 'no layer'}", flush=True)
    learned = [name for name in net.params if types[name] != "Deconvolution"]
    if len(zero) > len(learned) / 2:
        raise ValueError(
            f"{len(zero)} of {len(learned)} layers are zero, so the scores would be uniform and "
            f"stay so. Do the layer names in {weights[0]} match the net's?"
        )


def train(solver, rounds, steps, scored):
    """Step and score until `rounds` rounds are done; what was learned is saved at the end."""
    settings = read_text("solver.prototxt", caffe_pb2.SolverParameter())
    record = snapshots_of(settings) / "scores.jsonl"
    try:
        while solver.iter < rounds * steps:
            step(solver, steps - solver.iter % steps)
            for layer, gt in scored.items():
                ids = picture_ids(solver.test_nets[0], settings.test_iter[0])
                seg_tests(solver, False, ids, layer, gt, record)
    except KeyboardInterrupt:
        solver.snapshot()
        print(f"\ninterrupted at iteration {solver.iter} and saved; go on with --resume")
        sys.exit(INTERRUPTED)
    if not settings.snapshot or solver.iter % settings.snapshot:
        solver.snapshot()  # the last steps would be lost


def step(solver, count):
    """`count` steps; a progress bar where Caffe's log, which tells the loss, is silenced."""
    if os.environ.get("GLOG_minloglevel", "0") == "0":
        solver.step(count)
        return
    with tqdm(total=count, desc=model_here(), unit="step", mininterval=1) as bar:
        while bar.n < count:
            some = min(20, count - bar.n)
            solver.step(some)
            bar.update(some)


def model_here():
    """The model whose folder is the working directory, `sample` being its form of the task."""
    here = Path.cwd()
    return here.parent.name if here.name == "sample" else here.name


def snapshots_of(settings):
    """The folder a solver writes to."""
    return Path(settings.snapshot_prefix).parent


# ---- `fcn train MODEL ...`, which is MODEL/solve.py


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fcn train`."""
    parser.add_argument("model", help="model folder, such as voc-fcn8s")
    add_options(parser, "as published", "as published")


def run(args: argparse.Namespace) -> int:
    """Run the model's solve.py with the other arguments; returns the exit status."""
    folder = places.writable(places.ROOT / model(args.model))
    script = folder / "solve.py"
    if not script.is_file():
        raise FileNotFoundError(f"no {script}: {args.model} is not trained")
    rest = args.argv[args.argv.index("train") + 1 :]
    rest.remove(args.model)
    sys.argv = [str(script), *rest]
    runpy.run_path(str(script), run_name="__main__")
    return 0
