"""A run's SolverParameter: the model's solver.prototxt, with what the command line changes."""

import argparse
import difflib
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from caffe.proto import caffe_pb2
from fcn import prototxts, runs
from fcn.runs import Run


def settings_of(run: Run, args: argparse.Namespace) -> Any:
    """The SolverParameter of the working directory's solver.prototxt, for this run."""
    path = Path("solver.prototxt")
    if args.resume and (run.folder / path).is_file():
        path = run.folder / path  # with what --set changed when the run was started
    settings = prototxts.read_text(path, caffe_pb2.SolverParameter())
    set_fields(settings, args.set)
    if run.name != runs.FIRST:
        settings.snapshot_prefix = str(run.folder / Path(settings.snapshot_prefix).name)
    if args.seed is not None:
        settings.random_seed = args.seed
    elif not settings.HasField("random_seed") or settings.random_seed < 0:
        settings.random_seed = secrets.randbits(31)  # known to the record, so it can come again
    if not settings.snapshot:
        print("snapshot: 0 in solver.prototxt: this run saves when it ends, and only then")
    return settings


def set_fields(settings: Any, wanted: Sequence[str]) -> None:
    """Change fields as --set says, FIELD=VALUE each; ValueError for what is no field or no value."""
    fields = list(settings.DESCRIPTOR.fields_by_name)
    for text in wanted:
        name, equals, value = text.partition("=")
        if not equals or name not in fields:
            near = difflib.get_close_matches(name, fields, 1, 0)
            raise ValueError(
                f"--set {text}: no field {name!r} of a solver; did you mean {near[0]}?"
            )
        kind = settings.DESCRIPTOR.fields_by_name[name]
        quoted = f'"{value}"' if kind.cpp_type == kind.CPPTYPE_STRING else value
        settings.ClearField(name)
        try:
            text_format.Merge(f"{name}: {quoted}", settings)
        except text_format.ParseError as error:
            raise ValueError(f"--set {text}: {error}") from None


def write_settings(run: Run, settings: Any) -> str:
    """Write the run's own solver.prototxt; returns its path."""
    path = run.folder / "solver.prototxt"
    path.write_text(text_format.MessageToString(settings))
    return str(path)


def loss_is_a_mean(net: Any) -> bool:
    """Whether a train net's losses are means over pixels, and not sums over a picture's pixels."""
    losses = [layer.loss_param for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    return not any(map(prototxts.loss_is_summed, losses))
