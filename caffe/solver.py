"""Solver: iterations, updates, tests, displays and snapshots (src/caffe/solver.cpp,
solvers/sgd_solver.cpp)."""

import os
import time
from collections.abc import Callable
from typing import Any

import torch

from . import context, gradients, resuming, views, workers
from .arguments import whole_number
from .blob import Blob
from .files import read, snapshot
from .files.paths import Path, require_file
from .glog import info, number
from .lr_policy import learning_rate
from .net import Net
from .one_thread import OneThread, alone
from .proto import caffe_pb2
from .smoothed_loss import SmoothedLoss, fetched
from .solver_nets import output_lines, run_test_net, test_nets, train_net

_MOST_PENDING = 1000  # losses left on the device


class Solver:
    """What all solvers share; the subclasses in updates.py add the update rule.

    `net`, `test_nets`, `iter` (finished updates), `lr` (reading it may advance multistep), `param` (the
    SolverParameter; its fields may be changed between steps).
    """

    histories = 1  # running averages a parameter

    def __init__(self, path: Path, param: caffe_pb2.SolverParameter | None = None) -> None:
        """From a solver prototxt, or `param` instead: RuntimeError for a missing file, ValueError for
        what does not fit."""
        self.source = os.fspath(path)
        self.param = self.read(path) if param is None else param
        self._prefix_of_file = self.param.snapshot_prefix
        info("solver.cpp:45", f"Initializing solver from parameters: \n{repr(self.param).rstrip()}")
        for field in ("average_loss", "iter_size"):
            self.refuse(getattr(self.param, field) < 1, field, "at least 1")
        self.check()
        if self.param.snapshot:
            snapshot.check_writable(os.fsdecode(self.param.snapshot_prefix), self.source)
        if self.param.random_seed >= 0:
            context.set_random_seed(workers.own_seed(self.param.random_seed))
        self.iter: int = 0
        self.current_step: int = 0  # steps that the learning-rate policy has taken
        self._smoothed = SmoothedLoss()
        self._step_began = self._step_ends = 0  # iterations of the call of `step`
        self._resumed: resuming.Smoothing | None = None
        # on a GPU they stay on the device until somebody needs them
        self._pending_losses: list[tuple[int, float | torch.Tensor]] = []  # (iteration, loss)
        self._pending_norms: list[torch.Tensor] = []
        self._callbacks: list[tuple[Callable[[], object], Callable[[], object]]] = []
        # asked after each pass: "stop", "snapshot" or "none"
        self.action: Callable[[], str] = lambda: "none"
        self.agreed: Callable[[], str] | None = None  # of several workers: on which action
        self._stop_requested = False
        self._displayed_at = 0
        self.net = train_net(self.param, self.source)
        self.net._running.memory_use.histories = self.histories
        self.test_nets = test_nets(self.param, self.source)
        self.history = [
            Blob(blob.shape) for _ in range(self.histories) for blob in self.net.learnable_params
        ]
        info("solver.cpp:57", "Solver scaffolding done.")

    def __repr__(self) -> str:
        return views.solver_text(self)

    def _repr_html_(self) -> str:
        return views.solver_html(self)

    def __reduce__(self):
        """Raises TypeError: a solver is neither copied nor pickled."""
        raise TypeError(
            f"{type(self).__name__}s are neither pickled nor copied: snapshot() writes state and weights "
            f"to files, from which caffe.get_solver({self.source!r}) goes on by restore(file)"
        )

    @staticmethod
    def read(path: Path) -> caffe_pb2.SolverParameter:
        """The settings in a solver prototxt; errors as `files.read.read_solver`."""
        require_file(path)
        return read.read_solver(path)

    def check(self) -> None:
        """Raise ValueError for settings that the update rule cannot have."""

    def refuse(self, wrong: bool, field: str, wanted: str) -> None:
        """Raise ValueError if `wrong`: the field's value, and what is wanted instead."""
        if wrong:
            value = getattr(self.param, field)
            raise ValueError(f"{self.source}: {field} is {value:g}, it must be {wanted}")

    # ---- training

    @property
    def _one_thread(self) -> OneThread:
        return self.net._one_thread

    def requested(self) -> str:
        """What `action` asks for; of several workers what they agree on."""
        return (self.agreed or self.action)()

    @property
    def lr(self) -> float:
        """The rate of this iteration."""
        return learning_rate(self)

    @alone
    def step(self, iterations: int) -> None:
        """Train for so many iterations: test and display where due, update, snapshot where due."""
        p, start = self.param, self.iter
        stop = start + whole_number(iterations, "step")
        self._smoothed = SmoothedLoss()
        if self._resumed is not None:  # of a call that was cut
            at, mean, losses = self._resumed
            start, self._smoothed, self._resumed = start - at, SmoothedLoss(mean, losses), None
        self._step_began, self._step_ends = start, stop
        self._displayed_at, self._clock = self.iter, time.perf_counter()
        while self.iter < stop:
            self.net.clear_param_diffs()
            testing = self._is_due(p.test_interval) and workers.is_first()
            if testing and (self.iter > 0 or p.test_initialization):
                self._test_all()
                if self._stop_requested:
                    break
            self.net.debug_info = p.debug_info and self._is_due(p.display)
            for on_start, _ in self._callbacks:
                on_start()
            self._pending_losses.append((self.iter - start, self._forward_backward()))
            if not context.on_gpu() or len(self._pending_losses) == _MOST_PENDING:
                self._fetch_pending()
            if self._is_due(p.display):
                self._display()
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            self.apply_update()
            request = self.requested()
            if request == "snapshot" or self._is_due(p.snapshot):
                self.snapshot()
            if request == "stop":
                self.stop()
            if self._stop_requested:
                break
        self._fetch_pending()

    def _is_due(self, interval: int) -> bool:
        """Whether something done every `interval` iterations is due; never if that is 0."""
        return bool(interval) and self.iter % interval == 0

    def _forward_backward(self) -> float | torch.Tensor:
        """Both passes, iter_size times; the mean loss, on a GPU a tensor there."""
        loss: float | torch.Tensor = 0.0
        for _ in range(self.param.iter_size):
            loss = loss + self.net._forward_backward_async()
            if self.net.debug_info:
                self.net._running.debug.log_norms()
        return loss / self.param.iter_size

    def solve(self, resume_file: Path | None = None) -> None:
        """Train to max_iter, from a solverstate if given; then snapshot, display and test."""
        p = self.param
        info("solver.cpp:289", f"Solving {self.net.name}")
        info("solver.cpp:290", f"Learning Rate Policy: {p.lr_policy}")
        self._stop_requested = False
        if resume_file:
            info("solver.cpp:296", f"Restoring previous solver status from {resume_file}")
            self.restore(resume_file)
        start = self.iter
        self.step(p.max_iter - self.iter)
        if p.snapshot_after_train and not self._is_due(p.snapshot):
            self.snapshot()
        if self._stop_requested:
            info("solver.cpp:311", "Optimization stopped early.")
            return
        if self._is_due(p.display):
            loss = self.net._forward(0, len(self.net.layers) - 1)
            self._smoothed.add(self.iter - start, loss, p.average_loss)
            info("solver.cpp:327", f"Iteration {self.iter}, loss = {number(self.smoothed_loss)}")
        if self._is_due(p.test_interval) and workers.is_first():
            self._test_all()
        info("solver.cpp:332", "Optimization Done.")

    def stop(self) -> None:
        """Leave `step` after the current iteration."""
        self._stop_requested = True

    def add_callback(
        self, on_start: Any, on_gradients_ready: Callable[[], object] | None = None
    ) -> None:
        """Call these in every iteration: before the passes, and between them and the update.

        Instead of the two functions, an object that has both, such as NCCL.
        """
        if on_gradients_ready is None:
            on_start, on_gradients_ready = on_start.on_start, on_start.on_gradients_ready
        self._callbacks.append((on_start, on_gradients_ready))

    def share_weights(self, net: Net) -> None:
        """Let `net` use the training net's weights."""
        net.share_with(self.net)

    # ---- the update

    @alone
    def apply_update(self) -> None:
        """Update the parameters from their diffs and count the iteration.

        In Caffe's order: clip the summed gradient, divide by iter_size, add decay, apply the rule,
        subtract. Afterwards a parameter's diff is what was subtracted.
        """
        with self.net._running.reporting_out_of_memory():
            self._update()
        self.iter += 1

    def _update(self) -> None:
        p, net, rate = self.param, self.net, self.lr
        if self._is_due(p.display):
            info("sgd_solver.cpp:112", f"Iteration {self.iter}, lr = {number(rate)}")
        scale = self._clip_factor() / p.iter_size
        multipliers = list(zip(net.params_lr, net.params_weight_decay))
        groups = gradients.groups(net.learnable_params, multipliers, self.history)
        for (lr_mult, decay_mult), group in groups.items():
            decay = p.weight_decay * decay_mult
            for w, g, *histories in gradients.portions(group):
                if isinstance(scale, torch.Tensor) or scale != 1:
                    torch._foreach_mul_(g, scale)
                if decay:
                    gradients.add_decay(g, w, decay, p.regularization_type, self.source)
                self.compute_update(g, rate * lr_mult, *histories)
                torch._foreach_sub_(w, g)

    def compute_update(
        self, g: list[torch.Tensor], rate: float, *histories: list[torch.Tensor]
    ) -> None:
        """Turn the gradients `g` into the updates, and advance the running averages, in place."""
        raise NotImplementedError

    def _clip_factor(self) -> float | torch.Tensor:
        """The factor that clip_gradients asks for; on a GPU a tensor there."""
        limit, params = self.param.clip_gradients, self.net.learnable_params
        if limit < 0:
            return 1.0
        norm = gradients.norm(params)
        if isinstance(norm, torch.Tensor):
            self._pending_norms.append(norm)
            return (limit / norm).clamp(max=1).to(params[0].dx.dtype)
        self._log_clipping(norm)
        return limit / norm if norm > limit else 1.0

    def _log_clipping(self, norm: float) -> None:
        limit = self.param.clip_gradients
        if norm > limit:
            info(
                "sgd_solver.cpp:93",
                f"Gradient clipping: scaling down gradients (L2 norm {number(norm)} > "
                f"{number(limit)}) by scale factor {number(limit / norm)}",
            )

    # ---- losses

    @property
    def smoothed_loss(self) -> float:
        """The mean of the last average_loss losses of this call of `step`."""
        self._fetch_pending()
        return self._smoothed.mean

    def _fetch_pending(self) -> None:
        """Fetch the losses and norms left on the device; raise the errors that were deferred."""
        losses, norms = self._pending_losses, self._pending_norms
        self._pending_losses, self._pending_norms = [], []
        if not losses and not norms:
            return
        self.net._raise_deferred()
        for (step, _), loss in zip(losses, fetched([loss for _, loss in losses])):
            self._smoothed.add(step, loss, self.param.average_loss)
        for norm in fetched(norms):
            self._log_clipping(norm)

    # ---- displays and tests

    def _display(self) -> None:
        if not workers.is_first():
            return
        now = time.perf_counter()
        seconds, self._clock = now - self._clock, now
        per_second = (self.iter - self._displayed_at) / (seconds or 1)
        self._displayed_at = self.iter
        info(
            "solver.cpp:239",
            f"Iteration {self.iter} ({number(per_second)} iter/s, {number(seconds)}s/"
            f"{self.param.display} iters), loss = {number(self.smoothed_loss)}",
        )
        lines = output_lines(self.net, [self.net.blobs[name].x for name in self.net.outputs])
        for i, line in enumerate(lines):
            info("solver.cpp:258", f"    Train net output #{i}: {line}")

    def _test_all(self) -> None:
        for i in range(len(self.test_nets)):
            if not self._stop_requested:
                run_test_net(self, i)

    # ---- snapshots

    def snapshot(self) -> None:
        """Write <snapshot_prefix>_iter_<n>.caffemodel and .solverstate (or their .h5 forms).

        Of several workers the first writes.
        """
        self._fetch_pending()  # an error that was deferred is raised before anything is written
        if not workers.is_first():
            return
        if self.param.snapshot_prefix == self._prefix_of_file:  # not the caller's own choice
            snapshot.require_allowed(os.fsdecode(self._prefix_of_file), self.source)
        snapshot.write(
            f"{os.fsdecode(self.param.snapshot_prefix)}_iter_{self.iter}",
            self.net,
            self.iter,
            self.current_step,
            [h.data for h in self.history],
            as_hdf5=self.param.snapshot_format == caffe_pb2.SolverParameter.HDF5,
            write_diff=self.param.snapshot_diff,
            beside=lambda stem: resuming.write(stem, self),
        )

    def restore(self, path: Path) -> None:
        """Continue from a solverstate and the weights it names.

        RuntimeError for a file that is not there, ValueError for a state of another solver or net.
        """
        state = snapshot.read(path, [h.shape for h in self.history], type(self).__name__)
        if state.learned_net:
            self.net.copy_from(state.learned_net)
        if not os.fspath(path).endswith(".h5"):  # Caffe logs this for binary files only
            info("sgd_solver.cpp:336", "SGDSolver: restoring history")
        for blob, stored in zip(self.history, state.history):
            stored.read_into(blob.data)
        self.iter, self.current_step = state.iter, state.current_step
        resuming.log_missing(self.restore_position(path))

    def restore_position(self, path: Path) -> str:
        """Go on where the file beside a solverstate says; returns in a sentence what begins anew."""
        return resuming.read(self, path)
