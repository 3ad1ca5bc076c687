"""The file of a net in ONNX, and ONNX Runtime, which runs it to hold it against the net."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from ...net import Net
from .. import deploy, reasons
from ..sizes import Sizes
from .graph import Body, Graph, Node, Value
from .writers import WRITERS

OPSET, IR_VERSION = 18, 8
LIMIT = 2**31 - 2**20  # bytes of weights that one file can hold
_AXES = {0: "batch", 2: "height", 3: "width"}


class Exported:
    """A net as an ONNX model."""

    def __init__(self, net: Net, outputs: Sequence[str], sizes: Sizes) -> None:
        """Write the graph; sizes.FixedSize where a layer needs to know a size that is free."""
        self.net, self.outputs, self.sizes = net, outputs, sizes
        self.graph = Graph()
        self.tops: dict[int, list[str]] = {}  # layer index -> the names of its tops' values
        placed = list(deploy.steps(net))
        last = {top: step.at for step in placed for top in step.tops}
        named = {name: name for name in net.inputs}  # blob -> the value that it holds now
        for step in placed:
            bottoms = [self._value(name, named[name]) for name in step.bottoms]
            wanted = [
                top
                if last[top] == step.at and top not in net.inputs
                else f"{top}@{step.layer.name}"
                for top in step.tops
            ]
            made = self._write(step, bottoms, wanted)
            named |= zip(step.tops, made)
            self.tops[step.at] = made
        self.graph.begin("outputs")
        self.results = {name: self._result(name, named[name]) for name in outputs}
        tops = (name for names in self.tops.values() for name in names)
        self.graph.prune([*tops, *self.results.values()])

    def _value(self, blob: str, name: str) -> Value:
        return Value(name, self.sizes.base[blob], frozenset(self.sizes.free[blob]))

    def _write(self, step: Any, bottoms: Sequence[Value], wanted: Sequence[str]) -> list[str]:
        """Add a layer's nodes; returns the names of its tops."""
        g, since = self.graph, len(self.graph.nodes)
        g.begin(step.layer.name)
        made = reasons.writer(WRITERS, step, "ONNX")(g, step.layer, bottoms)
        made = [made] if isinstance(made, str) else list(made)
        for i, name in enumerate(wanted):
            if g.rename(made[i], name, since):
                made = [name if each == made[i] else each for each in made]
        return made

    def _result(self, blob: str, value: str) -> str:
        """The output of a blob: the value of that name."""
        if value == blob and blob not in self.net.inputs:
            return value
        name = blob if blob not in self.net.inputs else f"{blob}_out"
        self.graph.nodes.append(Node("Identity", [value], [name], {}))
        return name

    # ---- the model

    def model(self, outputs: Sequence[Any] | None = None) -> Any:
        """The model; `outputs` are other outputs than the net's."""
        inputs = [info(name, self._dims(name)) for name in self.net.inputs]
        if outputs is None:
            outputs = [info(result, self._dims(b)) for b, result in self.results.items()]
        constants = self.graph.constants.items()
        made = helper.make_graph(
            [made_node(node) for node in self.graph.nodes],
            self.net.name or "net",
            inputs,
            outputs,
            [numpy_helper.from_array(array, name) for name, array in constants],
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(
            made, opset_imports=[opset], ir_version=IR_VERSION, producer_name="caffe export"
        )

    def _dims(self, blob: str) -> list[int | str]:
        """The dimensions of an input or output: numbers, and names of free ones, which are "height"
        and the like of the only input, and begin with the blob's name else."""
        free, own = self.sizes.free[blob], "" if self.net.inputs == [blob] else f"{blob}_"
        return [
            f"{own}{_AXES.get(axis, f'axis{axis}')}" if axis in free else n
            for axis, n in enumerate(self.sizes.base[blob])
        ]

    def save(self, path: str) -> list[str]:
        """Write the file, with the weights in another beside it where they are too large for one.

        Returns the files written.
        """
        return self._save(self.model(), path)

    def _save(self, model: Any, path: str) -> list[str]:
        size = sum(array.nbytes for array in self.graph.constants.values())
        if size <= LIMIT:
            onnx.save(model, path)
            return [path]
        beside = f"{path}.data"
        onnx.save(model, path, save_as_external_data=True, location=os.path.basename(beside))
        return [path, beside]

    def traced(self, outputs: Sequence[str]) -> Any:
        """A session whose outputs are other values of the graph."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "traced.onnx")
            self._save(self.model([info(name) for name in outputs]), path)
            return session(path)

    def runner(self, path: str) -> Runner:
        """What runs the file."""
        return Runner(path, self)


def made_node(node: Node) -> Any:
    """A node as ONNX stores it."""
    attributes = {
        key: made_body(value, node.outputs[0]) if isinstance(value, Body) else value
        for key, value in node.attributes.items()
    }
    return helper.make_node(
        node.kind, node.inputs, node.outputs, name=node.outputs[0], **attributes
    )


def made_body(body: Body, name: str) -> Any:
    """The graph inside a node."""
    inputs, outputs = ([info(value) for value in names] for names in (body.inputs, body.outputs))
    nodes = [made_node(node) for node in body.nodes]
    return helper.make_graph(nodes, f"{name}/step", inputs, outputs)


def info(name: str, dims: Sequence[int | str] | None = None) -> Any:
    """The declaration of a value of floats; a dimension is a number or a name."""
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims)


class Runner:
    """An exported file in ONNX Runtime."""

    library = "ONNX Runtime"

    def __init__(self, path: str, exported: Exported) -> None:
        """Load the file; ValueError where ONNX Runtime refuses it."""
        self.exported = exported
        self.session = session(path)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs by the blobs' names."""
        results = self.exported.results
        used = {value.name for value in self.session.get_inputs()}
        fed = {name: array for name, array in inputs.items() if name in used}
        return dict(zip(results, self.session.run(list(results.values()), fed)))

    def trace(self, inputs: Mapping[str, np.ndarray]) -> dict[int, list[np.ndarray]]:
        """The tops of each layer, by its index."""
        names = dict.fromkeys(name for tops in self.exported.tops.values() for name in tops)
        computed = [n for n in names if n not in inputs and n not in self.exported.graph.constants]
        session = self.exported.traced(computed)
        found = dict(zip(computed, session.run(computed, dict(inputs))))
        found |= {**self.exported.graph.constants, **inputs}
        return {i: [found[name] for name in tops] for i, tops in self.exported.tops.items()}


def session(path: str) -> Any:
    """A session of ONNX Runtime, which says nothing but errors."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
