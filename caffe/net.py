"""Net: layers joined by named blobs, built from a prototxt (src/caffe/net.cpp, python/caffe/pycaffe.py)."""

import difflib
import os
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np
import torch

from . import context
from .blob import BlobVec, BoolVec, RawBlobVec
from .build import Builder
from .files import read, weights
from .proto import caffe_pb2
from .running import debug_info
from .running.cuda_graphs import Graphs
from .running.incremental import Changes
from .running.memory import check, explains
from .running.sparing import Recompute, Reuse


class LayerVec(list):
    """A net's layers, in file order."""


class Fetched(Mapping):
    """name -> array, fetched from the device when asked for: who needs one score waits for no other."""

    def __init__(self, net, names, side):
        self._net, self._names, self._side = net, names, side

    def __getitem__(self, name):
        if name not in self._names:
            raise KeyError(name)
        self._net._raise_put_off()
        return getattr(self._net.blobs[name], self._side)

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)

    def __repr__(self):
        return repr(dict(self))


class Net:
    """A net of one phase, with pycaffe's interface.

    `blobs`, `params`, `layer_dict`, `top_names`, `bottom_names` and `blob_loss_weights` map names in
    the net's order; `inputs` and `outputs` are lists of blob names.
    """

    def __init__(self, network_file, *args, **kwargs):
        """Net(network_file, phase, level=0, stages=None, weights=None), or the older
        Net(network_file, weights_file, phase).

        Raises RuntimeError for files that are not there, ValueError for whatever does not fit.
        """
        if len(args) == 2 and isinstance(args[0], (str, os.PathLike)) and not kwargs:
            args, kwargs = (args[1],), {"weights": args[0]}
        self._open(network_file, *args, **kwargs)

    def _open(self, network_file, phase, level=0, stages=None, weights=None):
        for path in (network_file, weights):
            if path is not None and not os.path.isfile(path):
                raise RuntimeError(f"Could not open file {path}")
        param = read.read_net(network_file)
        # The constructor's phase and level replace those of the file's state; its stages are added.
        param.state.phase = phase
        param.state.level = level
        param.state.stage.extend(stages or ())
        self._build(param, os.path.dirname(os.path.abspath(network_file)))
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, param, folder=None):
        """A net from an upgraded NetParameter, whose state is used as it is."""
        net = cls.__new__(cls)
        net._build(param, folder)
        return net

    def _build(self, param, folder):
        built = Builder(param, folder)
        self.name = param.name
        self.phase = param.state.phase
        self.debug_info = param.debug_info
        self.layers = LayerVec(built.layers)
        self._layer_names = [layer.layer_param.name for layer in built.layers]
        self._blobs = BlobVec(built.blobs)
        self._blob_names = built.blob_names
        self._bottoms = [RawBlobVec(self._blobs[i] for i in ids) for ids in built.bottom_ids]
        self._tops = [RawBlobVec(self._blobs[i] for i in ids) for ids in built.top_ids]
        self._bottom_index = built.bottom_ids
        self._top_index = built.top_ids
        self._inputs = built.input_ids
        self._outputs = built.output_ids
        self._blob_loss_weights = built.blob_loss_weights
        self._bottom_need_backward = [BoolVec(flags) for flags in built.bottom_need_backward]
        self._layer_need_backward = built.layer_need_backward
        self.learnable_params = built.learnable_params
        self.params_lr = [1.0 if v is None else v for v in built.params_lr]
        self.params_weight_decay = [1.0 if v is None else v for v in built.params_weight_decay]
        self._shared_params = built.shared_params
        self._callbacks = {
            key: []
            for key in ("before_forward", "after_forward", "before_backward", "after_backward")
        }
        names = self._blob_names
        self.blobs = OrderedDict(zip(names, self._blobs))
        self.blob_loss_weights = OrderedDict(zip(names, self._blob_loss_weights))
        self.layer_dict = OrderedDict(zip(self._layer_names, self.layers))
        self.params = OrderedDict(
            (name, layer.blobs)
            for name, layer in zip(self._layer_names, self.layers)
            if len(layer.blobs)
        )
        self.top_names, self.bottom_names = (
            OrderedDict(
                (name, [names[i] for i in ids]) for name, ids in zip(self._layer_names, index)
            )
            for index in (self._top_index, self._bottom_index)
        )
        self._reuse = None  # Reuse or Recompute, where asked for
        self._histories = 0  # of a net that a solver trains: how many it keeps a parameter
        self._checked = None
        self._changes = Changes(self)
        self._graphs = Graphs(self)
        self.inputs = [names[i] for i in self._inputs]
        self.outputs = [names[i] for i in self._outputs]

    # ---- running

    def _forward(self, start: int, end: int) -> float:
        """Run layers start..end; the sum over weighted tops of value times weight."""
        loss = float(self._forward_unread(start, end))
        self._raise_put_off()
        return loss

    @explains
    def _forward_unread(self, start: int, end: int):
        """`_forward` without waiting for the device: the loss is a tensor there, if there is any."""
        if (start, end) == (0, len(self.layers) - 1) and self._graphs.apply():
            return self._graphs.run(backward=False)
        return self._forward_each(start, end)

    def _forward_each(self, start, end):
        loss = 0.0
        for i in self._run(start, end):
            for blob, weight in zip(self._tops[i], self.layers[i]._loss_weights):
                if weight:
                    # The weight is read from the diff, where it was written when the net was built.
                    loss = loss + torch.dot(blob.x.view(-1), blob.dx.view(-1)).double()
        return loss

    @explains
    def _forward_backward_unread(self):
        """Both directions over all layers; the loss as `_forward_unread` gives it."""
        if self._graphs.apply():
            return self._graphs.run(backward=True)
        last = len(self.layers) - 1
        loss = self._forward_each(0, last)
        self._backward(last, 0)
        return loss

    def _raise_put_off(self):
        """Raise what layers found in values on the device and put off; waits for the device."""
        for layer in self.layers:
            layer._raise_put_off()

    def _run(self, start, end):
        """Bring the tops of layers start..end up to date, yielding each layer's position."""
        watched = self.debug_info or any(
            self._callbacks[key] for key in ("before_forward", "after_forward")
        )
        check(self)
        if self._reuse:
            self._reuse.begin(start, end)
        if self.phase == caffe_pb2.TEST and context.device() == context.CPU and not watched:
            for i in self._changes.forward(start, end):
                yield i
                self._ran(i)
        else:
            self._changes.forget()
            yield from self._run_all(start, end)

    def _ran(self, index):
        """A layer's forward is done, and all who watch it have seen its tops."""
        if self._reuse:
            self._reuse.after_forward(index)

    def _run_all(self, start, end):
        """Layer by layer, each in full."""
        for i in range(start, end + 1):
            for call in self._callbacks["before_forward"]:
                call(i)
            layer, bottom, top = self.layers[i], self._bottoms[i], self._tops[i]
            layer.reshape(bottom, top)
            if self._reuse:
                self._reuse.before_forward(i)
            layer.forward(bottom, top)
            yield i
            if self.debug_info:
                debug_info.forward(self, i)
            for call in self._callbacks["after_forward"]:
                call(i)
            self._ran(i)

    @explains
    def _backward(self, start: int, end: int):
        """Run layers start..end, in falling order."""
        if self._reuse:
            self._reuse.begin_backward(start, end)
        for i in range(start, end - 1, -1):
            for call in self._callbacks["before_backward"]:
                call(i)
            if self._layer_need_backward[i]:
                layer = self.layers[i]
                if self._reuse:
                    self._reuse.before_backward(i)
                layer.backward(self._tops[i], self._bottom_need_backward[i], self._bottoms[i])
                if self.debug_info:
                    debug_info.backward(self, i)
            for call in self._callbacks["after_backward"]:
                call(i)
            if self._reuse:
                self._reuse.after_backward(i)

    def _bottom_ids(self, index: int) -> list[int]:
        """Positions in `_blobs` of a layer's bottoms, as pycaffe has it."""
        return self._bottom_index[index]

    def _top_ids(self, index: int) -> list[int]:
        """Positions in `_blobs` of a layer's tops."""
        return self._top_index[index]

    def _position(self, name: str) -> int:
        if name not in self._layer_names:
            near = difflib.get_close_matches(name, self._layer_names, 1, 0)
            hint = f"; the nearest known is {near[0]!r}" if near else ""
            raise ValueError(f"no layer {name!r} in net {self.name!r}{hint}")
        return self._layer_names.index(name)

    def forward(self, blobs=None, start=None, end=None, **kwargs):
        """Run the net, or its layers from `start` to `end` (names), and return {name: array}.

        Keyword arguments are the inputs' values, all of them; `blobs` names further blobs to return.
        The arrays are views of the blobs: the next pass overwrites them.
        """
        first = 0 if start is None else self._position(start)
        last = len(self.layers) - 1 if end is None else self._position(end)
        named = self.outputs if end is None else self.top_names[end]
        outputs = set(named) | set(blobs or ())
        if kwargs:
            self._fill(kwargs, self.inputs, "data", "Input blob arguments do not match net inputs.")
        if self._reuse:
            self._reuse.asked = outputs
        self._forward_unread(first, last)
        return self._arrays(outputs, "data")

    def backward(self, diffs=None, start=None, end=None, **kwargs):
        """Run backward from layer `start` down to `end` (names), and return {name: diff array}.

        Keyword arguments are diffs of the outputs; `diffs` names further blobs to return. Parameter
        diffs are added to: `clear_param_diffs` zeroes them.
        """
        first = len(self.layers) - 1 if start is None else self._position(start)
        last = 0 if end is None else self._position(end)
        named = self.inputs if end is None else self.bottom_names[end]
        outputs = set(named) | set(diffs or ())
        if kwargs:
            self._fill(kwargs, self.outputs, "diff", "Top diff arguments do not match net outputs.")
        if self._reuse:
            self._reuse.asked = outputs
        self._backward(first, last)
        return self._arrays(outputs, "diff")

    def _arrays(self, names, side):
        if context.is_apart():
            return Fetched(self, names, side)
        return {name: getattr(self.blobs[name], side) for name in names}

    def _fill(self, arrays, names, side, mismatch):
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

    def forward_all(self, blobs=None, **kwargs):
        """Run the net over any number of inputs, in batches, and return the outputs joined."""
        joined = {name: [] for name in set(self.outputs) | set(blobs or ())}
        for batch in self._batch(kwargs):
            for name, array in self.forward(blobs=blobs, **batch).items():
                joined[name].extend(array.copy())
        return self._unpadded(joined, kwargs)

    def forward_backward_all(self, blobs=None, diffs=None, **kwargs):
        """`forward_all`, followed by backward on every batch: (all outputs, all diffs)."""
        all_outs = {name: [] for name in set(self.outputs) | set(blobs or ())}
        all_diffs = {name: [] for name in set(self.inputs) | set(diffs or ())}
        forwards = self._batch({k: v for k, v in kwargs.items() if k in self.inputs})
        backwards = self._batch({k: v for k, v in kwargs.items() if k in self.outputs})
        for values in forwards:
            outs = self.forward(blobs=blobs, **values)
            grads = self.backward(diffs=diffs, **next(backwards, {}))
            for name, array in outs.items():
                all_outs[name].extend(array.copy())
            for name, array in grads.items():
                all_diffs[name].extend(array.copy())
        return self._unpadded(all_outs, kwargs), self._unpadded(all_diffs, kwargs)

    def _batch(self, arrays):
        """The arrays in slices of the net's batch size; the last is padded with zeros."""
        count = len(next(iter(arrays.values()), ()))
        size = next(iter(self.blobs.values())).num
        for at in range(0, count, size):
            batch = {name: np.asarray(array)[at : at + size] for name, array in arrays.items()}
            short = size - min(size, count - at)
            yield {
                name: np.concatenate([part, np.zeros((short,) + part.shape[1:])]) if short else part
                for name, part in batch.items()
            }

    @staticmethod
    def _unpadded(joined, given):
        count = len(next(iter(given.values()), ()))
        return {name: np.asarray(rows[:count] if count else rows) for name, rows in joined.items()}

    def reshape(self):
        """Let every layer adapt its tops to its bottoms, as the next forward would."""
        for layer, bottom, top in zip(self.layers, self._bottoms, self._tops):
            layer.reshape(bottom, top)

    def reuse_memory(self, keep=()):
        """Let maps, once they are read for the last time, give their memory to later ones.

        For TEST nets; inputs, outputs, the blobs named in `keep`, and what Python layers made stay.
        Reading another blob raises RuntimeError then, as backward does. Every forward computes all.
        """
        if self.phase != caffe_pb2.TEST:
            raise ValueError(
                f"net {self.name!r} is a TRAIN net, whose backward needs its maps: reuse_memory is for "
                "TEST nets"
            )
        self._reuse = Reuse(self, self._known_blobs(keep))
        self._reuse.start()
        self._changes = Changes(self)

    def recompute(self, keep=()):
        """Compute maps again in backward instead of keeping them: less memory, a third more time, the
        very same gradients.

        For TRAIN nets; inputs, outputs, the blobs named in `keep`, and what data and Python layers made
        stay. Reading another blob, or its diff, raises RuntimeError then.
        """
        if self.phase != caffe_pb2.TRAIN:
            raise ValueError(
                f"net {self.name!r} is a TEST net, which may reuse_memory(): recompute is for TRAIN nets"
            )
        self._reuse = Recompute(self, self._known_blobs(keep))

    def _known_blobs(self, names):
        for name in names:
            if name not in self.blobs:
                near = difflib.get_close_matches(name, self._blob_names, 1, 0)
                hint = f"; the nearest known is {near[0]!r}" if near else ""
                raise ValueError(f"no blob {name!r} in net {self.name!r}{hint}")
        return set(names)

    def clear_param_diffs(self):
        """Zero the derivatives of all learnable parameters; those never touched are zero already."""
        touched = [blob.dx for blob in self.learnable_params if blob._diff.newest is not None]
        if touched:
            torch._foreach_zero_(touched)

    def set_input_arrays(self, data, labels):
        """Feed a net whose first layer is MemoryData; the arrays are kept, not copied."""
        layer = self.layers[0] if self.layers else None
        if layer is None or layer.type != "MemoryData":
            raise RuntimeError(
                "set_input_arrays may only be called if the first layer is a MemoryDataLayer"
            )
        layer.set_input_arrays(data, labels)

    def before_forward(self, call):
        """Call `call(layer index)` before each layer's forward."""
        self._callbacks["before_forward"].append(call)

    def after_forward(self, call):
        """Call `call(layer index)` after each layer's forward."""
        self._callbacks["after_forward"].append(call)

    def before_backward(self, call):
        """Call `call(layer index)` before each layer's backward."""
        self._callbacks["before_backward"].append(call)

    def after_backward(self, call):
        """Call `call(layer index)` after each layer's backward."""
        self._callbacks["after_backward"].append(call)

    # ---- weights

    def copy_from(self, path):
        """Load weights by layer name from a caffemodel (of any age) or an HDF5 file.

        Layers of the file that the net lacks are skipped. Raises RuntimeError when there is no such
        file, ValueError for a corrupt one or blobs that do not fit; then nothing was changed.
        """
        weights.load(self.layers, self._shared_params, path)

    def load_hdf5(self, path):
        """Load weights by layer name from an HDF5 file; errors as `copy_from`."""
        weights.load_hdf5(self.layers, self._shared_params, path)

    def share_with(self, other):
        """Use `other`'s weights, in the same memory, for all layers of equal name."""
        weights.share(self.layers, other.layers)

    def save(self, path, write_diff=False):
        """Write the weights, and each layer's definition, as a binary caffemodel."""
        weights.save(self.layers, self.name, path, write_diff)

    def save_hdf5(self, path, write_diff=False):
        """Write the weights as HDF5; weights shared by name once."""
        weights.save_hdf5(self.layers, self._shared_params, path, write_diff)
