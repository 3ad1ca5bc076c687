"""ONNX of RNN, LSTM and the LSTM's unit: a `Scan` over the steps in time.

ONNX's own LSTM cannot begin sequences within a batch, as Caffe's `cont` does. Where a net does not
expose its states, they are zero before the first step of each run.
"""

from __future__ import annotations

from typing import Any

from .cells import Bottoms
from .graph import Body, Graph


def unit(g: Graph, c: Any, gates: Any, cont: Any) -> tuple[str, str]:
    """One step from c (N, H), gates (N, 4H) and cont (N, 1): the new c and h."""
    i, f, o, new = g.ops("Split", 4, gates, axis=-1, num_outputs=4)
    i, f, o = (g.op("Sigmoid", gate) for gate in (i, f, o))
    kept = g.op("Mul", g.op("Mul", cont, f), c)
    c = g.op("Add", kept, g.op("Mul", i, g.op("Tanh", new)))
    return c, g.op("Mul", o, g.op("Tanh", c))


def lstm_unit(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`Split`, `Sigmoid`, `Tanh`, `Mul`, `Add`"""
    return list(unit(g, x[0], x[1], g.op("Unsqueeze", x[2], [2])))


def inputs(g: Graph, layer: Any, x: Bottoms) -> str:
    """What does not depend on the state, for all steps: W x + b (+ W static)."""

    def product(value: Any, index: int, keep: int) -> str:
        flat = g.op("Reshape", value, [0] * keep + [-1])
        weight = layer.blobs[index]
        return g.op("MatMul", flat, g.weight(weight, f"weight_{index}", weight.data.T))

    z = g.op("Add", product(x[0], 0, 2), g.weight(layer.blobs[1], "bias"))
    return g.op("Add", z, product(x[2], 2, 1)) if layer.has_static else z


def initial(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """The states before the first step, each (N, H)."""
    if layer.exposed:
        return [g.op("Squeeze", value, [0]) for value in x[-layer.exposed :]]
    shape = g.joined(g.sizes(x[0], 1, 2), [layer.param.num_output])
    return [g.op("Expand", 0.0, shape)] * layer.states


def scan(g: Graph, layer: Any, x: Bottoms, step: Any) -> list[str]:
    """The states after the last step, then what each step gives.

    `step(graph, states, z, cont)` adds one step's nodes and returns the new states and the result.
    """
    count = layer.states
    cont = g.op("Unsqueeze", x[1], [2])
    names = [*(g.fresh("state") for _ in range(count)), g.fresh("z"), g.fresh("cont")]
    start, nodes = [*initial(g, layer, x), inputs(g, layer, x), cont], g.nodes
    g.nodes = []  # of the step
    states, result = step(g, names[:count], *names[count:])
    results = [g.op("Identity", value) for value in (*states, result)]
    body, g.nodes = Body(g.nodes, names, results), nodes
    return g.ops("Scan", count + 1, *start, body=body, num_scan_inputs=2)


def finish(g: Graph, layer: Any, y: str, states: list[str]) -> list[str]:
    """The tops: y, and the states where they are exposed."""
    return [y, *(g.op("Unsqueeze", state, [0]) for state in states[: layer.exposed])]


def transposed(g: Graph, layer: Any, index: int) -> str:
    """A matrix of the layer's, as MatMul wants it."""
    return g.weight(layer.blobs[index], f"weight_{index}", layer.blobs[index].data.T)


def lstm(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`Scan`"""
    w_h = transposed(g, layer, layer.recurrent)

    def step(g: Graph, states: list[str], z: str, cont: str) -> tuple[list[str], str]:
        h, c = states
        gates = g.op("Add", z, g.op("MatMul", g.op("Mul", h, cont), w_h))
        c, h = unit(g, c, gates, cont)
        return [h, c], h

    *states, y = scan(g, layer, x, step)
    return finish(g, layer, y, states)


def rnn(g: Graph, layer: Any, x: Bottoms) -> list[str]:
    """`Scan`"""
    w_hh, w_ho = (transposed(g, layer, layer.recurrent + i) for i in (0, 1))
    b_o = g.weight(layer.blobs[layer.recurrent + 2], "bias_o")

    def step(g: Graph, states: list[str], z: str, cont: str) -> tuple[list[str], str]:
        (h,) = states
        h = g.op("Tanh", g.op("Add", z, g.op("MatMul", g.op("Mul", h, cont), w_hh)))
        return [h], h

    state, hidden = scan(g, layer, x, step)
    y = g.op("Tanh", g.op("Add", g.op("MatMul", hidden, w_ho), b_o))
    return finish(g, layer, y, [state])
