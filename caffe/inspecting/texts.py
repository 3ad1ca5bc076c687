"""Texts: nets, solvers, logs, lists of pictures."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import python_modules
from ..commands.parse_log import read_log
from ..exporting import deploy
from ..files import read
from ..layer import LAYER_TYPES
from ..layers.python import stand_in
from ..net import Net
from ..proto import caffe_pb2
from .report import Report, count, listed, size
from .weights import strange_types

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
# Fields that name a file, by the message that they are in
_FILES = {
    "data_param": ("source",),
    "image_data_param": ("source",),
    "window_data_param": ("source", "mean_file"),
    "hdf5_data_param": ("source",),
    "infogain_loss_param": ("source",),
    "transform_param": ("mean_file",),
}


# ---- nets


def of_net(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """Age, phases, types, what it reads; the layers with shapes and parameters."""
    raw = read.parse_file(path, caffe_pb2.NetParameter(), lenient=True)
    age, how = _age(raw)
    report = Report(f"a net's prototxt, {age}")
    report.facts["written as"] = how
    net = read.read_net(path, lenient=True)
    report.facts["name"] = net.name
    report.facts["layers"] = _phases(net.layer)
    kinds = Counter(layer.type for layer in net.layer)
    report.facts["types"] = listed(
        (f"{kind} {n}" if n > 1 else kind for kind, n in kinds.most_common()), 20
    )
    report.facts["of a fork"] = strange_types(kinds)
    report.missing += missing_files(net.layer, os.path.dirname(os.path.abspath(path)))
    _built(path, net, shapes, report)
    # the settings of a type that is not built in are unknown, too
    known = [layer for layer in net.layer if not layer.type or layer.type in LAYER_TYPES]
    unread = [(layer, text) for layer in known for text in layer.unread]
    told = "".join(report.wrong)  # of a layer that is not built nothing is told yet
    report.wrong += [
        f"layer '{x.name}' ({x.type}): {text}" for x, text in unread if text not in told
    ]
    learns = any(layer.type.endswith("Loss") or layer.loss_weight for layer in net.layer)
    if age != "V2":
        report.next.append(f"caffe upgrade_net_proto_text {path} NEW.prototxt")
    if learns:
        report.next.append(f'caffe train -solver SOLVER.prototxt, whose `net` is "{path}"')
    report.next.append(f"caffe time -model {path}")
    report.next.append(f"caffe export {path} OUT.onnx --weights WEIGHTS.caffemodel")
    return report


def _age(net: Any) -> tuple[str, str]:
    """(V0, V1 or V2; what tells it)."""
    if any(layer.HasField("layer") for layer in net.layers):
        return "V0", "`layers { layer { ... } }`, as in 2013"
    if net.layers:
        return "V1", "`layers { type: NAME }`, as until the summer of 2014"
    if net.input:
        return "V2", '`layer { type: "Name" }`, with inputs outside of layers, as until 2015'
    return "V2", '`layer { type: "Name" }`, today\'s'


def _alone(layer: Any) -> str:
    """The phase of a layer that only one has, in brackets."""
    phases = {rule.phase for rule in layer.include if rule.HasField("phase")}
    phases |= {TRAIN + TEST - rule.phase for rule in layer.exclude if rule.HasField("phase")}
    return f" ({caffe_pb2.Phase.Name(*phases)})" if len(phases) == 1 else ""


def _phases(layers: Sequence[Any]) -> str:
    """How many layers there are, and how many one phase has alone."""
    alone = Counter(filter(None, map(_alone, layers)))
    return ", ".join([str(len(layers)), *(f"{n} in one phase alone{p}" for p, n in alone.items())])


def _built(path: str, param: Any, shapes: Mapping[str, Sequence[int]], report: Report) -> None:
    """All layers as they are written; where the net can be built without its data, with the shapes of
    their tops and the numbers of parameters."""
    sizes: dict[str, tuple[str, str]] = {}
    try:
        net = _net(path, shapes, report)
    except deploy.UnknownSize as error:
        report.facts["sizes"] = str(error)
    except deploy.NothingLeft:
        pass
    except Exception as error:  # whatever a layer's setup raises: it is the answer
        report.wrong.append(f"cannot be built: {error}")
    else:
        report.facts["reads"] = _sizes(net, net.inputs)
        report.facts["gives"] = _sizes(net, net.outputs)
        total = sum(blob.count for blobs in net.params.values() for blob in blobs)
        report.facts["parameters"] = f"{total:,}"
        for step in deploy.steps(net):
            tops = dict.fromkeys(size(net.blobs[top].shape) for top in step.tops)
            own = sum(blob.count for blob in step.layer.blobs)
            sizes[step.layer.name] = ", ".join(tops), f"{own:,}" if own else ""
    report.head = ("layer", "type", "reads", "gives", *("size", "parameters") * bool(sizes))
    for x in param.layer:
        row = (x.name, x.type + _alone(x), ", ".join(x.bottom), ", ".join(x.top))
        report.rows.append((*row, *sizes.get(x.name, ("", ""))) if sizes else row)


def _net(path: str, shapes: Mapping[str, Sequence[int]], report: Report) -> Net:
    """The net without its data; where it goes through Python layers, the part before them."""
    try:
        return deploy.of_file(path, shapes=shapes)[0]
    except deploy.InTheWay as error:
        net, _ = deploy.of_file(path, shapes=shapes, outputs=error.before)
        report.facts["sizes"] = f"those before Python layers: {', '.join(error.before)}"
        return net


def _sizes(net: Net, blobs: Sequence[str]) -> str:
    return ", ".join(f"{name} {size(net.blobs[name].shape)}" for name in blobs)


def missing_files(layers: Sequence[Any], folder: str) -> Iterator[str]:
    """What layers name and is not there: files, databases, modules of Python layers."""
    for layer in layers:
        for message, fields in _FILES.items():
            for name in fields if layer.HasField(message) else ():
                file = getattr(getattr(layer, message), name)
                if file and not os.path.exists(file):
                    yield f"{file} ({message}.{name} of layer '{layer.name}')"
        module = layer.python_param.module
        if module and not _is_module(module, folder):
            there = stand_in(module, layer.python_param.layer)
            instead = "; the built-in layer takes its place" if there else ""
            yield f"module {module} (of the Python layer '{layer.name}'){instead}"


def _is_module(name: str, folder: str) -> bool:
    top = name.partition(".")[0]  # finding what is inside of it would run it
    with python_modules.only_allowed(folder):
        try:
            return importlib.util.find_spec(top) is not None
        except (ImportError, ValueError):
            return False


# ---- solvers


def of_solver(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """How it trains what, and which of its files are missing."""
    raw = read.parse_file(path, caffe_pb2.SolverParameter(), lenient=True)
    solver = read.read_solver(path)
    report = Report("a solver's prototxt: how a net is trained")
    nets = [solver.net, solver.train_net, *solver.test_net]
    report.facts |= {
        "net": ", ".join(filter(None, nets)) or "in the solver itself",
        "type": solver.type + (" (by its old number)" if raw.HasField("solver_type") else ""),
        "rate": _rate(solver),
        "momentum, weight decay": f"{solver.momentum:g}, {solver.weight_decay:g}",
        "steps": f"{solver.max_iter:,}, {count(solver.iter_size, 'pass', 'passes')} each",
        "tests": _tests(solver),
        "snapshots": f"{solver.snapshot_prefix}_iter_N, every {solver.snapshot:,} steps"
        if solver.snapshot
        else f"{solver.snapshot_prefix}_iter_N, the last step only",
    }
    here = os.path.dirname(os.path.abspath(path))
    for file, what in (
        *((net, "the net") for net in nets),
        *((w, "weights") for w in solver.weights),
    ):
        if file and not os.path.isfile(file):
            beside = os.path.isfile(os.path.join(here, file))
            where = f": it is there in {here}, so start in that folder" if beside else ""
            report.missing.append(f"{file}, {what}{where}")
    folder = os.path.dirname(solver.snapshot_prefix)
    if folder and not os.path.isdir(folder):
        report.missing.append(f"{folder}, the folder for snapshots")
    if raw.HasField("solver_type"):
        report.next.append(f"caffe upgrade_solver_proto_text {path} NEW.prototxt")
    report.next.append(f"caffe train -solver {path}")
    return report


def _rate(solver: Any) -> str:
    settings = {name: getattr(solver, name) for name in ("gamma", "power", "stepsize")}
    more = "".join(f", {k} {v:g}" for k, v in settings.items() if solver.HasField(k))
    at = f" at {', '.join(map(str, solver.stepvalue))}" if solver.stepvalue else ""
    return f"{solver.base_lr:g}, {solver.lr_policy or 'no policy'}{more}{at}"


def _tests(solver: Any) -> str:
    if not solver.test_interval:
        return "none"
    passes = ", ".join(map(str, solver.test_iter)) or "no"
    return f"every {solver.test_interval:,} steps, {passes} passes"


# ---- logs and lists


def of_log(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """From where to where it got, and what went wrong."""
    with open(path, errors="replace") as file:
        text = file.read()
    report = Report("a log of Caffe's")
    try:
        train, test = read_log(path)
    except ValueError:
        train = test = []
        report.what += ", without a training"
    iterations = [int(number) for number in re.findall(r"Iteration (\d+)", text)]
    if iterations:
        report.facts["iterations"] = f"{min(iterations):,} to {max(iterations):,}"
    losses = [float(v) for v in re.findall(r"Iteration \d+.*?, loss = (\S+)", text)]
    if losses:
        report.facts["loss"] = f"{losses[0]:g} to {losses[-1]:g}, least {min(losses):g}"
        if not all(map(math.isfinite, losses)):
            at = next(i for i, loss in enumerate(losses) if not math.isfinite(loss))
            report.wrong.append(f"the loss is no number from display {at + 1} on")
        elif len(losses) > 4 and len({f"{loss:.5g}" for loss in losses}) == 1:
            report.wrong.append(f"the loss is {losses[0]:g} at every display: nothing is learned")
    report.facts["tests"] = f"{len(test)}" if test else ""
    if test:
        outputs = list(test[-1].items())[3:]  # behind iteration, time and rate
        report.facts["last test"] = ", ".join(f"{name} {value:g}" for name, value in outputs)
    if train or iterations:
        report.facts["ended"] = (
            "as planned" if "Optimization Done" in text else "before its last step"
        )
    report.wrong += list(dict.fromkeys(re.findall(r"^F\d.*\] (.*)", text, re.MULTILINE)))[:3]
    if train or test:
        report.next += [
            f"caffe parse_log {path} FOLDER",
            f"caffe plot_training_log 6 OUT.png {path}",
        ]
    return report


def of_list(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """A list of files and labels, or of HDF5 files."""
    with open(path, errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    if all(line.endswith((".h5", ".hdf5")) for line in lines):
        report = Report("a list of HDF5 files, the source of an HDF5Data layer")
        report.facts["files"] = f"{len(lines):,}"
        report.missing += [line for line in lines if not os.path.exists(line)][:3]
        return report
    rows = [line.rsplit(None, 1) for line in lines if len(line.split()) > 1]
    labels = Counter(int(label) for _, label in rows if re.fullmatch(r"-?\d+", label))
    report = Report("a list of files with a label each")
    report.facts["lines"] = f"{len(rows):,}"
    report.facts["labels"] = (
        f"{min(labels)} to {max(labels)}, {count(len(labels), 'of them', 'of them')}"
    )
    absent = [name for name, _ in rows if not os.path.exists(name)]
    if absent and len(absent) < len(rows):
        report.missing.append(f"{count(len(absent), 'file')}, {absent[0]} the first")
    report.next.append(f"caffe convert_imageset ROOT_FOLDER/ {path} OUT_LMDB")
    return report


def of_text(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """Any other text."""
    with open(path, errors="replace") as file:
        first = file.readline().strip()
    report = Report("a text, but no net, solver or log of Caffe's")
    report.facts["begins"] = first[:80]
    return report
