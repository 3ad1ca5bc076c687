"""CUDA graphs: all kernels of a pass launched at once, for shapes that come again.

A pass of FCN-8s is 150 kernels, and launching each takes the host as long as the smaller ones take the
GPU. Off unless `caffe.set_cuda_graphs(True)` asks for it.

A net's first layers, up to the last one that works on the host (data, Python), run as ever; all behind
them must be of types that launch kernels and do nothing else. What they made Python remember while
they were captured, where maps lie and what layers keep for backward, is put back at every replay, so
that blobs and layers are as after a pass that was computed.
"""

from collections import Counter, OrderedDict

import torch

from .. import context
from ..glog import warning
from ..layer import LAYER_TYPES, Layer
from ..proto import caffe_pb2

CAPTURABLE = {
    "Accuracy", "Bias", "Concat", "Convolution", "Crop", "Deconvolution", "Dropout", "ELU", "Eltwise",
    "EuclideanLoss", "Flatten", "InnerProduct", "PReLU", "Pooling", "Power", "ReLU", "Reshape", "Scale",
    "Sigmoid", "SigmoidCrossEntropyLoss", "Silence", "Slice", "Softmax", "SoftmaxWithLoss", "Split", "TanH",
}  # fmt: skip
# What a layer has from the start; all else may be of the last pass
LASTING = {*vars(Layer(caffe_pb2.LayerParameter(type="ReLU"))), "prepared"}
WARM = 2  # passes of a shape before it is captured: cuDNN chooses, lasting memory is allocated
MOST = 8  # shapes: each keeps all its maps


def capturable(layer):
    return layer.type in CAPTURABLE and type(layer) is LAYER_TYPES[layer.type]


def record(run):
    """(what `run` returned, a function that launches the kernels it launched); they did not run yet."""
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(context.generator())  # Dropout draws anew at every replay
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = run()
    return result, graph.replay


class Graphs:
    """The passes of a net that were captured, by all that their kernels depend on."""

    def __init__(self, net):
        self.net = net
        self.seen = Counter()
        self.captured = OrderedDict()
        self.failed = False
        layers = net.layers
        self.first = next(
            (i + 1 for i in reversed(range(len(layers))) if not capturable(layers[i])), 0
        )
        before, behind = range(self.first), range(self.first, len(layers))
        made = {i for k in before for i in net._top_index[k]}
        read = {i for k in behind for i in net._bottom_index[k]}
        self.inputs = [net._blobs[i] for i in sorted(made & read)]
        self.tops = [net._blobs[i] for i in sorted({i for k in behind for i in net._top_index[k]})]
        self.possible = (
            len(behind) > 0
            and not any(net._layer_need_backward[k] or any(layers[k]._loss_weights) for k in before)
            and not any(i in made for k in behind for i in net._top_index[k])  # in place
        )

    def apply(self) -> bool:
        """Whether a pass over the whole net goes by graphs now."""
        net = self.net
        watched = net.debug_info or net._reuse or any(net._callbacks.values())
        return context.cuda_graphs() and self.possible and not self.failed and not watched

    def run(self, backward):
        """All layers, with `backward` in both directions; the loss as `_forward_unread` gives it."""
        for i in range(self.first):
            self.net.layers[i].reshape(self.net._bottoms[i], self.net._tops[i])
            self.net.layers[i].forward(self.net._bottoms[i], self.net._tops[i])
        shapes = tuple(blob._shape for blob in self.inputs)
        key = backward, shapes, context.precision(), context.device(), context.dtype()
        entry = self.captured.get(key)
        if entry and not entry.holds():
            del self.captured[key]
            self.seen[key] = 0  # an entry that keeps going stale costs more than it saves
            entry = None
        if entry is None:
            self.seen[key] += 1
            if self.seen[key] <= WARM:
                return self.compute(backward)
            entry = self.capture(backward)
            if entry is None:
                return self.compute(backward)
            self.captured[key] = entry
            if len(self.captured) > MOST:
                self.captured.popitem(last=False)
        self.captured.move_to_end(key)
        return entry.replay()

    def compute(self, backward):
        """The captured part of a pass, kernel by kernel."""
        last = len(self.net.layers) - 1
        loss = self.net._forward_each(self.first, last)
        if backward:
            self.net._backward(last, 0)
        return loss

    def capture(self, backward):
        try:
            return Captured(self, backward)
        except (RuntimeError, AssertionError) as error:
            self.failed = True
            warning("graphs:0", f"net {self.net.name!r} runs without CUDA graphs: {error}")
            return None


class Captured:
    """One captured pass: its kernels, where they read and write, and what Python knew behind it."""

    def __init__(self, graphs, backward):
        self.where, self.inputs, net = context.device(), graphs.inputs, graphs.net
        layers = net.layers[graphs.first :]
        params = [blob for layer in layers for blob in layer.blobs]
        self.read = [blob.x.flatten().clone() for blob in self.inputs]  # where the kernels look
        weighted = [
            blob
            for layer, tops in zip(layers, net._tops[graphs.first :])
            for blob, weight in zip(tops, layer._loss_weights)
            if weight
        ]
        sides = [(blob, "_data") for blob in params]
        sides += [(blob, "_diff") for blob in params if backward and blob._diff.newest is not None]
        sides += [(blob, "_diff") for blob in weighted]
        self.fixed = [(blob, name, self.settled(getattr(blob, name))) for blob, name in sides]
        # Weights are turned to bf16 once for many tests, but in every step that changes them
        self.prepared = [layer.prepared for layer in layers if hasattr(layer, "prepared")]
        if backward:
            self.forget()
        self.forms = [dict(prepared.forms) for prepared in self.prepared]  # kept alive
        self.weights = [(blob, blob._data.written()) for blob in params] if any(self.forms) else []
        uploaded = [blob._data.sides[self.where] for blob in self.inputs]
        try:
            for blob, read in zip(self.inputs, self.read):
                blob._data.sides[self.where] = read
            self.loss, self.launch = record(lambda: graphs.compute(backward))
        except BaseException:
            self.forget()  # nothing of it was computed
            raise
        finally:
            for blob, side in zip(self.inputs, uploaded):
                blob._data.sides[self.where] = side
        self.kept = [
            (layer, {k: v for k, v in vars(layer).items() if k not in LASTING}) for layer in layers
        ]
        theirs = {id(blob._data): i for i, blob in enumerate(self.inputs)}  # Split's tops, for one
        self.tops = [
            (blob, blob._shape, blob._count, blob._capacity, blob._data, blob._diff)
            + (theirs.get(id(blob._data)),)
            for blob in graphs.tops
        ]
        known = {id(getattr(blob, name)) for blob, name, _ in self.fixed} | set(theirs)
        memories = {id(m): m for blob in graphs.tops for m in (blob._data, blob._diff)}
        self.made = [
            (memory, memory.sides[self.where])
            for key, memory in memories.items()
            if key not in known and memory.newest == self.where
        ]

    def forget(self):
        for prepared in self.prepared:
            prepared.forget()

    def settled(self, memory):
        """The memory's side on the device, which is made the newest."""
        memory.tensor(0, self.where)
        return memory, memory.sides[self.where]

    def holds(self) -> bool:
        """Whether what the kernels read still lies where it lay: host writes, for one, move it."""
        return all(
            getattr(blob, name) is memory
            and memory.newest == self.where
            and memory.sides[self.where] is side
            for blob, name, (memory, side) in self.fixed
        ) and all(blob._data.written() == written for blob, written in self.weights)

    def replay(self):
        for blob, read in zip(self.inputs, self.read):
            read.copy_(blob.x.view(-1))
        self.launch()
        for blob, shape_, count, capacity, data, diff, shared in self.tops:
            blob._shape, blob._count, blob._capacity = shape_, count, capacity
            blob._data = data if shared is None else self.inputs[shared]._data
            blob._diff = diff
        for memory, side in self.made:
            memory.hold(side, self.where)
        for layer, attributes in self.kept:
            vars(layer).update(attributes)
        return self.loss.clone() if isinstance(self.loss, torch.Tensor) else self.loss
