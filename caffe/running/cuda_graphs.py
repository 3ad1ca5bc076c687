"""CudaGraphs: all kernels of a pass launched at once, for shapes that come again.

A pass of FCN-8s is 150 kernels, and launching each takes the host as long as the smaller ones take the
GPU. Off unless `caffe.set_cuda_graphs(True)` asks for it.

A net's first layers, up to the last one that works on the host (data, Python), run layer by layer; all
behind them must declare `capturable`. What Python remembers of a pass, where maps lie and what layers
save for backward, is put back at every replay, so that blobs and layers are as after a computed pass.
"""

from __future__ import annotations

from collections import Counter

import torch

from .. import context
from ..blob import Blob, Memory
from ..glog import warning
from ..layer import Layer, declares
from ..proto import caffe_pb2
from ..topology import Topology
from .capture import record
from .runner import LayerByLayer, Loss, Runner

# Attributes that a layer has from the start; all others may belong to the last pass
LASTING = set(vars(Layer(caffe_pb2.LayerParameter(type="ReLU"))))
WARM_UP = 2  # passes of a shape before it is captured: cuDNN chooses, lasting memory is allocated
MOST_SHAPES = 8  # that are kept: each has its own maps
# A shape takes the place of another if it came so many times as often: captures are rare that way,
# however many sizes pictures have
OFTENER = 2


class CudaGraphs(Runner):
    """Runs whole passes of a net, captured once for everything that their kernels depend on."""

    def __init__(self, net: Topology, layer_by_layer: LayerByLayer):
        super().__init__(net)
        self.layer_by_layer = layer_by_layer
        self.seen: Counter = Counter()
        self.captured: dict[tuple, Captured] = {}
        self.failed = False
        layers = net.layers
        # index of the first captured layer
        self.first = next(
            (i + 1 for i in range(net.last, -1, -1) if not declares(layers[i], "capturable")), 0
        )
        before, behind = range(self.first), range(self.first, len(layers))
        made = {i for k in before for i in net.top_ids[k]}
        read = {i for k in behind for i in net.bottom_ids[k]}
        self.inputs = [net.blobs[i] for i in sorted(made & read)]
        self.tops = [net.blobs[i] for i in sorted({i for k in behind for i in net.top_ids[k]})]
        self.possible = (
            len(behind) > 0
            and not any(net.layer_need_backward[k] or any(layers[k]._loss_weights) for k in before)
            and not any(i in made for k in behind for i in net.top_ids[k])  # in place
        )

    def applies(self) -> bool:
        """Whether this net's passes can be captured and were not found to fail."""
        return context.cuda_graphs() and self.possible and not self.failed

    def forward(self, start: int, end: int) -> Loss:
        """Run all layers forward; start and end must be the first and the last."""
        return self._run(backward=False)

    def forward_backward(self) -> Loss:
        return self._run(backward=True)

    def _run(self, backward):
        net = self.net
        for i in range(self.first):
            net.layers[i].reshape(net.bottoms[i], net.tops[i])
            net.layers[i].forward(net.bottoms[i], net.tops[i])
        shapes = tuple(blob._shape for blob in self.inputs)
        key = backward, shapes, context.precision(), context.device(), context.dtype()
        entry = self.captured.get(key)
        if entry and not entry.is_valid():
            del self.captured[key]
            self.seen[key] = 0  # an entry that keeps going stale costs more than it saves
            entry = None
        self.seen[key] += 1
        if entry is None:
            if self.seen[key] <= WARM_UP or not self._make_room(key):
                return self.compute(backward)
            entry = self._capture(backward)
            if entry is None:
                return self.compute(backward)
            self.captured[key] = entry
        return entry.replay()

    def _make_room(self, key):
        """Whether a shape may be captured; drops the rarest one if there are too many."""
        if len(self.captured) < MOST_SHAPES:
            return True
        rarest = min(self.captured, key=self.seen.__getitem__)
        if self.seen[key] < OFTENER * self.seen[rarest]:
            return False
        del self.captured[rarest]
        return True

    def compute(self, backward: bool) -> Loss:
        """Run the captured part of a pass kernel by kernel."""
        loss = self.layer_by_layer.forward(self.first, self.net.last)
        if backward:
            self.layer_by_layer.backward(self.net.last, 0)
        return loss

    def _capture(self, backward):
        try:
            return Captured(self, backward)
        except (RuntimeError, AssertionError) as error:
            self.failed = True
            warning("graphs:0", f"net {self.net.name!r} runs without CUDA graphs: {error}")
            return None


class Captured:
    """One captured pass: its kernels, the memory they use, and what Python remembers of the pass."""

    def __init__(self, graphs: CudaGraphs, backward: bool):
        self.where, self.inputs, net = context.device(), graphs.inputs, graphs.net
        layers = net.layers[graphs.first :]
        params = [blob for layer in layers for blob in layer.blobs]
        # where the kernels read the inputs
        self.input_sides = [blob.x.flatten().clone() for blob in self.inputs]
        weighted = [
            blob
            for layer, tops in zip(layers, net.tops[graphs.first :])
            for blob, weight in zip(tops, layer._loss_weights)
            if weight
        ]
        sides = [(blob, "_data") for blob in params]
        sides += [(blob, "_diff") for blob in params if backward and blob._diff.newest is not None]
        sides += [(blob, "_diff") for blob in weighted]
        self.fixed = [(blob, name, *self._settled(getattr(blob, name))) for blob, name in sides]
        # weights are turned to bf16 once for many tests, but in every step that changes them
        self.converted = [c for layer in layers for c in layer.converted_parameters()]
        if backward:
            self._forget_converted()
        self.forms = [dict(converted.forms) for converted in self.converted]  # kept alive
        self.weights = (
            [(blob, blob._data.version_despite_views()) for blob in params]
            if any(self.forms)
            else []
        )
        uploaded = [blob._data.sides[self.where] for blob in self.inputs]
        try:
            for blob, side in zip(self.inputs, self.input_sides):
                blob._data.sides[self.where] = side
            self.loss, self.launch = record(lambda: graphs.compute(backward))
        except BaseException:
            self._forget_converted()  # nothing of it was computed
            raise
        finally:
            for blob, side in zip(self.inputs, uploaded):
                blob._data.sides[self.where] = side
        self._remember(layers, graphs.tops)

    def _settled(self, memory: Memory) -> tuple[Memory, torch.Tensor]:
        """The memory and its side on the device, which is made the newest."""
        memory.tensor(0, self.where)
        return memory, memory.sides[self.where]

    def _forget_converted(self):
        for converted in self.converted:
            converted.forget()

    def _remember(self, layers: list[Layer], tops: list[Blob]) -> None:
        """Note where the maps lie and what the layers save, for `replay`."""
        self.attributes = [
            (layer, {k: v for k, v in vars(layer).items() if k not in LASTING}) for layer in layers
        ]
        # tops in the memory of an input, as Split's are
        input_of = {id(blob._data): i for i, blob in enumerate(self.inputs)}
        self.tops = [
            (blob, blob._shape, blob._count, blob._capacity, blob._data, blob._diff)
            + (input_of.get(id(blob._data)),)
            for blob in tops
        ]
        known = {id(memory) for _, _, memory, _ in self.fixed} | set(input_of)
        memories = {id(m): m for blob in tops for m in (blob._data, blob._diff)}
        self.made = [
            (memory, memory.sides[self.where])
            for key, memory in memories.items()
            if key not in known and memory.newest == self.where
        ]

    def is_valid(self) -> bool:
        """Whether what the kernels read still lies where it lay: host writes, for one, move it."""
        return all(
            getattr(blob, name) is memory
            and memory.newest == self.where
            and memory.sides[self.where] is side
            for blob, name, memory, side in self.fixed
        ) and all(blob._data.version_despite_views() == written for blob, written in self.weights)

    def replay(self) -> Loss:
        """Launch the kernels and put back what Python remembers; the loss, in memory of its own."""
        for blob, side in zip(self.inputs, self.input_sides):
            side.copy_(blob.x.view(-1))
        self.launch()
        for blob, shape, count, capacity, data, diff, shared in self.tops:
            blob._shape, blob._count, blob._capacity = shape, count, capacity
            blob._data = data if shared is None else self.inputs[shared]._data
            blob._diff = diff
        for memory, side in self.made:
            memory.adopt(side, self.where)
        for layer, attributes in self.attributes:
            vars(layer).update(attributes)
        return self.loss.clone() if isinstance(self.loss, torch.Tensor) else self.loss
