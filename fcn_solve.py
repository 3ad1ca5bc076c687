"""The one training loop behind every solve.py: find weights, fill the net, step, score."""

import argparse
import ast
import importlib
import os
import sys
from pathlib import Path

from tqdm import tqdm

import caffe
import fcn_device
import fcn_nets
import fcn_weights
import score
import surgery
from caffe.proto import caffe_pb2

INTERRUPTED = 130
SCENES = "\nThe scenes are made by: python -m data.sample"


def solve(script, start, rounds, steps, scored=None, surgeon=None, sample=None):
    """What `python solve.py` does: train the model in the script's folder.

    `start` names the net whose weights are copied first, layer by layer of the same name. With a
    `surgeon`, it names one or several nets, and surgeon(net, *those nets) fills `net` from them.
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
        fcn_device.use(args)
        solver = make_solver(args.seed)
        if args.recompute:
            use_less_memory(solver, scored)
        refuse_leakage(picture_ids(solver.net), picture_ids(solver.test_nets[0]), args.leakage)
        if state:
            solver.restore(str(state))
        else:
            fill(solver.net, starts, weights, surgeon, args.sample)
        train(solver, args.rounds, args.steps, scored)
    except (FileNotFoundError, MemoryError) as error:
        missing_scenes = args.sample and isinstance(error, FileNotFoundError)
        hint = SCENES if missing_scenes else ""
        print(f"{Path(script).resolve().parent.name}/solve.py: {error}{hint}", file=sys.stderr)
        sys.exit(fcn_weights.MISSING)


def parse(rounds, steps, sample):
    """The command line, with the model's own schedule as defaults."""
    parser = argparse.ArgumentParser(description="train this model, scoring it as it goes")
    parser.add_argument("old_gpu", nargs="?", type=int, metavar="GPU", help="as --gpu")
    fcn_device.add_options(parser)
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
    args = parser.parse_args()
    if args.sample and not sample:
        parser.error("this model has no --sample form; voc-fcn32s, voc-fcn16s and voc-fcn8s have")
    if args.old_gpu is not None and (args.cpu or args.gpu is not None):
        parser.error("the GPU's number was given, and --gpu or --cpu besides")
    args.gpu = args.gpu if args.old_gpu is None else args.old_gpu
    schedule = sample if args.sample else dict(rounds=rounds, steps=steps)
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
    return [fcn_weights.given_or_found(path, net, sample) for path, net in zip(given, starts)]


def resumed_state(wish, folder):
    """The solverstate named, or the newest in the model's snapshot folder."""
    if wish is not True:
        if not Path(wish).is_file():
            raise FileNotFoundError(f"no solverstate {Path(wish).absolute()}")
        return Path(wish).resolve()
    found = sorted(folder.glob("snapshot/*.solverstate*"), key=fcn_weights.iteration)
    if not found:
        raise FileNotFoundError(f"nothing to resume: no {folder}/snapshot/*.solverstate")
    return found[-1]


def make_solver(seed):
    """The solver of the working directory's solver.prototxt, with a folder for its snapshots."""
    if seed is not None:
        caffe.set_random_seed(seed)
    settings = fcn_nets.read_text("solver.prototxt", caffe_pb2.SolverParameter())
    snapshots_of(settings).mkdir(parents=True, exist_ok=True)
    return caffe.get_solver("solver.prototxt")


def use_less_memory(solver, scored):
    """Only what is scored stays of the test nets' maps; the training net computes its own again."""
    solver.net.recompute()
    for net in solver.test_nets:
        net.reuse_memory(keep=[*scored, *scored.values()])


def fill(net, starts, weights, surgeon=None, sample=False):
    """Fill the net from weights files; interpolation goes into deconvolutions that are still zero.

    ValueError if nothing can be learned then, because most layers are zero.
    """
    for name, path in zip(starts, weights):
        print(f"starting from {name}: {path}")
    if surgeon:
        protos = [fcn_weights.prototxt_of(name, sample) for name in starts]
        surgeon(net, *(fcn_nets.load(proto, path) for proto, path in zip(protos, weights)))
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
    settings = fcn_nets.read_text("solver.prototxt", caffe_pb2.SolverParameter())
    record = snapshots_of(settings) / "scores.jsonl"
    try:
        while solver.iter < rounds * steps:
            step(solver, steps - solver.iter % steps)
            for layer, gt in scored.items():
                ids = picture_ids(solver.test_nets[0], settings.test_iter[0])
                score.seg_tests(solver, False, ids, layer, gt, record)
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


def picture_ids(net, count=0):
    """The ids of the pictures a net reads, in order; numbers if its data layer does not tell."""
    ids = getattr(net.layers[0], "indices", None)
    return [f"{i:06d}" for i in range(count)] if ids is None else list(ids)


def training_ids(prototxt):
    """The ids that the data layer of a train net reads, without building the net.

    Where the data set is not there, nobody can tell what was trained on, and that is said.
    """
    layers = fcn_nets.read_net(prototxt).layer if prototxt.is_file() else []
    python = [layer.python_param for layer in layers if layer.type == "Python"]
    kind = getattr(importlib.import_module(python[0].module), python[0].layer) if python else None
    if not hasattr(kind, "reader"):
        return []
    try:
        return kind.reader(**ast.literal_eval(python[0].param_str)).read_split()
    except FileNotFoundError as error:
        reason = str(error).partition("\n")[0]
        print(f"not checked whether these pictures were trained on: {reason}")
        return []


def refuse_leakage(trained, scored, allowed):
    """ValueError if pictures that are trained on are scored, too, unless that is asked for."""
    both = sorted(set(trained).intersection(scored))
    if both and not allowed:
        raise ValueError(
            f"{len(both)} of the {len(scored)} pictures to score are trained on ({both[0]} ...): "
            "their scores would mean little. Take another split, or say --leakage"
        )
