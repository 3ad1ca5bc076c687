"""How PyTorch says what each layer computes: the table of writers.

A writer adds what it needs to the file and returns the expression of the layer's tops. The first line
of its docstring says what it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ...c_math import c_pow
from ...proto import caffe_pb2
from . import moving, parts, recurrent
from .code import Code, Value, number
from .forks import FORKS
from .windows import WINDOWS, numbers

Bottoms: TypeAlias = Sequence[Value]
Writer: TypeAlias = Callable[[Code, Any, Bottoms], str]

ELTWISE, REDUCTION = caffe_pb2.EltwiseParameter, caffe_pb2.ReductionParameter


def call(text: str) -> Writer:
    """The writer of a layer that is one call; {x} is the bottom."""

    def write(c: Code, layer: Any, x: Bottoms) -> str:
        return text.format(x=x[0])

    write.__doc__ = f"`{text.partition('(')[0].replace('{x}', 'x')}`"
    return write


# ---- cell by cell


def relu(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.relu`, with a slope `F.leaky_relu`"""
    slope = layer.param.negative_slope
    return f"F.leaky_relu({x[0]}, {number(slope)})" if slope else f"F.relu({x[0]})"


def prelu(c: Code, layer: Any, x: Bottoms) -> str:
    """`nn.PReLU`"""
    module = c.module(layer, f"nn.PReLU({layer.blobs[0].count})", "weight")
    if layer.blobs[0].num_axes == 0:  # PyTorch's has an axis
        key = f"{module.removeprefix('self.')}.weight"
        c.state[key] = c.state[key].view(1)
    return f"{module}({x[0]})"


def elu(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.elu`"""
    return f"F.elu({x[0]}, {number(layer.param.alpha)})"


def swish(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.sigmoid`"""
    beta = layer.param.beta
    return f"{x[0]} * torch.sigmoid({scaled(str(x[0]), beta)})"


def scaled(x: str, factor: float, shift: float = 0.0) -> str:
    """x * factor + shift, as short as it can be."""
    text = x if factor == 1 else f"{number(factor)} * {x}"
    return f"{text} + {number(shift)}" if shift else text


def power(c: Code, layer: Any, x: Bottoms) -> str:
    """`**`"""
    p = layer.param
    if p.power * p.scale == 0:
        return f"torch.full_like({x[0]}, {number(c_pow(p.shift, p.power))})"
    inner = scaled(str(x[0]), p.scale, p.shift)
    return inner if p.power == 1 else f"({inner}) ** {number(p.power)}"


def exponential(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.exp`"""
    return scaled(f"torch.exp({scaled(str(x[0]), layer.inner)})", layer.outer)


def logarithm(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.log`"""
    inner = scaled(str(x[0]), layer.param.scale, layer.param.shift)
    return scaled(f"torch.log({inner})", layer.factor)


def clip(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.clamp`; NaN stays NaN"""
    return f"torch.clamp({x[0]}, {number(layer.param.min)}, {number(layer.param.max)})"


def threshold(c: Code, layer: Any, x: Bottoms) -> str:
    """`>`"""
    return f"({x[0]} > {number(layer.param.threshold)}).to({x[0]}.dtype)"


def dropout(c: Code, layer: Any, x: Bottoms) -> str:
    """`nn.Dropout`"""
    return f"{c.module(layer, f'nn.Dropout({number(layer.ratio)})')}({x[0]})"


def eltwise(c: Code, layer: Any, x: Bottoms) -> str:
    """`+`, `*`; MAX a function that knows who wins a tie"""
    p, names = layer.param, [str(value) for value in x]
    if p.operation == ELTWISE.SUM:
        return " + ".join(scaled(name, k) for name, k in zip(names, layer.coeff))
    if p.operation == ELTWISE.PROD:
        return " * ".join(names)
    return f"{c.part(parts.maximum)}({', '.join(names)})"


# ---- learned operands


def operand(layer: Any, x: Bottoms, shape: Sequence[int]) -> tuple[str, int]:
    """(the second bottom, ready to meet the first; how many axes of the first lie behind it)."""
    axis = layer.param.axis % x[0].rank if shape else x[0].rank
    behind = x[0].rank - axis - len(shape)
    if len(x) == 1:
        return "", behind
    ones = ", None" * behind
    return f"{x[1]}[...{ones}]" if behind else str(x[1]), behind


def scale(c: Code, layer: Any, x: Bottoms) -> str:
    """a class of four lines; of two bottoms `*`"""
    bias = layer.param.bias_term
    shape = x[1].shape if len(x) > 1 else tuple(layer.blobs[0].shape)
    factor, behind = operand(layer, x, shape)
    if factor:
        product = f"{x[0]} * {factor}"
        if not bias:
            return product
        return f"{_bias_module(c, layer, shape, behind)}({product})"
    more = f", behind={behind}" if behind else ""
    made = f"{c.part(parts.Scale)}({numbers(shape)}{more}{', bias=True' if bias else ''})"
    return f"{c.module(layer, made.replace('(, ', '('), *['weight', 'bias'][: 1 + bias])}({x[0]})"


def bias(c: Code, layer: Any, x: Bottoms) -> str:
    """a class of three lines; of two bottoms `+`"""
    shape = x[1].shape if len(x) > 1 else tuple(layer.blobs[0].shape)
    term, behind = operand(layer, x, shape)
    return f"{x[0]} + {term}" if term else f"{_bias_module(c, layer, shape, behind)}({x[0]})"


def _bias_module(c: Code, layer: Any, shape: Sequence[int], behind: int) -> str:
    more = f", behind={behind}" if behind else ""
    made = f"{c.part(parts.Bias)}({numbers(shape)}{more})".replace("(, ", "(")
    return c.module(layer, made, "bias")


def inner_product(c: Code, layer: Any, x: Bottoms) -> str:
    """`nn.Linear`"""
    p, axis = layer.param, layer.param.axis % x[0].rank
    more = "" if p.bias_term else ", bias=False"
    weight = "weight.T" if p.transpose else "weight"
    names = [weight, "bias"][: 1 + p.bias_term]
    module = c.module(layer, f"nn.Linear({layer.inputs}, {p.num_output}{more})", *names)
    return f"{module}({x[0]})" if axis == x[0].rank - 1 else f"{module}({x[0]}.flatten({axis}))"


def embed(c: Code, layer: Any, x: Bottoms) -> str:
    """`nn.Embedding`; with biases a class of three lines"""
    p = layer.param
    if p.bias_term:
        made = f"{c.part(parts.Embed)}({p.input_dim}, {p.num_output})"
        return f"{c.module(layer, made, 'weight', 'bias')}({x[0]})"
    module = c.module(layer, f"nn.Embedding({p.input_dim}, {p.num_output})", "weight")
    return f"{module}({x[0]}.long())"


def parameter(c: Code, layer: Any, x: Bottoms) -> str:
    """`nn.Parameter`"""
    return c.parameter(layer, f"nn.Parameter(torch.zeros({numbers(layer.blobs[0].shape)}))")


# ---- statistics


def batch_norm(c: Code, layer: Any, x: Bottoms) -> str:
    """`nn.BatchNorm2d`; with `use_global_stats` a function or class of their own"""
    p = layer.param
    stated = p.HasField("use_global_stats")
    if stated and not p.use_global_stats:
        return f"{c.part(parts.batch_normalized)}({x[0]}, {number(p.eps)})"
    mean, variance, factor = (blob.data for blob in layer.blobs)
    share = 1 / factor[0] if factor[0] else 0.0
    running = {"running_mean": mean * share, "running_var": variance * share}
    if stated:
        made = f"{c.part(parts.FrozenBatchNorm)}({layer.channels}, {number(p.eps)})"
        return f"{c.module(layer, made, **running)}({x[0]})"
    momentum = number(1 - p.moving_average_fraction)
    settings = f"{layer.channels}, eps={number(p.eps)}, momentum={momentum}, affine=False"
    made = f"nn.BatchNorm{max(1, min(3, x[0].rank - 2))}d({settings})"
    return f"{c.module(layer, made, **running, num_batches_tracked=0)}({x[0]})"


def mvn(c: Code, layer: Any, x: Bottoms) -> str:
    """a function of three lines"""
    p = layer.param
    axes = [1, 2, 3] if p.across_channels else [2, 3]
    return f"{c.part(parts.mvn)}({x[0]}, {axes}, {number(p.eps)}, {p.normalize_variance})"


def reduction(c: Code, layer: Any, x: Bottoms) -> str:
    """`torch.sum` or `torch.mean`"""
    p = layer.param
    kind = {
        REDUCTION.SUM: ".sum(-1)",
        REDUCTION.ASUM: ".abs().sum(-1)",
        REDUCTION.SUMSQ: ".square().sum(-1)",
        REDUCTION.MEAN: ".mean(-1)",
    }[p.operation]
    return scaled(f"{x[0]}.flatten({p.axis % x[0].rank}){kind}", p.coeff)


def arg_max(c: Code, layer: Any, x: Bottoms) -> str:
    """a function that sorts"""
    p = layer.param
    axis = p.axis % x[0].rank if p.HasField("axis") else None
    if axis is None and x[0].rank == 1:
        return f"{c.part(parts.arg_max)}({x[0]}[:, None], None, {p.top_k}, {p.out_max_val})"
    return f"{c.part(parts.arg_max)}({x[0]}, {axis}, {p.top_k}, {p.out_max_val})"


def softmax(c: Code, layer: Any, x: Bottoms) -> str:
    """`F.softmax`"""
    return f"F.softmax({x[0]}, {layer.param.axis % x[0].rank})"


WRITERS: dict[str, Writer] = {
    "AbsVal": call("torch.abs({x})"),
    "ArgMax": arg_max,
    "BNLL": call("F.softplus({x})"),
    "BatchNorm": batch_norm,
    "BatchReindex": moving.batch_reindex,
    "Bias": bias,
    "Clip": clip,
    "Concat": moving.concat,
    "Crop": moving.crop,
    "Dropout": dropout,
    "ELU": elu,
    "Eltwise": eltwise,
    "Embed": embed,
    "Exp": exponential,
    "Filter": moving.filter_,
    "Flatten": moving.flatten,
    "InnerProduct": inner_product,
    "LSTM": recurrent.steps,
    "LSTMUnit": recurrent.lstm_unit,
    "Log": logarithm,
    "MVN": mvn,
    "PReLU": prelu,
    "Parameter": parameter,
    "Power": power,
    "RNN": recurrent.steps,
    "ReLU": relu,
    "Reduction": reduction,
    "Reshape": moving.reshape,
    "Scale": scale,
    "Sigmoid": call("torch.sigmoid({x})"),
    "Slice": moving.slice_,
    "Softmax": softmax,
    "Split": moving.same,
    "Swish": swish,
    "TanH": call("torch.tanh({x})"),
    "Threshold": threshold,
    "Tile": moving.tile,
    **WINDOWS,
    **FORKS,
}
