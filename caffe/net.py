"""Net: layers joined by named blobs, built from a prototxt (src/caffe/net.cpp, python/caffe/pycaffe.py)."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from . import context
from .arrays import LazyArrays, copied, count_of, join, split
from .blob import Blob, BlobVec
from .build import build
from .files import read, weights
from .files.paths import Path, require_file
from .files.stored import CopyReport
from .layers.input import MemoryData
from .names import did_you_mean
from .proto import caffe_pb2
from .running import Running
from .running.runner import Loss


class LayerVec(list[Any]):
    """A net's layers, in file order; a Python layer's class may have any attributes."""


class Net:
    """A net of one phase, with pycaffe's interface.

    `blobs`, `params`, `layer_dict`, `top_names`, `bottom_names` and `blob_loss_weights` map names in
    the net's order; `inputs` and `outputs` are lists of blob names.
    """

    def __init__(self, network_file: Path, *args: Any, **kwargs: Any):
        """Net(network_file, phase, level=0, stages=None, weights=None), or the older
        Net(network_file, weights_file, phase).

        Raises RuntimeError for a file that is not there, ValueError for whatever does not fit.
        """
        if len(args) == 2 and isinstance(args[0], (str, os.PathLike)) and not kwargs:
            args, kwargs = (args[1],), {"weights": args[0]}
        self._open(network_file, *args, **kwargs)

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

        Python layers' modules are looked for in `folder` first.
        """
        net = cls.__new__(cls)
        net._build(param, folder)
        return net

    def _build(self, param: caffe_pb2.NetParameter, folder: str | None) -> None:
        net = self._topology = build(param, folder)
        self._running = Running(net, param.debug_info)
        self.name = net.name
        self.phase = net.phase
        self.layers = LayerVec(net.layers)
        self.learnable_params = net.learnable_params
        self.params_lr = [1.0 if v is None else v for v in net.params_lr]
        self.params_weight_decay = [1.0 if v is None else v for v in net.params_weight_decay]
        names, layer_names = net.blob_names, net.layer_names
        self.blobs: OrderedDict[str, Blob] = OrderedDict(zip(names, net.blobs))
        self.blob_loss_weights = OrderedDict(zip(names, net.loss_weights))
        self.layer_dict = OrderedDict(zip(layer_names, self.layers))
        self.params: OrderedDict[str, BlobVec] = OrderedDict(
            (name, layer.blobs) for name, layer in zip(layer_names, net.layers) if len(layer.blobs)
        )
        self.top_names, self.bottom_names = (
            OrderedDict(
                (name, [names[i] for i in of_layer]) for name, of_layer in zip(layer_names, ids)
            )
            for ids in (net.top_ids, net.bottom_ids)
        )
        self.inputs = [names[i] for i in net.input_ids]
        self.outputs = [names[i] for i in net.output_ids]

    # ---- what pycaffe's scripts reach for

    @property
    def _blobs(self) -> BlobVec:
        return self._topology.blobs

    @property
    def _blob_names(self) -> list[str]:
        return self._topology.blob_names

    @property
    def _layer_names(self) -> list[str]:
        return self._topology.layer_names

    @property
    def _inputs(self) -> list[int]:
        return self._topology.input_ids

    @property
    def _outputs(self) -> list[int]:
        return self._topology.output_ids

    def _bottom_ids(self, index: int) -> list[int]:
        """Positions in `_blobs` of a layer's bottoms."""
        return self._topology.bottom_ids[index]

    def _top_ids(self, index: int) -> list[int]:
        """Positions in `_blobs` of a layer's tops."""
        return self._topology.top_ids[index]

    @property
    def debug_info(self) -> bool:
        """Whether passes log mean magnitudes of blobs and parameters."""
        return self._running.debug.enabled

    @debug_info.setter
    def debug_info(self, on: bool) -> None:
        self._running.debug.enabled = on

    # ---- running

    def _forward(self, start: int, end: int) -> float:
        """Run layers start..end; the sum over weighted tops of value times loss weight."""
        loss = float(self._forward_async(start, end))
        self._raise_deferred()
        return loss

    def _forward_async(self, start: int, end: int) -> Loss:
        """`_forward` without waiting for a GPU: the loss is a tensor there, or 0.0."""
        return self._running.forward(start, end)

    def _forward_backward_async(self) -> Loss:
        """Run all layers in both directions, without waiting for a GPU; the loss."""
        return self._running.forward_backward()

    def _raise_deferred(self) -> None:
        """Raise the errors that layers found in values on a GPU; waits for the GPU."""
        for layer in self.layers:
            layer.raise_deferred()

    def _backward(self, start: int, end: int) -> None:
        """Run layers start..end backward, in falling order."""
        self._running.backward(start, end)

    def _position(self, name: str) -> int:
        names = self._layer_names
        if name not in names:
            hint = did_you_mean(name, names, "; the nearest known is '{}'", cutoff=0)
            raise ValueError(f"no layer {name!r} in net {self.name!r}{hint}")
        return names.index(name)

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
        outputs = set(named) | set(blobs or ())
        if kwargs:
            self._fill(kwargs, self.inputs, "data", "Input blob arguments do not match net inputs.")
        self._running.policy.returned = outputs
        self._forward_async(first, last)
        return self._arrays(outputs, "data")

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
        outputs = set(named) | set(diffs or ())
        if kwargs:
            self._fill(kwargs, self.outputs, "diff", "Top diff arguments do not match net outputs.")
        self._running.policy.returned = outputs
        self._backward(first, last)
        return self._arrays(outputs, "diff")

    def _arrays(self, names: Collection[str], side: str) -> Mapping[str, np.ndarray]:
        if context.on_gpu():
            return LazyArrays(
                names, self._raise_deferred, lambda name: getattr(self.blobs[name], side)
            )
        return {name: getattr(self.blobs[name], side) for name in names}

    def _fill(
        self, arrays: Mapping[str, np.ndarray], names: Sequence[str], side: str, mismatch: str
    ) -> None:
        if set(arrays) != set(names):
            raise KeyError(f"{mismatch} Got {sorted(arrays)}, the net has {sorted(names)}.")
        for name, array in arrays.items():
            blob = self.blobs[name]
            if array.shape[0] != blob.shape[0]:
                kind = "Input" if side == "data" else "Diff"
                raise ValueError(
                    f"{kind} is not batch sized: '{name}' got {array.shape[0]} along its first axis, "
                    f"the blob has {blob.shape[0]}; blobs['{name}'].reshape(...) changes that"
                )
            getattr(blob, side)[...] = array

    def forward_all(
        self, blobs: Iterable[str] | None = None, **kwargs: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Run the net over any number of inputs, in batches, and return the outputs joined."""
        names, batches = set(self.outputs) | set(blobs or ()), self._batches(kwargs)
        passes = (self.forward(blobs=blobs, **batch) for batch in batches)
        return join(names, passes, count_of(kwargs))

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

    def reshape(self) -> None:
        """Let every layer adapt its tops to its bottoms, as the next forward would."""
        for layer, bottom, top in zip(self.layers, self._topology.bottoms, self._topology.tops):
            layer.reshape(bottom, top)

    def reuse_memory(self, keep: Collection[str] = ()) -> None:
        """Let later maps take over the memory of maps that were read for the last time.

        For TEST nets; inputs, outputs, the blobs named in `keep`, and what Python layers made stay.
        Reading another blob then raises RuntimeError, as backward does. Every forward computes all.
        """
        self._running.reuse_memory(keep)

    def recompute(self, keep: Collection[str] = ()) -> None:
        """Compute maps again in backward instead of keeping them: less memory, a third more time, the
        same gradients bit for bit (on a GPU under `torch.backends.cudnn.deterministic`).

        For TRAIN nets; inputs, outputs, the blobs named in `keep`, and what data and Python layers
        made stay. Reading another blob, or its diff, then raises RuntimeError.
        """
        self._running.recompute(keep)

    def clear_param_diffs(self) -> None:
        """Zero the derivatives of all learnable parameters; those never touched are zero already."""
        touched = [blob.dx for blob in self.learnable_params if blob._diff.newest is not None]
        if touched:
            torch._foreach_zero_(touched)

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

    # ---- weights

    def copy_from(self, path: Path, report: bool = False) -> CopyReport | None:
        """Load weights by layer name from a caffemodel (of any age) or an HDF5 file.

        Layers of the file that the net lacks are skipped; with `report`, what was copied, coerced to
        another shape, missing and ignored is returned. Raises RuntimeError when there is no such file,
        ValueError for a corrupt one or blobs that do not fit; then nothing was changed.
        """
        done = weights.load(self.layers, self._topology.shared_params, path)
        return done if report else None

    def load_hdf5(self, path: Path) -> None:
        """Load weights by layer name from an HDF5 file; errors as `copy_from`."""
        weights.load_hdf5(self.layers, self._topology.shared_params, path)

    def share_with(self, other: Net) -> None:
        """Use `other`'s weights, in the same memory, for all layers of equal name."""
        weights.share(self.layers, other.layers)

    def save(self, path: Path, write_diff: bool = False) -> None:
        """Write the weights, and each layer's definition, as a binary caffemodel."""
        weights.save(self.layers, self.name, path, write_diff)

    def save_hdf5(self, path: Path, write_diff: bool = False) -> None:
        """Write the weights as HDF5; weights shared by name once."""
        weights.save_hdf5(self.layers, self._topology.shared_params, path, write_diff)
