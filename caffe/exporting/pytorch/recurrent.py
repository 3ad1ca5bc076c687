"""PyTorch of RNN, LSTM and the LSTM's unit: classes with the steps in time as a loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import parts
from .code import Code, Value
from .windows import numbers


def steps(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """a class with the steps as a loop"""
    part = {"LSTM": parts.LSTM, "RNN": parts.RNN}[layer.type]
    c.part(*[parts.lstm_unit] * (layer.type == "LSTM"), part)
    static = math.prod(x[2].shape[1:]) if layer.has_static else 0
    sizes = [math.prod(x[0].shape[2:]), layer.param.num_output, *[static] * bool(static)]
    names = ["weight_x", "bias", *["weight_static"] * bool(static), "weight_h"]
    names += ["weight_o", "bias_o"][: len(layer.blobs) - len(names)]
    module = c.module(layer, f"{part.__name__}({numbers(sizes)})", *names)
    inputs = [str(value) for value in x]
    if layer.exposed and not static:
        inputs.insert(2, "None")
    return f"{module}({', '.join(inputs)})" + ("" if layer.exposed else "[0]")


def lstm_unit(c: Code, layer: Any, x: Sequence[Value]) -> str:
    """a function of three lines"""
    return f"{c.part(parts.lstm_unit)}({x[0]}, {x[1]}, {x[2]}[..., None])"
