"""What BVLC Caffe 1.0 computed, computed again: how far each array of a golden case is off.

A function for each kind of case returns its errors; the protocol of each kind stands in the golden
files' README. The tests and `python -m benchmarks.gpu` replay the same cases.
"""

import contextlib
import math
import os
import runpy
import tempfile
from typing import NamedTuple

import numpy as np
from google.protobuf import text_format
from places import GOLDEN
from published import net_names, on_disk

import caffe

LAYERS = sorted(path.stem for path in (GOLDEN / "layers").glob("*.npz"))
SOLVERS = [
    (folder.name, run)
    for folder in sorted((GOLDEN / "solvers").iterdir())
    for run in ("trajectory", "resumed", "resumed_hdf5")
    if (folder / f"{run}.npz").exists()
]
NETS = sorted(path.stem for path in (GOLDEN / "fcn").glob("*.npz"))

# Norm of the difference over the norm
FORWARD, BACKWARD = 1e-5, 1e-4
# Of a whole net's gradients: ties of ReLU and MAX flip between kernels that sum in another order
NET_BACKWARD = 1e-3
# Of a solver's runs. BVLC's own differ by 1e-6 of the largest parameter and 2e-5 of the largest change
# between BLAS kernels.
OF_PARAMETER = 1e-5  # of a parameter's largest value
OF_CHANGE = 1e-3  # of its largest change since the start; only this sees rates of 1e-14
OF_LOSS = 1e-4


class Error(NamedTuple):
    """How far one array is off, and how far it may be."""

    what: str
    value: float
    tolerance: float

    def within(self):
        return self.value <= self.tolerance


def distance(wanted, found):
    """Norm of the difference over the norm; infinite where shapes or non-finite values differ."""
    wanted, found = np.asarray(wanted), np.asarray(found)
    finite = np.isfinite(wanted)
    if found.shape != wanted.shape or not np.array_equal(
        wanted[~finite], found[~finite], equal_nan=True
    ):
        return math.inf
    wanted, found = wanted[finite].astype(np.float64), found[finite].astype(np.float64)
    off = float(np.linalg.norm(wanted - found) / max(np.linalg.norm(wanted), 1e-6))
    return off if math.isfinite(off) else math.inf


@contextlib.contextmanager
def working_in(folder):
    """Paths in prototxts are relative to their folder."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# ---- layers


def layer(name):
    """The errors of a case of layers/: forward, then backward."""
    with working_in(GOLDEN / "layers"):
        case = np.load(name + ".npz")
        net = caffe.Net(name + ".prototxt", getattr(caffe, str(case["phase"])))
        if "memory/data" in case:
            net.set_input_arrays(case["memory/data"], case["memory/labels"])
        write(net, case, "bottom")
        write(net, case, "param")
        return list(forward_errors(net, case)) + list(backward_errors(net, case))


def forward_errors(net, case):
    passes = int(case["forwards"]) if "forwards" in case else 1
    for k in range(1, passes + 1):
        loss = net._forward(0, len(net.layers) - 1)
        if k < passes:
            yield from compare(net, case, {f"top@{k}"}, FORWARD)
    if "loss" in case:
        wanted = float(case["loss"])
        off = 0.0 if np.array_equal(loss, wanted, equal_nan=True) else abs(loss - wanted)
        yield Error("loss", off / (abs(wanted) + 0.1), FORWARD)
    yield from compare(net, case, {"top", "blob", "param_after"}, FORWARD)


def backward_errors(net, case):
    if "no_backward" in case:
        return
    net.clear_param_diffs()
    write(net, case, "top_diff")
    net._backward(len(net.layers) - 1, 0)
    yield from compare(net, case, {"bottom_diff", "param_diff", "blob_diff"}, BACKWARD)


def blob_of(net, key):
    """The array that a key of the case names: "param_diff/conv1/0" is a parameter's diff."""
    kind, name = key.split("/", 1)
    side = "diff" if kind.endswith("_diff") else "data"
    if kind.startswith("param"):
        layer, index = name.rsplit("/", 1)
        return getattr(net.params[layer][int(index)], side)
    return getattr(net.blobs[name], side)


def write(net, case, kind):
    for key in case.files:
        if key.startswith(kind + "/"):
            blob_of(net, key)[...] = case[key]


def compare(net, case, kinds, tolerance):
    for key in case.files:
        if key.split("/")[0] in kinds:
            yield Error(key, distance(case[key], blob_of(net, key)), tolerance)


# ---- solvers


def solver(case, run):
    """The errors of a training run of solvers/, after every step."""
    with working_in(GOLDEN / "solvers" / case):
        golden = np.load(f"{run}.npz")
        hdf5 = run == "resumed_hdf5"
        solver = caffe.get_solver("solver_hdf5.prototxt" if hdf5 else "solver.prototxt")
        for name, values in np.load("data.npz").items():
            solver.net.blobs[name].data[...] = values
        if run == "trajectory":
            solver.net.copy_from("init.caffemodel")
        else:
            at = int(golden["start_iter"])
            solver.restore(f"snap_iter_{at}.solverstate{'.h5' if hdf5 else ''}")
            assert solver.iter == at
        if "python_class" in golden:
            assert type(solver).__name__ == str(golden["python_class"])
        return list(step_errors(solver, golden))


def step_errors(solver, golden):
    yield from param_errors(solver.net, golden, 0)
    for i, loss in enumerate(golden["loss"]):
        if "lr" in golden and "lr_from_log" not in golden:
            yield Error(f"rate of step {i}", relative(solver.lr, golden["lr"][i]), 1e-6)
        solver.step(1)
        yield Error(f"loss of step {i}", relative(solver.net.blobs["loss"].data, loss), OF_LOSS)
        yield from param_errors(solver.net, golden, i + 1)


def relative(found, wanted):
    found, wanted = float(found), float(wanted)
    return 0.0 if found == wanted else abs(found - wanted) / abs(wanted)


def param_errors(net, golden, step):
    for name, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            history = golden[f"param/{name}/{i}"]
            wanted, change = history[step], history[step] - history[0]
            off = float(np.abs(blob.data - wanted).max())
            what = f"{name}[{i}] after {step} steps"
            yield Error(what, ratio(off, np.abs(wanted).max()), OF_PARAMETER)
            if step:
                yield Error(f"change of {what}", ratio(off, np.abs(change).max()), OF_CHANGE)


def ratio(off, scale):
    """`off` over `scale`; 0 where nothing is off at all."""
    return off and (off / float(scale) if scale else math.inf)


# ---- whole nets


def fcn(name, filled):
    """The errors of a net of fcn/: blobs and losses, then gradients.

    `filled` keeps parameters by the golden files' formula from call to call: most are the same in
    all the nets.
    """
    path = GOLDEN / "fcn" / f"{name}.npz"
    stored = np.load(path)
    formula = runpy.run_path(str(path.parent / "formula.py"))
    tag, (height, width) = str(stored["tag"]), map(int, stored["size"])
    net = net_of(with_inputs(on_disk(name, net_names(name)[1]), height, width))
    for layer_name, blobs in net.params.items():
        key = (layer_name, *(tuple(blob.shape) for blob in blobs))
        if key not in filled:
            formula["fill"]({layer_name: [blob.data for blob in blobs]}, tag)
            filled[key] = blobs
        for blob, known in zip(blobs, filled[key]):
            blob.data[...] = known.data
    classes = {"label": "score", "sem": "score_sem", "geo": "score_geo"}
    for top in net.inputs:
        blob = net.blobs[top]
        if top in classes:
            count = net.blobs[classes[top]].data.shape[1]
            blob.data[...] = formula["label"](blob.data.shape, count, tag, top)
        else:
            blob.data[...] = formula["data"](blob.data.shape, tag, top)
    net.forward()
    net.clear_param_diffs()
    net.backward()
    return list(net_errors(net, stored))


def net_errors(net, stored):
    for key in stored.files:
        kind, *where = key.split("/")
        if kind in ("blob", "loss"):
            yield Error(key, distance(stored[key], net.blobs[where[0]].data), FORWARD)
        elif kind in ("grad", "grad_in"):
            blob = net.blobs[where[0]] if kind == "grad_in" else net.params[where[0]][int(where[1])]
            wanted = np.delete(stored[key], 1)
            yield Error(key, distance(wanted, sample_of(blob.diff)), NET_BACKWARD)


def sample_of(gradient):
    """What the golden files keep of one: its norm and 16 of its values (their sum cancels)."""
    flat = np.asarray(gradient, np.float64).ravel()
    return np.concatenate([[math.sqrt(flat @ flat)], flat[:: max(1, flat.size // 16)][:16]])


def with_inputs(param, height, width):
    """A val or test net with an Input layer for each top of its data layer; all diffs computed."""
    tops, layers = list(param.layer[0].top), list(param.layer)[1:]
    del param.layer[:]
    for top in tops:
        source = param.layer.add(name=f"in_{top}", type="Input", top=[top])
        channels = {"data": 3, "color": 3, "hha": 3}.get(top, 1)
        source.input_param.shape.add(dim=[1, channels, height, width])
    param.layer.extend(layers)
    param.force_backward = True
    return text_format.MessageToString(param)


def net_of(text):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net.prototxt")
        with open(path, "w") as file:
            file.write(text)
        return caffe.Net(path, caffe.TEST)
