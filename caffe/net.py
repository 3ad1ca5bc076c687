"""Net: layers joined by named blobs, built from a prototxt (src/caffe/net.cpp, python/caffe/pycaffe.py)."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import torch

from . import arguments, context
from .arrays import LazyArrays, copied, count_of, fill, join, split
from .background import rest
from .blob import Blob, BlobVec
from .build import build
from .files import read
from .files.paths import Path, require_file
from .layers.input import MemoryData
from .named import OrderedDict
from .names import did_you_mean
from .net_face import NetFace
from .net_files import NetFiles
from .one_thread import OneThread, alone
from .proto import caffe_pb2
from .running import Running
from .running.runner import Loss


class LayerVec(list[Any]):
    """A net's layers, in file order; a Python layer's class may have any attributes."""

    def __setitem__(self, index: Any, value: object) -> None:
        """Raises TypeError: the net would go on with the layer that it was built with."""
        raise TypeError("a net's layers are not replaced: write another prototxt")


class Net(NetFace, NetFiles):
    """A net of one phase, with pycaffe's interface.

    `blobs`, `params`, `layer_dict`, `top_names`, `bottom_names` and `blob_loss_weights` map names in
    the net's order; `inputs` and `outputs` are lists of blob names.
    """

    @overload
    def __init__(
        self,
        network_file: Path,
        phase: int,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: Path | None = None,
    ) -> None: ...

    @overload
    def __init__(self, network_file: Path, weights: Path, phase: int) -> None: ...

    def __init__(self, network_file: Path, *args: Any, **kwargs: Any):
        """Net(network_file, phase, level=0, stages=None, weights=None), or the older
        Net(network_file, weights, phase).

        Raises RuntimeError for a file that is not there, TypeError for other arguments, ValueError
        for whatever does not fit.
        """
        self._open(network_file, **arguments.of_net(network_file, args, kwargs))

    def _open(self, network_file, phase, level=0, stages=None, weights=None):
        for path in (network_file, weights):
            if path is not None:
                require_file(path)
        param = read.read_net(network_file, lenient=True)
        # The constructor's phase and level replace those of the file's state; its stages are added.
        param.state.phase = phase
        param.state.level = level
        param.state.stage.extend(stages or ())
        self._build(param, os.path.dirname(os.path.abspath(network_file)))
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, param: caffe_pb2.NetParameter, folder: str | None = None) -> Net:
        """A net from an upgraded NetParameter, whose state is used as it is.

        Python layers' modules are looked for in `folder` first, if it is allowed.
        """
        net = cls.__new__(cls)
        net._build(param, folder)
        return net

    def _build(self, param: caffe_pb2.NetParameter, folder: str | None) -> None:
        self._definition, self._folder = param.SerializeToString(), folder
        net = self._topology = build(param, folder)
        self._running = Running(net, param.debug_info)
        self.name = net.name
        self._one_thread = OneThread(net.name)
        self.phase = net.phase
        self.layers = LayerVec(net.layers)
        self.learnable_params = net.learnable_params
        self.params_lr = [1.0 if v is None else v for v in net.params_lr]
        self.params_weight_decay = [1.0 if v is None else v for v in net.params_weight_decay]
        names, layer_names = net.blob_names, net.layer_names
        with_params = (pair for pair in zip(layer_names, self.layers) if len(pair[1].blobs))
        tops, bottoms = (
            [[names[i] for i in of_layer] for of_layer in ids]
            for ids in (net.top_ids, net.bottom_ids)
        )
        self.blobs = OrderedDict(Blob, self.name, zip(names, net.blobs))
        self.blob_loss_weights = collections.OrderedDict(zip(names, net.loss_weights))
        self.layer_dict = collections.OrderedDict(zip(layer_names, self.layers))
        self.params: OrderedDict[BlobVec] = OrderedDict(
            BlobVec, self.name, ((name, layer.blobs) for name, layer in with_params)
        )
        self.top_names = collections.OrderedDict(zip(layer_names, tops))
        self.bottom_names = collections.OrderedDict(zip(layer_names, bottoms))
        self.inputs = [names[i] for i in net.input_ids]
        self.outputs = [names[i] for i in net.output_ids]
        self._own = frozenset(vars(self))

    def __del__(self) -> None:
        """Wait for the threads that read for data layers: what these hold is freed with the net."""
        rest(vars(self).get("layers", []))

    @property
    def debug_info(self) -> bool:
        """Whether passes log mean magnitudes of blobs and parameters."""
        return self._running.debug.enabled

    @debug_info.setter
    def debug_info(self, on: bool) -> None:
        self._running.debug.enabled = on

    # ---- running

    @alone
    def _forward(self, start: int, end: int) -> float:
        """Run layers start..end; the sum over weighted tops of value times loss weight."""
        loss = float(self._forward_async(start, end))
        self._raise_deferred()
        return loss

    @alone
    def _forward_async(self, start: int, end: int) -> Loss:
        """`_forward` without waiting for a GPU: the loss is a tensor there, or 0.0."""
        return self._running.forward(start, end)

    @alone
    def _forward_backward_async(self) -> Loss:
        """Run all layers in both directions, without waiting for a GPU; the loss."""
        return self._running.forward_backward()

    def _raise_deferred(self) -> None:
        """Raise the errors that layers found in values on a GPU; waits for the GPU."""
        for layer in self.layers:
            layer.raise_deferred()

    @alone
    def _backward(self, start: int, end: int) -> None:
        """Run layers start..end backward, in falling order."""
        self._running.backward(start, end)

    def _position(self, name: str) -> int:
        names = self._layer_names
        if name not in names:
            hint = did_you_mean(str(name), names, "; the nearest known is '{}'", cutoff=0)
            raise ValueError(f"no layer {name!r} in net {self.name!r}{hint}")
        return names.index(name)

    def _known(self, names: Iterable[str] | None) -> set[str]:
        """Names of blobs as a set. TypeError for a single one, KeyError for one that there is not."""
        if isinstance(names, str):
            raise TypeError(f"a list of blobs' names is wanted, [{names!r}], got {names!r}")
        found = set(names or ())
        for name in found:
            self.blobs[name]
        return found

    @alone
    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> Mapping[str, np.ndarray]:
        """Run the net, or its layers from `start` to `end` (names), and return {name: array}.

        Keyword arguments are the inputs' values, all of them; `blobs` names further blobs to return.
        The arrays are views of the blobs: the next pass overwrites them.
        """
        first = 0 if start is None else self._position(start)
        last = self._topology.last if end is None else self._position(end)
        named = self.outputs if end is None else self.top_names[end]
        outputs = set(named) | self._known(blobs)
        fill(self.blobs, kwargs, self.inputs, "data")
        self._running.policy.returned = outputs
        self._forward_async(first, last)
        return self._arrays(outputs, "data")

    @alone
    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> Mapping[str, np.ndarray]:
        """Run backward from layer `start` down to `end` (names), and return {name: diff array}.

        Keyword arguments are diffs of the outputs; `diffs` names further blobs to return. Parameter
        diffs are added to: `clear_param_diffs` zeroes them.
        """
        first = self._topology.last if start is None else self._position(start)
        last = 0 if end is None else self._position(end)
        named = self.inputs if end is None else self.bottom_names[end]
        outputs = set(named) | self._known(diffs)
        fill(self.blobs, kwargs, self.outputs, "diff")
        self._running.policy.returned = outputs
        self._backward(first, last)
        return self._arrays(outputs, "diff")

    def _arrays(self, names: Collection[str], side: str) -> Mapping[str, np.ndarray]:
        if context.on_gpu():
            return LazyArrays(
                names, self._raise_deferred, lambda name: getattr(self.blobs[name], side)
            )
        return {name: getattr(self.blobs[name], side) for name in names}

    @alone
    def forward_all(
        self, blobs: Iterable[str] | None = None, **kwargs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Run the net over any number of inputs, in batches, and return the outputs joined."""
        names, batches = set(self.outputs) | set(blobs or ()), self._batches(kwargs)
        passes = (self.forward(blobs=blobs, **batch) for batch in batches)
        return join(names, passes, count_of(kwargs))

    @alone
    def forward_backward_all(
        self,
        blobs: Iterable[str] | None = None,
        diffs: Iterable[str] | None = None,
        **kwargs: np.ndarray,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """`forward_all`, followed by backward on every batch: (all outputs, all diffs)."""
        outputs = set(self.outputs) | set(blobs or ())
        gradients = set(self.inputs) | set(diffs or ())
        forwards = self._batches({k: v for k, v in kwargs.items() if k in self.inputs})
        backwards = self._batches({k: v for k, v in kwargs.items() if k in self.outputs})
        passes = []
        for values in forwards:
            outs = copied(self.forward(blobs=blobs, **values))
            passes.append((outs, copied(self.backward(diffs=diffs, **next(backwards, {})))))
        count = count_of(kwargs)
        return (
            join(outputs, (outs for outs, _ in passes), count),
            join(gradients, (diffs for _, diffs in passes), count),
        )

    def _batches(self, arrays: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
        return split(arrays, next(iter(self.blobs.values())).num)

    @alone
    def reshape(self) -> None:
        """Let every layer adapt its tops to its bottoms, as the next forward would."""
        for layer, bottom, top in zip(self.layers, self._topology.bottoms, self._topology.tops):
            layer.reshape(bottom, top)

    @alone
    def reuse_memory(self, keep: Collection[str] = ()) -> None:
        """Let later maps take over the memory of maps that were read for the last time.

        For TEST nets; inputs, outputs, the blobs named in `keep`, and what Python layers made stay.
        Reading another blob then raises RuntimeError, as backward does. Every forward computes all.
        """
        self._running.reuse_memory(keep)

    @alone
    def recompute(self, keep: Collection[str] = ()) -> None:
        """Compute maps again in backward instead of keeping them: less memory, a third more time, the
        same gradients bit for bit (on a GPU under `torch.backends.cudnn.deterministic`).

        For TRAIN nets; inputs, outputs, the blobs named in `keep`, and what data and Python layers
        made stay. Reading another blob, or its diff, then raises RuntimeError.
        """
        self._running.recompute(keep)

    @alone
    def clear_param_diffs(self) -> None:
        """Zero the derivatives of all learnable parameters; those never touched are zero already."""
        touched = [blob.dx for blob in self.learnable_params if blob._diff.newest is not None]
        if touched:
            torch._foreach_zero_(touched)

    @alone
    def set_input_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Feed a net whose first layer is MemoryData; the arrays are kept, not copied."""
        layer = self.layers[0] if self.layers else None
        if not isinstance(layer, MemoryData):
            raise RuntimeError(
                "set_input_arrays may only be called if the first layer is a MemoryDataLayer"
            )
        layer.set_input_arrays(data, labels)

    def before_forward(self, call: Callable[[int], object]) -> None:
        """Call `call(layer index)` before each layer's forward."""
        self._running.callbacks.add("before_forward", call)

    def after_forward(self, call: Callable[[int], object]) -> None:
        """Call `call(layer index)` after each layer's forward."""
        self._running.callbacks.add("after_forward", call)

    def before_backward(self, call: Callable[[int], object]) -> None:
        """Call `call(layer index)` before each layer's backward."""
        self._running.callbacks.add("before_backward", call)

    def after_backward(self, call: Callable[[int], object]) -> None:
        """Call `call(layer index)` after each layer's backward."""
        self._running.callbacks.add("after_backward", call)
