"""Starts a net: finds the weights that its recipe starts from, and fills it from them."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import caffe
from fcn import doctor, models, prototxts, runs, surgery, weights
from fcn.findings import REFUSE, Finding
from fcn.scoring import read_records
from fcn.wording import counted

LEAKS = ("data.leakage", "data.same_split")  # findings that --leakage allows


class StartingNet(NamedTuple):
    """A net to start from."""

    name: str
    weights: Path
    prototxt: Path  # of the net; read only for a recipe's `initialize`


def starting_nets(
    args: argparse.Namespace, names: Sequence[str], initialized: bool
) -> list[StartingNet]:
    """The nets to start from, with the weights given on the command line or found by name."""
    given = args.weights or [None] * len(names)
    if len(given) != len(names):
        raise FileNotFoundError(
            f"--weights wants {counted(len(names), 'file')}, for {', '.join(names)}"
            if names
            else "--weights: this model starts from nothing, as its solve.py says (start=())"
        )
    start = []
    for path, name in zip(given, names):
        file = weights.given_or_found(path, name, args.sample, args.any_weights)
        prototxt = models.prototxt_of(name, args.sample) if initialized else Path()
        start.append(StartingNet(name, file, prototxt))
    return start


def fill(
    net: caffe.Net, start: list[StartingNet], initialize: Callable[..., None] | None = None
) -> None:
    """Fill the net from the nets to start from, and make deconvolutions that are zero bilinear."""
    for name, file, _ in start:
        print(f"starting from {name}: {file}")
    if initialize:
        initialize(net, *(prototxts.load(prototxt, file) for _, file, prototxt in start))
    elif start:
        net.copy_from(str(start[0].weights))
    is_deconvolution = {
        name: layer.type == "Deconvolution" for name, layer in net.layer_dict.items()
    }
    zero = [name for name, blobs in net.params.items() if not blobs[0].data.any()]
    surgery.interp(net, [name for name in zero if is_deconvolution[name]])
    zero = [name for name in zero if not is_deconvolution[name]]
    print(f"starting from zero: {', '.join(zero) or 'no layer'}", flush=True)


def scores_of(start: Sequence[StartingNet]) -> dict[str, dict[str, Any]]:
    """{score blob: the last scores of the net that is started from}, as far as they lie beside it."""
    found: dict[str, dict[str, Any]] = {}
    for net in start[:1]:
        path = net.weights.parent / "scores.jsonl"
        if path.is_file():
            at = runs.iteration(net.weights)
            records = [each for each in read_records(path) if each.get("iteration") == at]
            found |= {each["layer"]: each for each in records}
    return found


class Refused(ValueError):
    """The checks before the first step found that training would be in vain."""


def look(case: doctor.Case, tell: Callable[[Finding], object], anyway: bool, leakage: bool) -> None:
    """Tell what is wrong before the first step. Refused if training would be in vain.

    With `anyway` it is told only; `leakage` allows pictures that are both trained on and scored.
    """
    found = doctor.before_training(case)
    if leakage:
        found = [each for each in found if each.kind not in LEAKS]
    for finding in found:
        tell(finding)
    refused = [finding for finding in found if finding.level == REFUSE]
    if refused and not anyway:
        raise Refused(
            f"not begun, for {len(refused)} of the findings above: mend what is wrong, or train all the "
            "same with --anyway"
        )


def all_missing(case: doctor.Case, error: FileNotFoundError) -> FileNotFoundError:
    """The error, and whatever else is missing besides, so that it is said at once."""
    also = [f"* {each}" for each in doctor.missing.check(case) if str(each.what) not in str(error)]
    return FileNotFoundError("\n".join([str(error), *(["missing in all:", *also] if also else [])]))
