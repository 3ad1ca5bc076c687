"""Files of weights: caffemodels, solver states, means, Caffe's HDF5, other libraries' files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..files import caffemodel, hdf5, read, solverstate, wire
from ..layer import LAYER_TYPES
from ..names import as_text
from ..proto import caffe_pb2
from ..unknown_layers import ELSEWHERE
from . import statistics
from .report import Report, count, size

_V1 = caffe_pb2.V1LayerParameter
AGES = {
    2: "V2 (field `layer`: Caffe since the summer of 2014)",
    1: "V1 (field `layers`: Caffe up to the summer of 2014)",
    0: "V0 (a layer within `layers`: Caffe of 2013)",
}


class Layer(NamedTuple):
    """A layer of a file: its arrays are read when asked for."""

    name: str
    type: str
    blobs: Sequence[Any]  # stored.StoredBlob, or an array

    def arrays(self) -> Iterator[np.ndarray]:
        """The values of each blob; a weight that another layer owns is left out."""
        for blob in self.blobs:
            if isinstance(blob, np.ndarray):
                yield blob
            elif blob is not None:
                array = np.empty(blob.shape, np.float32)
                blob.read_into(array)
                yield array


# ---- caffemodels


def layers_of(path: str) -> list[Layer]:
    """The layers of a caffemodel or of Caffe's HDF5, those without weights included."""
    if hdf5.is_hdf5(path):
        return [Layer(name, "", blobs) for name, blobs in hdf5.read_weights(path)]
    types = dict(_types(path)[1])
    return [Layer(n, types.get(n, ""), blobs) for n, blobs in caffemodel.read_weights(path)]


def _types(path: str) -> tuple[int, list[tuple[str, str]]]:
    """(age, (name, type) of each layer) of a caffemodel."""
    file, found, age = wire.File(path), [], 2
    for field in wire.read_fields(file, 0, file.size):
        if field.wire != wire.BYTES or field.number not in (2, 100):
            continue
        parts = {p.number: p for p in wire.read_fields(file, field.start, field.end)}
        if field.number == 100:
            found.append((_string(file, parts.get(1)), _string(file, parts.get(2))))
        elif 1 in parts and parts[1].wire == wire.BYTES:
            age = 0
            inner = {p.number: p for p in wire.read_fields(file, parts[1].start, parts[1].end)}
            found.append((_string(file, inner.get(1)), _string(file, inner.get(2))))
        else:
            age = min(age, 1)
            number = parts[5].value if 5 in parts else 0
            known = number in _V1.LayerType.values()
            kind = _V1.LayerType.Name(number) if known else f"type {number}"
            found.append((_string(file, parts.get(4)), kind))
    return age, found


def _string(file: wire.File, field: wire.Field | None) -> str:
    if field is None or field.wire != wire.BYTES:
        return ""
    return as_text(bytes(file.bytes[field.start : field.end]).decode("utf-8", "surrogateescape"))


def of_caffemodel(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """Age, layers, shapes, statistics."""
    report = Report("a caffemodel: a net's weights, and its layers' definitions")
    age, types = _types(path)
    report.facts["age"] = AGES[age]
    layers = layers_of(path)
    if not any(layer.blobs for layer in layers):
        report.what = "a net in binary form, without weights"
    else:
        report.next.append(f"caffe test -model NET.prototxt -weights {path}")
        report.next.append(f"caffe export NET.prototxt OUT.onnx --weights {path}")
    if age < 2:
        report.next.insert(0, f"caffe upgrade_net_proto_binary {path} NEW.caffemodel")
    if any(getattr(blob, "legacy", False) for layer in layers for blob in layer.blobs):
        report.facts["shapes"] = "in four numbers each, as before the summer of 2014"
    if strange := strange_types(kind for _, kind in types) if age == 2 else "":
        report.facts["of a fork"] = strange
    fill(report, layers)
    if any(blob is not None and blob.has_diff for layer in layers for blob in layer.blobs):
        report.facts["diffs"] = "stored, too"
    return report


def strange_types(types: Any) -> str:
    """The types that BVLC Caffe 1.0 does not have, with the fork that has them where it is known."""
    words = []
    for kind in sorted(set(types)):
        cls = LAYER_TYPES.get(kind)
        fork = getattr(cls, "fork", "")
        if cls is None and kind:
            words.append(f"{kind} ({ELSEWHERE.get(kind, 'unknown')}; not built in)")
        elif fork:
            words.append(f"{kind} ({fork})")
    return ", ".join(words)


def fill(report: Report, layers: Sequence[Layer]) -> None:
    """A row for each blob, the number of parameters, and what looks wrong."""
    from tqdm import tqdm

    report.head = ("layer", "type", "blob", "values", "")
    total = owning = 0
    for layer in tqdm(layers, "reading", unit="layer", leave=False, disable=None):
        blobs = [statistics.of(array) for array in layer.arrays()]
        owning += bool(blobs)
        for i, blob in enumerate(blobs):
            total += blob.total
            first = (layer.name, layer.type) if i == 0 else ("", "")
            report.rows.append((*first, *blob.cells()))
        report.wrong += statistics.wrong(layer.name, blobs, layer.type)
    if all(not row[1] for row in report.rows):  # HDF5 stores no types
        report.head = tuple(word for i, word in enumerate(report.head) if i != 1)
        report.rows = [(row[0], *row[2:]) for row in report.rows]
    report.facts["layers"] = f"{len(layers)}, {owning} with weights"
    report.facts["parameters"] = f"{total:,}"


# ---- HDF5 and others


def of_hdf5(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """Weights, a solver state, data for an HDF5Data layer, or another library's weights."""
    with hdf5.open_file(path) as file:
        keys = set(file)
        numbered = all(
            key.isdigit() for group in file.get("data", {}) for key in _keys(file, group)
        )
        datasets = {k: (v.shape, v.dtype) for k, v in file.items() if hasattr(v, "dtype")}
    if "history" in keys:
        return of_solverstate(path, shapes)
    if "data" in keys and "data" not in datasets and numbered:
        report = Report("Caffe's weights as HDF5 (.caffemodel.h5)")
        fill(report, layers_of(path))
        report.next.append(f"caffe test -model NET.prototxt -weights {path}")
        return report
    if datasets:
        return _of_data(path, datasets)
    return of_foreign(path, shapes)


def _keys(file: Any, group: str) -> list[str]:
    found = file["data"][group] if hasattr(file["data"], "keys") else {}
    return list(found) if hasattr(found, "keys") else ["not numbered"]


def _of_data(path: str, datasets: Mapping[str, Any]) -> Report:
    report = Report("HDF5 data, as an HDF5Data layer reads it", head=("dataset", "shape", "type"))
    report.rows = [(name, size(shape), kind) for name, (shape, kind) in datasets.items()]
    rows = {name: shape[0] if shape else 0 for name, (shape, _) in datasets.items()}
    if len(set(rows.values())) > 1:
        report.wrong.append(f"datasets of one batch must have one first axis, here are {rows}")
    report.facts["items"] = f"{max(rows.values()):,}"
    report.next.append(
        f"a text file with the line {os.path.abspath(path)}, as hdf5_data_param {{ source }}; tops are "
        f"named {', '.join(datasets)}"
    )
    return report


def of_foreign(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """The arrays of another library."""
    from ..importing import read as foreign

    content = foreign.read(path)
    report = Report(f"arrays, perhaps weights, of another library: {content.library}")
    layers = [Layer(s.name, "", [*s.arrays.values()]) for s in content.layers]
    fill(report, layers)
    report.next.append(f"caffe import_weights NET.prototxt {path} OUT.caffemodel")
    return report


def of_solverstate(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """Iteration, weights, history."""
    as_hdf5 = hdf5.is_hdf5(path)
    state = (hdf5 if as_hdf5 else solverstate).read_state(path)
    report = Report(f"a solver's state{' as HDF5' if as_hdf5 else ''}: where a training goes on")
    layers = [Layer(f"history {i}", "", [blob]) for i, blob in enumerate(state.history)]
    fill(report, layers)
    report.facts = {
        "iteration": f"{state.iter:,}",
        "weights": state.learned_net,
        "steps of the rate": str(state.current_step) if state.current_step else "",
        "history": f"{count(len(layers), 'blob')}, {report.facts['parameters']} values",
    }
    beside = os.path.join(os.path.dirname(path), os.path.basename(state.learned_net))
    if state.learned_net and not (os.path.isfile(state.learned_net) or os.path.isfile(beside)):
        report.missing.append(f"its weights, {state.learned_net}")
    report.wrong = [line.replace("weights are", "values are") for line in report.wrong]
    report.wrong = [line for line in report.wrong if "zero" not in line]
    report.next.append(f"caffe train -solver SOLVER.prototxt -snapshot {path}")
    return report


def of_mean(path: str, shapes: Mapping[str, Sequence[int]]) -> Report:
    """A blob, usually the mean of a data set's pictures."""
    from ..io import blobproto_to_array

    array = blobproto_to_array(read.read_blob_proto(path))
    report = Report("a blob in a .binaryproto, such as a mean picture")
    report.facts["shape"] = size(array.shape)
    planes = array.reshape(-1, *array.shape[-2:])
    if array.ndim >= 3 and len(planes) in (1, 3):
        means = ", ".join(f"{plane.mean():.4g}" for plane in planes)
        report.facts["mean of each channel"] = f"{means} (Caffe's order is blue, green, red)"
    found = statistics.of(array)
    report.facts["values"] = found.cells()[1]
    report.wrong = [line.replace("weights", "values") for line in statistics.wrong("blob", [found])]
    report.next.append(f'transform_param {{ mean_file: "{path}" }} in a data layer')
    return report
