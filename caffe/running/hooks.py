"""Hooks: what happens before and after each layer of a pass.

A runner calls the hooks of a net in order: callbacks of users, debug output, memory policy.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..glog import error, info, number
from ..topology import Topology

MOMENTS = ("before_forward", "after_forward", "before_backward", "after_backward")


class Hooks:
    """Does nothing; subclasses override what they need. `index` is a layer's position."""

    def begin_forward(self, start: int, end: int) -> None:
        """Called before a pass runs layers start..end forward."""

    def before_forward(self, index: int) -> None:
        """Called before a layer's reshape and forward."""

    def after_forward(self, index: int) -> None:
        """Called after a layer's forward, when its loss has been read."""

    def begin_backward(self, start: int, end: int) -> None:
        """Called before a pass runs layers start..end backward; start is the larger index."""

    def before_backward(self, index: int) -> None:
        """Called before a layer's backward, also where the layer needs none."""

    def after_backward(self, index: int) -> None:
        """Called after a layer's backward, also where the layer needed none."""


class Callbacks(Hooks):
    """What pycaffe's Net.before_forward and its kin have registered."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Callable[[int], object]]] = {moment: [] for moment in MOMENTS}

    def add(self, moment: str, call: Callable[[int], object]) -> None:
        """Register call(layer index) for one of MOMENTS."""
        self.calls[moment].append(call)

    def watch_forward(self) -> bool:
        """Whether any call wants to see each layer's forward."""
        return bool(self.calls["before_forward"] or self.calls["after_forward"])

    def watch(self) -> bool:
        """Whether any call is registered."""
        return any(self.calls.values())

    def before_forward(self, index: int) -> None:
        self._call("before_forward", index)

    def after_forward(self, index: int) -> None:
        self._call("after_forward", index)

    def before_backward(self, index: int) -> None:
        self._call("before_backward", index)

    def after_backward(self, index: int) -> None:
        self._call("after_backward", index)

    def _call(self, moment, index):
        for call in self.calls[moment]:
            call(index)


class DebugInfo(Hooks):
    """Logs what `debug_info: true` asks for: mean magnitudes of blobs and parameters.

    (Net::ForwardDebugInfo, BackwardDebugInfo and UpdateDebugInfo in net.cpp)
    """

    def __init__(self, net: Topology, enabled: bool):
        self.net = net
        self.enabled = enabled

    def after_forward(self, index: int) -> None:
        """Log the layer's tops and parameters."""
        if not self.enabled:
            return
        net, layer = self.net, self.net.layers[index]
        name, specs = layer.layer_param.name, layer.layer_param.param
        for i, blob in zip(net.top_ids[index], net.tops[index]):
            text = f"top blob {net.blob_names[i]} data: {_mean_magnitude(blob.x)}"
            info("net.cpp:591", f"    [Forward] Layer {name}, {text}")
        for i, blob in enumerate(layer.blobs):
            shown = specs[i].name if i < len(specs) and specs[i].name else i
            text = f"param blob {shown} data: {_mean_magnitude(blob.x)}"
            info("net.cpp:603", f"    [Forward] Layer {name}, {text}")

    def after_backward(self, index: int) -> None:
        """Log the diffs of the layer's bottoms and parameters that were computed."""
        net, layer = self.net, self.net.layers[index]
        if not self.enabled or not net.layer_need_backward[index]:
            return
        name, needed = layer.layer_param.name, net.bottom_need_backward[index]
        for i, blob, need in zip(net.bottom_ids[index], net.bottoms[index], needed):
            if need:
                text = f"bottom blob {net.blob_names[i]} diff: {_mean_magnitude(blob.dx)}"
                info("net.cpp:619", f"    [Backward] Layer {name}, {text}")
        for i, blob in enumerate(layer.blobs):
            if layer.param_propagate_down[i]:
                text = f"param blob {i} diff: {_mean_magnitude(blob.dx)}"
                info("net.cpp:630", f"    [Backward] Layer {name}, {text}")

    def log_norms(self) -> None:
        """Log, after a whole backward, the norms over all parameters."""
        blobs = self.net.learnable_params
        sides = [[blob.x for blob in blobs], [blob.dx for blob in blobs]]
        l1 = [number(sum(float(t.abs().sum()) for t in side)) for side in sides]
        l2 = [number(sum(float(t.square().sum()) for t in side) ** 0.5) for side in sides]
        error(
            "net.cpp:676",
            f"    [Backward] All net params (data, diff): L1 norm = ({l1[0]}, {l1[1]}); "
            f"L2 norm = ({l2[0]}, {l2[1]})",
        )


def _mean_magnitude(tensor: torch.Tensor) -> str:
    count = tensor.numel()
    return number(float(tensor.abs().sum()) / count) if count else "nan"
