"""Holds an exported module's gradients against the net's, both in training and in float64.

In float64, because in float32 ties of ReLU and MAX fall otherwise where sums are added in another
order. Dropout drops nothing on either side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import context
from ..layer import describe
from ..net import Net
from ..proto import caffe_pb2
from . import check, deploy, sizes

TOLERANCE = 1e-4
_ROUNDING = 1e-12  # a share of the largest gradient
_NUDGE = 1e-10  # of the inputs, to see whether gradients hang on the last bits
Arrays = Mapping[str, np.ndarray]
Gradients = dict[str, np.ndarray]


def agree(net: Net, param: Any, runner: Any, trials: Sequence[Arrays]) -> str:
    """Compare the gradients of parameters and inputs for random derivatives of the outputs.

    `param` is the net's definition, `runner` what runs the module. The first of the trials' inputs
    that agrees will do: on small planes batch normalization may leave nothing to compare. Returns what
    was found, in words; raises ValueError that names the layer whose gradients differ.
    """
    for inputs in trials:
        try:
            wanted, diffs = _of_net(net, param, runner, inputs)
        except NotImplementedError as error:
            return f"not trainable: {error}"
        if not wanted:
            return "there are none"
        if not all(np.isfinite(array).all() for array in wanted.values()):
            return "not compared: Caffe's own are not finite here"
        off = _distances(wanted, _of_module(runner, inputs, diffs))
        worst = max(off, key=lambda key: off[key])
        if off[worst] <= TOLERANCE:
            return f"off by {off[worst]:.1e}"
    moved, _ = _of_net(net, param, runner, {n: x * (1 + _NUDGE) for n, x in inputs.items()})
    if (sway := max(_distances(wanted, moved).values())) > TOLERANCE:
        return f"not compared: Caffe's own change by {sway:.0e} where the inputs do by {_NUDGE:g}"
    where = runner.exported.code.learned.get(worst)
    name = describe(net.layers[where.layer].layer_param) if where else f"input '{worst}'"
    raise ValueError(
        f"{name}: in training the gradient of {worst} and Caffe's part, by {off[worst]:.1e} where "
        f"{TOLERANCE:g} is allowed; nothing was written"
    )


def _distances(wanted: Gradients, found: Gradients) -> dict[str, float]:
    """By key; what is no more than rounding beside the largest gradient counts as 0, such as that of a
    bias that batch statistics subtract again."""
    rounding = _ROUNDING * max(float(np.linalg.norm(array)) for array in wanted.values())

    def of(key: str) -> float:
        arrays = wanted[key], found[key]
        small = arrays[0].shape == arrays[1].shape and all(
            np.linalg.norm(array) <= rounding for array in arrays
        )
        return 0.0 if small else check.distance(*arrays)

    return {key: of(key) for key in wanted}


def _trained(net: Net, param: Any) -> Net:
    """The net in phase TRAIN, all gradients computed, with the same parameters."""
    training = caffe_pb2.NetParameter()
    training.CopyFrom(param)
    training.state.phase = caffe_pb2.TRAIN
    training.force_backward = True
    for layer in training.layer:
        if layer.type == "Dropout":
            layer.dropout_param.dropout_ratio = 0
    made = Net.from_param(training)
    for mine, theirs in zip(made.layers, net.layers, strict=True):
        for blob, source in zip(mine.blobs, theirs.blobs, strict=True):
            blob.data[...] = source.data
    indices = sizes.index_inputs(made)
    for step in deploy.steps(made):
        flags = made._topology.bottom_need_backward
        flags[step.at] = [f and n not in indices for f, n in zip(flags[step.at], step.bottoms)]
    return made


def _of_net(net: Net, param: Any, runner: Any, inputs: Arrays) -> tuple[Gradients, Gradients]:
    """(gradients by the module's keys, the outputs' derivatives that they come from)."""
    rng = np.random.default_rng(1)
    with context.double_precision():
        net = _trained(net, param)
        check.feed(net, inputs)
        net._forward(0, len(net.layers) - 1)
        outputs = {name: net.blobs[name] for name in runner.exported.outputs}
        diffs = {name: rng.standard_normal(blob.data.shape) for name, blob in outputs.items()}
        net.clear_param_diffs()
        for name, blob in net.blobs.items():
            blob.diff[...] = diffs.get(name, 0)
        net._backward(len(net.layers) - 1, 0)
    wanted = {}
    for key, (layer, index, transposed) in runner.exported.code.learned.items():
        diff = net.layers[layer].blobs[index].diff
        wanted[key] = (diff.T if transposed else diff).copy()
    smooth = set(net.inputs) - sizes.index_inputs(net)
    return wanted | {name: net.blobs[name].diff.copy() for name in smooth}, diffs


def _of_module(runner: Any, inputs: Arrays, diffs: Gradients) -> Gradients:
    """The module's gradients, by its keys and the inputs' names."""
    module = runner.load().double().train()
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    module.requires_grad_(True)
    fed = {
        name: torch.from_numpy(inputs[name].astype(np.float64)).requires_grad_()
        for name in runner.exported.net.inputs
    }
    found = runner.named(module(*fed.values()))
    reached = [name for name in diffs if found[name].requires_grad]
    torch.autograd.backward(
        [found[name] for name in reached], [torch.from_numpy(diffs[name]) for name in reached]
    )
    result = {}
    parameters = dict(module.named_parameters(remove_duplicate=False))
    for key, learned in runner.exported.code.learned.items():
        shape = runner.exported.net.layers[learned.layer].blobs[learned.blob].data.shape
        shape = shape[::-1] if learned.transposed else shape
        result[key] = _gradient(parameters[key]).reshape(shape)
    return result | {name: _gradient(tensor) for name, tensor in fed.items()}


def _gradient(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's gradient; zeros where none came."""
    found = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
    return found.detach().numpy()
