"""Solvers that train together: pycaffe's NCCL (src/caffe/parallel.cpp, tools/caffe.cpp).

Each solver takes its own pictures, and gradients are averaged over all before every update, so that
N of them make the steps of one with iter_size N. Snapshots, tests and displays are the first's.
"""

from __future__ import annotations

import hashlib
import socket
from typing import Any

import torch

from . import context, workers
from .blob import Blob

BUCKET = 25 << 20  # bytes of gradients that travel together
_OWN = ("random_seed", "device_id", "snapshot_prefix")  # what each solver may have of its own
_STOP, _SNAPSHOT = 1000, 1  # requests of all workers are added up


class NCCL:
    """Joins a solver to the others, by NCCL on GPUs and by Gloo on CPUs.

    As pycaffe's: `nccl.bcast()`, then `solver.add_callback(nccl)`; `solver.net.after_backward(nccl)`
    lets gradients travel while those below are computed. `bf16` halves their bytes.
    """

    def __init__(self, solver: Any, uid: bytes | str | None = None, *, bf16: bool = False) -> None:
        """`uid` is of `new_uid`, the same for all; None for the group that this process belongs to.

        Raises ValueError if the nets or solvers differ, workers.WorkerLost if one does not come.
        """
        if uid is None:
            self.group = workers.join()
        else:
            url = uid.decode() if isinstance(uid, bytes) else uid
            self.group = workers.join(url, workers.solver_rank(), workers.solver_count())
        self.solver, self.bf16 = solver, bf16
        self.group.require_same("the net or the solver", _digest(solver))
        self.buckets = _buckets(solver.net) if self.group.count > 1 else []
        self._pass = 0  # of the iter_size passes of an iteration
        self._last_layer = 0
        self._begun: list[tuple[Any, torch.Tensor, list[Blob]]] = []
        self._next = 0  # bucket
        self._agreed = "none"
        solver.agreed = self.requested

    @staticmethod
    def new_uid() -> bytes:
        """A place on this machine where a group of solvers meets."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return b"tcp://127.0.0.1:%d" % free.getsockname()[1]

    def bcast(self) -> None:
        """Give the first solver's weights and histories to all others."""
        for blob in [*self.solver.net.learnable_params, *self.solver.history]:
            self.group.send_from_first(blob.x)

    # ---- in every iteration

    def on_start(self) -> None:
        """An iteration begins."""
        self.group.iteration = self.solver.iter
        self._pass, self._next, self._begun = 0, 0, []
        self._last_layer = 0

    def __call__(self, layer: int) -> None:
        """A layer's backward is done: what is complete now may travel."""
        if layer >= self._last_layer:
            self._pass += 1  # backward begins at the end again
        self._last_layer = layer
        if self._pass == self.solver.param.iter_size:
            while self._next < len(self.buckets) and self.buckets[self._next][0] >= layer:
                self._send()

    def on_gradients_ready(self) -> None:
        """Average the gradients of all workers, and agree on what was asked for by signals."""
        wish = {"stop": _STOP, "snapshot": _SNAPSHOT}.get(self.solver.action(), 0)
        wishes = torch.tensor([wish], dtype=torch.int32, device=context.device())
        agreed = self.group.sum(wishes)
        while self._next < len(self.buckets):
            self._send()
        self.group.wait([work for work, _, _ in self._begun])
        for _, flat, blobs in self._begun:
            self._receive(flat, blobs)
        self._begun = []
        self.group.wait([agreed])
        total = int(wishes)
        self._agreed = "stop" if total >= _STOP else "snapshot" if total else "none"

    def requested(self) -> str:
        """What a worker was asked for, by a signal say, told once: all stop after the same step."""
        agreed, self._agreed = self._agreed, "none"
        return agreed

    def _send(self) -> None:
        """Let the next bucket travel."""
        blobs = self.buckets[self._next][1]
        self._next += 1
        parts = [blob.dx.view(-1) for blob in blobs]
        flat = parts[0] if len(parts) == 1 else torch.cat(parts)
        if self.bf16:
            flat = flat.bfloat16()
        self._begun.append((self.group.sum(flat), flat, blobs))

    def _receive(self, flat: torch.Tensor, blobs: list[Blob]) -> None:
        """Divide what has come, and put it where it belongs."""
        start = 0
        for blob in blobs:
            part = flat[start : start + blob.count]
            torch.div(part, self.group.count, out=blob.dx.view(-1)) if not self.bf16 else (
                blob.dx.view(-1).copy_(part).div_(self.group.count)
            )
            start += blob.count


def has_nccl() -> bool:
    """Whether solvers can train together here."""
    return torch.distributed.is_available()


def set_multiprocess(multiprocess: bool) -> None:
    """Nothing: solvers that train together are always processes here."""


def _digest(solver: Any) -> str:
    """What has to be the same for all: the net with its shapes, and the solver's settings."""
    param = type(solver.param)()
    param.CopyFrom(solver.param)
    for field in (*_OWN, "net", "train_net", "test_net"):
        param.ClearField(field)
    shapes = [(name, [list(b.shape) for b in row]) for name, row in solver.net.params.items()]
    kinds = [(layer.layer_param.name, layer.layer_param.type) for layer in solver.net.layers]
    return hashlib.sha1(repr((str(param), kinds, shapes)).encode()).hexdigest()


def _buckets(net: Any) -> list[tuple[int, list[Blob]]]:
    """The learned parameters in the order in which their gradients are complete.

    (layer, parameters): complete once that layer's backward is done. A parameter of several layers
    is complete after the first of these.
    """
    complete: dict[int, int] = {}
    for index, layer in enumerate(net.layers):
        for blob in layer.blobs:
            complete.setdefault(id(blob._diff), index)
    found: list[tuple[int, list[Blob]]] = []
    size = BUCKET
    for blob in sorted(net.learnable_params, key=lambda blob: -complete[id(blob._diff)]):
        if size + 4 * blob.count > BUCKET:
            found.append((0, []))
            size = 0
        size += 4 * blob.count
        found[-1] = (complete[id(blob._diff)], [*found[-1][1], blob])
    return found
