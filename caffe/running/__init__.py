"""The ways to run a net. `Running` holds those of one net and chooses one for each pass.

| runner | when | what it does |
| --- | --- | --- |
| LayerByLayer | always possible | computes every layer in full; the others must agree with it |
| Grouped | TEST on the CPU, with Reuse | fuses layers that work in place into the one before |
| Incremental | TEST on the CPU | as Grouped, and computes only what changed |
| CudaGraphs | on a GPU, on request | launches a captured pass at once |

A memory policy is a hook of them all: KeepAll, Reuse (TEST) or Recompute (TRAIN).
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Collection, Iterator

from .. import context
from ..blob import Memory
from ..names import did_you_mean
from ..proto import caffe_pb2
from ..topology import Topology
from .cuda_graphs import CudaGraphs
from .groups import Grouped
from .hooks import Callbacks, DebugInfo
from .incremental import Incremental
from .lifetimes import KeepAll
from .memory import MemoryUse
from .out_of_memory import FitCheck, OutOfMemory, explanation, is_out_of_memory
from .recompute import Recompute
from .reuse import Reuse
from .runner import LayerByLayer, Loss, Runner


class Running:
    """Runs the net of a Topology: one runner for each way, the hooks, and the choice among them."""

    def __init__(self, net: Topology, debug_info: bool = False):
        self.net = net
        self.callbacks = Callbacks()
        self.debug = DebugInfo(net, debug_info)
        self.memory_use = MemoryUse(net, KeepAll(net))
        self._set_policy(self.memory_use.policy)

    # ---- the choice

    def choose(self, start: int, end: int) -> Runner:
        """The way to run layers start..end forward."""
        if (start, end) == (0, self.net.last) and self._use_cuda_graphs():
            return self.cuda_graphs
        return self._choose_steps()

    def _choose_steps(self) -> Runner:
        """The way that runs layer by layer, or nearly so."""
        if self.runs_groups():
            return self.groups
        self.groups.forget()  # it does not see what the other computes
        return self.layer_by_layer

    def _use_cuda_graphs(self) -> bool:
        watched = self.debug.enabled or self.callbacks.watch()
        return self.cuda_graphs.applies() and type(self.policy) is KeepAll and not watched

    def runs_groups(self) -> bool:
        """Whether layers that work in place run together with the one before."""
        watched = self.debug.enabled or self.callbacks.watch_forward()
        on_cpu = context.device() == context.CPU
        return self.net.phase == caffe_pb2.TEST and on_cpu and not watched

    # ---- memory policies

    @property
    def policy(self) -> KeepAll:
        """The memory policy in force."""
        return self.memory_use.policy

    def _set_policy(self, policy: KeepAll) -> None:
        net, self.memory_use.policy = self.net, policy
        check = FitCheck(self.memory_use)
        self.layer_by_layer = LayerByLayer(net, [check, self.debug, self.callbacks, policy])
        way = Grouped if isinstance(policy, Reuse) else Incremental
        self.groups = way(net, [check, policy])
        self.cuda_graphs = CudaGraphs(net, self.layer_by_layer)

    def reuse_memory(self, keep: Collection[str] = ()) -> None:
        """Let later maps take over the memory of maps that were read for the last time.

        Raises ValueError for a TRAIN net and for names of no blob.
        """
        if self.net.phase != caffe_pb2.TEST:
            raise ValueError(
                f"net {self.net.name!r} is a TRAIN net, whose backward needs its maps: reuse_memory is "
                "for TEST nets"
            )
        self._check_names(keep)
        policy = Reuse(self.net, keep)
        policy.release_all()
        self._set_policy(policy)

    def recompute(self, keep: Collection[str] = ()) -> None:
        """Compute maps again in backward instead of keeping them.

        Raises ValueError for a TEST net and for names of no blob.
        """
        if self.net.phase != caffe_pb2.TRAIN:
            raise ValueError(
                f"net {self.net.name!r} is a TEST net, which may reuse_memory(): recompute is for TRAIN "
                "nets"
            )
        self._check_names(keep)
        self._set_policy(Recompute(self.net, keep))

    def _check_names(self, names: Collection[str]) -> None:
        known = self.net.blob_names
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known, "; the nearest known is '{}'", cutoff=0)
                raise ValueError(f"no blob {name!r} in net {self.net.name!r}{hint}")

    # ---- passes

    def forward(self, start: int, end: int) -> Loss:
        """Run layers start..end; the loss as `Runner.forward` gives it."""
        self._check_positions(start, end)
        with self.reporting_out_of_memory():
            return self.choose(start, end).forward(start, end)

    def backward(self, start: int, end: int) -> None:
        """Run layers start down to end backward."""
        self._check_positions(start, end)
        with self.reporting_out_of_memory():
            self.layer_by_layer.backward(start, end)

    def _check_positions(self, *positions: int) -> None:
        for position in positions:
            if not 0 <= position <= self.net.last:
                name, last = self.net.name, self.net.last
                raise ValueError(f"net {name!r} has layers 0 to {last}, got layer {position}")

    def forward_backward(self) -> Loss:
        """Run all layers in both directions; the loss as `Runner.forward` gives it."""
        with self.reporting_out_of_memory():
            runner = self.choose(0, self.net.last)
            if runner is self.cuda_graphs:
                return runner.forward_backward()
            loss = runner.forward(0, self.net.last)
            self.layer_by_layer.backward(self.net.last, 0)
            return loss

    def steps(self, start: int, end: int) -> Iterator[int]:
        """Run layers start..end one after the other; yields each layer's index when it is done."""
        return self._choose_steps().steps(start, end)

    @contextlib.contextmanager
    def reporting_out_of_memory(self) -> Iterator[None]:
        """Turns an allocator's error into OutOfMemory, which says what the net needs.

        The memory of the pass that failed is released, so that a smaller picture fits.
        """
        try:
            yield
        except OutOfMemory:  # of a pass that was not begun: its shapes ask for as much memory
            self._release_maps()
            raise
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            text = explanation(self.memory_use)
            traceback.clear_frames(error.__traceback__)  # they hold what the pass allocated
            self._release_maps()
            raise OutOfMemory(text) from error

    def _release_maps(self):
        """Release all maps and their diffs; the next pass allocates them again."""
        net = self.net
        fixed = KeepAll(net).fixed.difference(net.output_ids)
        self.groups.forget()
        if isinstance(self.policy, Reuse):
            self.policy.pool.free.clear()
        for i, blob in enumerate(net.blobs):
            if i in fixed or blob._data.has_views or blob._diff.has_views:
                continue
            blob._data = Memory(0, blob._data.pool)
            if not net.loss_weights[i]:  # which stands in the diff
                blob._diff = Memory(0)
