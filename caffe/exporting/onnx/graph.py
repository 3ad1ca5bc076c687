"""An ONNX graph under construction: nodes, constants, and sizes that are known or computed.

It is made without the onnx package, which `model` turns it into a file with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...blob import Blob
from ..sizes import FixedSize


class Value(NamedTuple):
    """A blob in the graph: its shape in the net, and the axes whose size is free."""

    name: str
    shape: tuple[int, ...]
    free: frozenset[int]

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def require_known(self, axes: Iterable[int]) -> None:
        """Raise FixedSize if one of these axes is free."""
        if self.free.intersection(axes):
            raise FixedSize


class Node(NamedTuple):
    """An operator with the names of its inputs and outputs; a missing input is ""."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Body(NamedTuple):
    """The graph inside a node, such as the step of a Scan: an attribute of that node."""

    nodes: list[Node]
    inputs: list[str]
    outputs: list[str]


class Graph:
    """Nodes and constants; the names of a layer's values begin with the layer's."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.scope = ""  # the layer whose nodes are added
        self._count = 0
        self._begun: dict[str, int] = {}  # a layer's name -> how many layers had it
        self._known: dict[Any, str] = {}  # what a constant or a Shape was made of -> its name

    def begin(self, layer: str) -> None:
        """The nodes from here on are of a layer. Of layers of one name the second is name@2."""
        times = self._begun[layer] = self._begun.get(layer, 0) + 1
        self.scope, self._count = f"{layer}@{times}" if times > 1 else layer, 0

    def fresh(self, what: str) -> str:
        """A name that no value has."""
        self._count += 1
        return f"{self.scope}/{what}_{self._count}"

    # ---- nodes

    def op(self, kind: str, *inputs: Operand, **attributes: Any) -> str:
        """Add a node with one output; returns its name. None leaves an optional input out."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, count: int, *inputs: Operand, **attributes: Any) -> list[str]:
        """Add a node with `count` outputs."""
        outputs = [self.fresh(kind) for _ in range(count)]
        names = [self.name_of(each) for each in inputs]
        while names and not names[-1]:
            names.pop()
        self.nodes.append(Node(kind, names, outputs, attributes))
        return outputs

    def name_of(self, operand: Operand) -> str:
        """The name of a value; numbers become constants."""
        if operand is None:
            return ""
        if isinstance(operand, str):
            return operand
        if isinstance(operand, Value):
            return operand.name
        if isinstance(operand, Ints):
            return self.constant(operand.known) if operand.name is None else operand.name
        return self.constant(operand)

    def rename(self, old: str, new: str, since: int) -> bool:
        """Give an output of the nodes from `since` on another name; False if none has it."""
        made = any(old in node.outputs for node in self.nodes[since:])
        for node in self.nodes[since:]:
            for names in (node.inputs, node.outputs):
                names[:] = [new if name == old else name for name in names]
        return made

    # ---- constants

    def constant(self, values: Any) -> str:
        """A constant: a number or numbers; integers are int64, all others float32."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        key = (array.shape, array.dtype.str, array.tobytes())
        if key not in self._known:
            self._known[key] = self.fresh("constant")
            self.constants[self._known[key]] = array
        return self._known[key]

    def weight(self, blob: Blob, part: str, array: np.ndarray | None = None) -> str:
        """A parameter, or what `array` makes of it; one that layers share is stored once."""
        values = blob.data if array is None else array
        key = (id(blob._data), values.shape) if array is None else (self.scope, part)
        if key not in self._known:
            self._known[key] = f"{self.scope}.{part}"
            self.constants[self._known[key]] = np.ascontiguousarray(values, np.float32)
        return self._known[key]

    def prune(self, results: Iterable[str]) -> None:
        """Drop nodes and constants that no result needs, such as a Shape that was not used.

        A Shape is not free: for its sake ONNX Runtime keeps a map in the usual layout.
        """
        needed, kept = set(results), []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(node.inputs)
                body = node.attributes.get("body", Body([], [], []))
                needed.update(name for inner in body.nodes for name in inner.inputs)
        self.nodes = kept[::-1]
        self.constants = {n: array for n, array in self.constants.items() if n in needed}

    # ---- sizes

    def sizes(self, x: Value, start: int = 0, end: int | None = None) -> Ints:
        """The sizes of a blob's axes start..end."""
        end = x.rank if end is None else end
        if not x.free.intersection(range(start, end)):
            return Ints(self, known=x.shape[start:end])
        return self.sizes_of(x.name, start, end)

    def sizes_of(self, name: str, start: int, end: int) -> Ints:
        """The sizes of any value's axes start..end, computed when the net runs."""
        if start == end:
            return Ints(self, known=())
        key = ("Shape", name, start, end)
        if key not in self._known:
            self._known[key] = self.op("Shape", name, start=start, end=end)
        return Ints(self, name=self._known[key])

    def joined(self, *parts: Ints | Sequence[int]) -> Ints:
        """Sizes, one after the other."""
        ints = [part if isinstance(part, Ints) else Ints(self, known=part) for part in parts]
        ints = [part for part in ints if part.name is not None or part.known]
        if all(part.name is None for part in ints):
            return Ints(self, known=[n for part in ints for n in part.known])
        if len(ints) == 1:
            return ints[0]
        return Ints(self, name=self.op("Concat", *ints, axis=0))


class Ints:
    """Some integers: known when the net is exported, or a vector that is computed when it runs."""

    def __init__(self, graph: Graph, known: Sequence[int] = (), name: str | None = None) -> None:
        self.graph, self.known, self.name = graph, [int(n) for n in known], name

    def _with(self, kind: str, other: Ints | Sequence[int] | int) -> Ints:
        if isinstance(other, int):
            other = [other]
        other = other if isinstance(other, Ints) else Ints(self.graph, known=other)
        if self.name is None and other.name is None:
            return Ints(self.graph, known=_COMPUTE[kind](self.known, other.known))
        return Ints(self.graph, name=self.graph.op(kind, self, other))

    def __add__(self, other: Ints | Sequence[int] | int) -> Ints:
        return self._with("Add", other)

    def __sub__(self, other: Ints | Sequence[int] | int) -> Ints:
        return self._with("Sub", other)

    def __mul__(self, other: Ints | Sequence[int] | int) -> Ints:
        return self._with("Mul", other)

    def over(self, other: Sequence[int] | int) -> Ints:
        """The quotient of numbers from 0 on, rounded down."""
        return self._with("Div", other)

    def at_least(self, other: Ints | int) -> Ints:
        """The larger of both."""
        return self._with("Max", other)

    def at_most(self, other: Ints | int) -> Ints:
        """The smaller of both."""
        return self._with("Min", other)


_COMPUTE: dict[str, Any] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.floor_divide,
    "Max": np.maximum,
    "Min": np.minimum,
}

Operand: TypeAlias = (
    "str | Value | Ints | np.ndarray | int | float | Sequence[int] | Sequence[float] | None"
)
