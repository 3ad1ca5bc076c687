"""Solver: steps, tests, displays and snapshots (src/caffe/solver.cpp, solvers/sgd_solver.cpp)."""

import os
import tempfile
import time
from collections import defaultdict

import torch

from . import context
from .blob import Blob
from .files import hdf5, read, weights
from .glog import info, number
from .lr_policy import learning_rate
from .net import Net
from .proto import caffe_pb2

_HDF5 = caffe_pb2.SolverParameter.HDF5
_MOST_UNREAD = 1000  # losses left on the device
_SLICE = (
    1 << 15
)  # values an update works on at a time: they fit the cache, and one thread has no one to wait for


class Solver:
    """What all solvers share; the subclasses in updates.py add the rule.

    `net`, `test_nets`, `iter` (finished updates), `lr` (reading it may advance multistep, as in
    Caffe), `param` (the SolverParameter; its fields may be changed between steps).
    """

    histories = 1  # running averages a parameter

    def __init__(self, path, param=None):
        """From a solver prototxt: RuntimeError for a missing file, ValueError for what does not fit.

        `param`, a SolverParameter, is used instead of the file's where given (`caffe train`).
        """
        self.source = os.fspath(path)
        self.param = self.read(path) if param is None else param
        info("solver.cpp:45", f"Initializing solver from parameters: \n{repr(self.param).rstrip()}")
        self.refuse(self.param.average_loss < 1, "average_loss", "at least 1")
        self.check()
        self._check_snapshots()
        if self.param.random_seed >= 0:
            context.set_random_seed(self.param.random_seed)
        self.iter = 0
        self.current_step = 0
        self._losses: list[float] = []
        self._mean_loss = 0.0
        self._unread = []  # (iteration, loss) on the device, fetched together
        self._unread_norms = []
        self._callbacks = []
        self.action = lambda: "none"  # asked after each pass: "stop", "snapshot" or "none"
        self._stop_requested = False
        self._displayed_at = 0
        self.net = self._train_net()
        self.net._running.memory_use.histories = self.histories
        self.test_nets = self._test_nets()
        self.history = [
            Blob(blob.shape) for _ in range(self.histories) for blob in self.net.learnable_params
        ]
        info("solver.cpp:57", "Solver scaffolding done.")

    @staticmethod
    def read(path):
        if not os.path.isfile(path):
            raise RuntimeError(f"Could not open file {path}")
        return read.read_solver(path)

    # ---- checks

    def check(self):
        """A rule's own conditions."""

    def refuse(self, wrong, field, wanted):
        """Raise ValueError if `wrong`."""
        if wrong:
            value = getattr(self.param, field)
            raise ValueError(f"{self.source}: {field} is {value:g}, it must be {wanted}")

    def _check_snapshots(self):
        """Before hours of training, see that a snapshot could be written."""
        if not self.param.snapshot:
            return
        folder = os.path.dirname(self.param.snapshot_prefix) or "."
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ValueError(
                f"{self.source}: cannot write to snapshot_prefix '{self.param.snapshot_prefix}' "
                f"({error.strerror}): the folder {os.path.abspath(folder)} must exist and be writeable"
            ) from error

    # ---- nets

    def _train_net(self):
        p = self.param
        given = [f for f in ("net", "net_param", "train_net", "train_net_param") if p.HasField(f)]
        if len(given) != 1:
            raise ValueError(
                f"{self.source}: exactly one of net, net_param, train_net, train_net_param gives the "
                f"training net, got {', '.join(given) or 'none'}"
            )
        return self._build(given[0], getattr(p, given[0]), caffe_pb2.TRAIN, p.train_state, None)

    def _test_nets(self):
        p = self.param
        sources = [("test_net_param", m) for m in p.test_net_param]
        sources += [("test_net", path) for path in p.test_net]
        generic = [f for f in ("net_param", "net") if p.HasField(f)]
        named, wanted = len(sources), len(p.test_iter)
        if wanted < named or (wanted > named and not generic):
            raise ValueError(
                f"{self.source}: test_iter is given {wanted} times for {named} test nets: "
                "once per test net"
            )
        sources += [(generic[0], getattr(p, generic[0]))] * (wanted - named) if generic else []
        if p.test_state and len(p.test_state) != len(sources):
            raise ValueError(
                f"{self.source}: test_state is given {len(p.test_state)} times for "
                f"{len(sources)} test nets: once per test net, or not at all"
            )
        self.refuse(sources and p.test_interval <= 0, "test_interval", "above 0 with a test net")
        states = list(p.test_state) or [None] * len(sources)
        return [
            self._build(field, source, caffe_pb2.TEST, state, index)
            for index, ((field, source), state) in enumerate(zip(sources, states))
        ]

    def _build(self, field, source, phase, state, test_number):
        """A net from a path or a message; `state` is merged over the net's own."""
        label = f"{field} file: {source}" if isinstance(source, str) else field
        if test_number is None:
            label = f"from {label}" if isinstance(source, str) else f"specified in {label}."
            info("solver.cpp:102", f"Creating training net {label}")
        else:
            info("solver.cpp:190", f"Creating test net (#{test_number}) specified by {label}")
        folder = None
        if isinstance(source, str):
            if not os.path.isfile(source):
                raise RuntimeError(
                    f"{self.source}: {field}: could not open file {source} "
                    f"(relative to {os.getcwd()}, the folder the solver runs in)"
                )
            folder = os.path.dirname(os.path.abspath(source))
            param = read.read_net(source)
        else:
            param = caffe_pb2.NetParameter()
            param.CopyFrom(source)
            read.upgrade_net(param, f"{self.source}: {field}")
        merged = caffe_pb2.NetState(phase=phase)
        merged.MergeFrom(param.state)
        if state is not None:
            merged.MergeFrom(state)
        param.state.CopyFrom(merged)
        net = Net.from_param(param, folder)
        for paths in self.param.weights:
            for path in paths.split(","):
                info("solver.cpp:72", f"Finetuning from {path.strip()}")
                net.copy_from(path.strip())
        return net

    # ---- training

    @property
    def lr(self) -> float:
        """The rate of this iteration."""
        return learning_rate(self)

    def step(self, iterations: int):
        """Train for so many iterations: test and display where due, update, snapshot where due."""
        if type(iterations) is not int:
            raise TypeError(f"step takes a whole number of iterations, got {iterations!r}")
        p, start, stop = self.param, self.iter, self.iter + iterations
        self._losses, self._mean_loss = [], 0.0
        self._displayed_at, self._clock = self.iter, time.perf_counter()
        while self.iter < stop:
            self.net.clear_param_diffs()
            due = p.test_interval and self.iter % p.test_interval == 0
            if due and (self.iter > 0 or p.test_initialization):
                self._test_all()
                if self._stop_requested:
                    break
            self.net.debug_info = bool(p.debug_info and p.display and self.iter % p.display == 0)
            for on_start, _ in self._callbacks:
                on_start()
            self._unread.append((self.iter - start, self._forward_backward()))
            if not context.is_apart() or len(self._unread) == _MOST_UNREAD:
                self._read_losses()
            if p.display and self.iter % p.display == 0:
                self._display()
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            self.apply_update()
            request = self.action()
            if request == "snapshot" or (p.snapshot and self.iter % p.snapshot == 0):
                self.snapshot()
            if request == "stop":
                self.stop()
            if self._stop_requested:
                break
        self._read_losses()

    def _forward_backward(self):
        loss = 0.0
        for _ in range(self.param.iter_size):
            loss = loss + self.net._forward_backward_async()
            if self.net.debug_info:
                self.net._running.debug.log_norms()
        return loss / self.param.iter_size

    def solve(self, resume_file=None):
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
        if p.snapshot_after_train and (not p.snapshot or self.iter % p.snapshot):
            self.snapshot()
        if self._stop_requested:
            info("solver.cpp:311", "Optimization stopped early.")
            return
        if p.display and self.iter % p.display == 0:
            self._smooth(self.iter - start, self.net._forward(0, len(self.net.layers) - 1))
            info("solver.cpp:327", f"Iteration {self.iter}, loss = {number(self._smoothed_loss)}")
        if p.test_interval and self.iter % p.test_interval == 0:
            self._test_all()
        info("solver.cpp:332", "Optimization Done.")

    def stop(self):
        """Leave `step` after the iteration that runs."""
        self._stop_requested = True

    def add_callback(self, on_start, on_gradients_ready):
        """Call these in every iteration: before the passes, and between them and the update."""
        self._callbacks.append((on_start, on_gradients_ready))

    def share_weights(self, net):
        """Let `net` use the training net's weights."""
        net.share_with(self.net)

    # ---- the update

    def apply_update(self):
        """Update the parameters from their diffs and count the iteration.

        In Caffe's order: clip the summed gradient, divide by iter_size, add decay, apply the rule,
        subtract. Afterwards a parameter's diff is what was subtracted.
        """
        with self.net._running.reporting_out_of_memory():
            self._update()
        self.iter += 1

    def _update(self):
        rate = self.lr
        if self.param.display and self.iter % self.param.display == 0:
            info("sgd_solver.cpp:112", f"Iteration {self.iter}, lr = {number(rate)}")
        scale = self._clip() / self.param.iter_size
        for (multiplier, decay_multiplier), sides in self._alike().items():
            local_rate, decay = rate * multiplier, self.param.weight_decay * decay_multiplier
            for w, g, *histories in self._portions(sides):
                if isinstance(scale, torch.Tensor) or scale != 1:
                    torch._foreach_mul_(g, scale)
                if decay:
                    self._add_decay(g, w, decay)
                self.compute_update(g, local_rate, *histories)
                torch._foreach_sub_(w, g)

    def compute_update(self, g, rate, *histories):
        """Turn the gradients `g`, a list, into the updates, in place, and move the histories on."""
        raise NotImplementedError

    def _alike(self):
        """(multiplier of rate, of decay) -> values, gradients and histories of the parameters with
        these, each as a list of flat tensors."""
        params, groups = self.net.learnable_params, defaultdict(list)
        for i, blob in enumerate(params):
            sides = [blob.x, blob.dx, *(h.x for h in self.history[i :: len(params)])]
            key = self.net.params_lr[i], self.net.params_weight_decay[i]
            groups[key].append([side.view(-1) for side in sides])
        return {key: list(map(list, zip(*members))) for key, members in groups.items()}

    @staticmethod
    def _portions(sides):
        """What an update works on at a time: on a GPU all, a few kernels for all parameters; on the
        CPU slices that fit its cache."""
        if context.is_apart():
            yield sides
            return
        for of_one in zip(*sides):
            for at in range(0, len(of_one[0]), _SLICE):
                yield [[side[at : at + _SLICE]] for side in of_one]

    def _clip(self):
        """What gradients are multiplied by; on a GPU a tensor there."""
        limit = self.param.clip_gradients
        if limit < 0:
            return 1.0
        if context.is_apart():
            norms = torch._foreach_norm([blob.dx for blob in self.net.learnable_params])
            norm = torch.stack(norms).double().square().sum().sqrt()
            self._unread_norms.append(norm)
            return (limit / norm).clamp(max=1).to(norms[0].dtype)
        norm = sum(float(b.dx.square().sum()) for b in self.net.learnable_params) ** 0.5
        self._tell_clipping(norm)
        return limit / norm if norm > limit else 1.0

    def _tell_clipping(self, norm):
        limit = self.param.clip_gradients
        if norm > limit:
            info(
                "sgd_solver.cpp:93",
                f"Gradient clipping: scaling down gradients (L2 norm {number(norm)} > "
                f"{number(limit)}) by scale factor {number(limit / norm)}",
            )

    def _add_decay(self, g, w, amount):
        if self.param.regularization_type == "L2":
            torch._foreach_add_(g, w, alpha=amount)
            return
        if self.param.regularization_type == "L1":
            torch._foreach_add_(g, torch._foreach_sign(w), alpha=amount)
            return
        raise ValueError(
            f"{self.source}: unknown regularization_type '{self.param.regularization_type}'; "
            "known: L2, L1"
        )

    # ---- displays and tests

    def _read_losses(self):
        """Fetch what the steps since the last call left on the device: losses, and errors to raise."""
        (unread, self._unread), (norms, self._unread_norms) = (
            (self._unread, []),
            (self._unread_norms, []),
        )
        if not unread and not norms:
            return
        self.net._raise_deferred()
        losses = [loss for _, loss in unread]
        if any(isinstance(loss, torch.Tensor) for loss in losses):
            losses = torch.stack(losses).tolist()
        for (step, _), loss in zip(unread, losses):
            self._smooth(step, loss)
        for norm in torch.stack(norms).tolist() if norms else ():
            self._tell_clipping(norm)

    @property
    def _smoothed_loss(self):
        """The mean of the last average_loss losses of this call of `step`."""
        self._read_losses()
        return self._mean_loss

    def _smooth(self, step, loss):
        window = self.param.average_loss
        if len(self._losses) < window:
            self._losses.append(loss)
            n = len(self._losses)
            self._mean_loss = (self._mean_loss * (n - 1) + loss) / n
        else:
            at = step % window
            self._mean_loss += (loss - self._losses[at]) / window
            self._losses[at] = loss

    def _display(self):
        now = time.perf_counter()
        seconds, self._clock = now - self._clock, now
        per_second = (self.iter - self._displayed_at) / (seconds or 1)
        self._displayed_at = self.iter
        info(
            "solver.cpp:239",
            f"Iteration {self.iter} ({number(per_second)} iter/s, {number(seconds)}s/"
            f"{self.param.display} iters), loss = {number(self._smoothed_loss)}",
        )
        lines = _outputs(self.net, [self.net.blobs[name].x for name in self.net.outputs])
        for i, line in enumerate(lines):
            info("solver.cpp:258", f"    Train net output #{i}: {line}")

    def _test_all(self):
        for i in range(len(self.test_nets)):
            if not self._stop_requested:
                self._test(i)

    def _test(self, i):
        info("solver.cpp:347", f"Iteration {self.iter}, Testing net (#{i})")
        net, passes = self.test_nets[i], self.param.test_iter[i]
        net.share_with(self.net)
        sums, loss = defaultdict(float), 0.0
        for _ in range(passes):
            while (request := self.action()) != "none":
                if request == "snapshot":
                    self.snapshot()
                else:
                    self.stop()
            if self._stop_requested:
                info("solver.cpp:395", "Test interrupted.")
                return
            loss = loss + net._forward_async(0, len(net.layers) - 1)
            for name in net.outputs:
                sums[name] = sums[name] + net.blobs[name].x
        net._raise_deferred()
        if self.param.test_compute_loss:
            info("solver.cpp:400", f"Test loss: {number(float(loss) / passes)}")
        means = [sums[name] / passes for name in net.outputs] if passes else []
        for j, line in enumerate(_outputs(net, means)):
            info("solver.cpp:414", f"    Test net output #{j}: {line}")

    # ---- snapshots

    def snapshot(self):
        """Write <snapshot_prefix>_iter_<n>.caffemodel and .solverstate (or their .h5 forms)."""
        self._read_losses()  # what has gone wrong is not written
        stem = f"{self.param.snapshot_prefix}_iter_{self.iter}"
        arrays = [h.data for h in self.history]
        if self.param.snapshot_format == _HDF5:
            model, state = stem + ".caffemodel.h5", stem + ".solverstate.h5"
            info("solver.cpp:474", f"Snapshotting to HDF5 file {model}")
            self.net.save_hdf5(model, self.param.snapshot_diff)
            info("sgd_solver.cpp:296", f"Snapshotting solver state to HDF5 file {state}")
            hdf5.write_state(state, self.iter, model, self.current_step, arrays)
        else:
            model, state = stem + ".caffemodel", stem + ".solverstate"
            info("solver.cpp:464", f"Snapshotting to binary proto file {model}")
            self.net.save(model, self.param.snapshot_diff)
            info("sgd_solver.cpp:284", f"Snapshotting solver state to binary proto file {state}")
            weights.write_state(state, self.iter, model, self.current_step, arrays)

    def restore(self, path):
        """Continue from a solverstate and the weights it names.

        Raises RuntimeError for a file that is not there, ValueError for a state of another solver or net.
        """
        if not os.path.isfile(path):
            raise RuntimeError(f"Could not open file {path}")
        reader = hdf5 if os.fspath(path).endswith(".h5") else weights
        iteration, model, current_step, stored = reader.read_state(path)
        shapes = [list(h.shape) for h in self.history]
        if len(stored) != len(shapes) or not all(s.matches(w) for s, w in zip(stored, shapes)):
            raise ValueError(
                f"{path}: its history of {len(stored)} blobs does not fit the {len(shapes)} of "
                f"{type(self).__name__} on this net: a state of another solver type or net "
                "(copy_from takes its weights alone)"
            )
        if model:
            if not os.path.isfile(model):
                raise RuntimeError(
                    f"{path}: could not open file {model}, the weights it names "
                    f"(relative to {os.getcwd()})"
                )
            self.net.copy_from(model)
        if reader is weights:  # Caffe says nothing of it when the file is HDF5
            info("sgd_solver.cpp:336", "SGDSolver: restoring history")
        for blob, source in zip(self.history, stored):
            source.read_into(blob.data)
        self.iter, self.current_step = iteration, current_step


def _outputs(net, values):
    """A line an output value: `loss = 0.5 (* 1 = 0.5 loss)`."""
    lines = []
    for name, tensor in zip(net.outputs, values):
        weight = net.blob_loss_weights[name]
        for value in tensor.view(-1).tolist():
            note = f" (* {number(weight)} = {number(weight * value)} loss)" if weight else ""
            lines.append(f"{name} = {number(value)}{note}")
    return lines
