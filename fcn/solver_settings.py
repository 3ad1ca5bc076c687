"""A run's SolverParameter: the model's solver.prototxt, with what the command line changes."""

import argparse
import difflib
import json
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
    """Change fields as --set says, FIELD=VALUE each; ValueError for what is no field or no value.

    A repeated field, such as stepvalue, takes several values: stepvalue=800,1000.
    """
    fields = settings.DESCRIPTOR.fields_by_name
    for text in wanted:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--set {text}: give a field and its value, such as base_lr=1e-10")
        if name not in fields:
            near = difflib.get_close_matches(name.lower(), list(fields), 1, 0)[0]
            raise ValueError(f"--set {text}: no field {name!r} of a solver; did you mean {near}?")
        values = value.split(",") if isinstance(getattr(settings, name), Sequence) else [value]
        if fields[name].cpp_type == fields[name].CPPTYPE_STRING:
            values = [json.dumps(value)]
        given = type(settings)()
        try:
            text_format.Merge("\n".join(f"{name}: {each}" for each in values), given)
        except text_format.ParseError:
            given.Clear()
        if [field.name for field, _ in given.ListFields()] != [name]:
            said = f"{name} takes {taken(fields[name])}, and not {value!r}"
            raise ValueError(f"--set {text}: {said}")
        settings.ClearField(name)
        settings.MergeFrom(given)


TAKEN = {
    "FLOAT": "a number, such as 1e-10",
    "INT32": "a whole number below 2^31",
    "INT64": "a whole number",
    "BOOL": "true or false",
    "STRING": "text",
    "MESSAGE": "a message, which solver.prototxt alone can state",
}


def taken(field: Any) -> str:
    """What the values of a field are."""
    if field.enum_type is not None:
        return f"one of {', '.join(value.name for value in field.enum_type.values)}"
    kind = next(kind for kind in TAKEN if field.cpp_type == getattr(field, f"CPPTYPE_{kind}"))
    return TAKEN[kind]


def write_settings(run: Run, settings: Any) -> str:
    """Write the run's own solver.prototxt; returns its path."""
    path = run.folder / "solver.prototxt"
    path.write_text(text_format.MessageToString(settings))
    return str(path)


def loss_is_a_mean(net: Any) -> bool:
    """Whether a train net's losses are means over pixels, and not sums over a picture's pixels."""
    losses = [layer.loss_param for layer in net.layer if layer.type == "SoftmaxWithLoss"]
    return not any(map(prototxts.loss_is_summed, losses))
