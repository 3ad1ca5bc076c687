"""Workers: processes that train or score together, joined by torch.distributed.

Each has a rank, from 0 on; rank 0 writes what there is to write. torchrun starts them and says who is
who (`join`), or pycaffe's names do (`nccl`). Tensors on a CPU travel by Gloo, on GPUs by NCCL.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist

from . import context
from .launch import launch as launch

PATIENCE = float(os.environ.get("CAFFE_WORKERS_PATIENCE") or 300)  # seconds without a word
_BEAT = 0.5  # seconds between two signs of life
_LATE = 1.5  # seconds that a worker's own last words may take
_POLL = 2e-4  # seconds between two looks at whether the others have come

_here: Group | None = None  # what this process belongs to
_stated = [1, 0]  # count and rank that pycaffe's scripts set before there is a group
_common_seed = 0


class WorkerLost(RuntimeError):
    """A worker is gone, hangs, or cannot be reached; the message says which and why."""

    exit_code = 1


class Group:
    """The workers that work together. `rank` is this one's, `count` how many there are."""

    def __init__(self, url: str, rank: int = -1, count: int = -1) -> None:
        """Meet the others at `url`, tcp://HOST:PORT or env:// (torchrun's variables).

        Raises WorkerLost if they do not come within PATIENCE, or if the port is in use; ValueError
        for a rank that is not below the count.
        """
        patience = datetime.timedelta(seconds=PATIENCE)
        _require_place(url, rank, count)
        try:
            self.store, self.rank, self.count = next(
                dist.rendezvous(url, rank, count, timeout=patience)
            )
            backend = "cpu:gloo,cuda:nccl" if dist.is_nccl_available() else "gloo"
            dist.init_process_group(
                backend,
                store=dist.PrefixStore("caffe", self.store),
                rank=self.rank,
                world_size=self.count,
                timeout=patience,
            )
        except (RuntimeError, ValueError) as error:
            raise WorkerLost(f"{_named(rank)}: {_why_not_met(url, str(error))}") from error
        self.iteration = 0  # that this worker is in; the others are in the same, or in the next
        self.waits = False  # for the others
        self._lost = ""  # what another has found out
        self._over = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True, name="beat")
        self._beating.start()

    # ---- what they do together

    def sum(self, tensor: torch.Tensor) -> dist.Work:
        """Begin to add up a tensor of all, in place; `wait` on what is returned."""
        work = dist.all_reduce(tensor, async_op=True)
        assert work is not None
        return work

    def wait(self, works: list[dist.Work]) -> None:
        """Wait until all of this is done; WorkerLost if a worker is.

        On a GPU the host does not wait here, the streams do.
        """
        with self.waiting():
            for work in works:
                while not context.on_gpu() and not work.is_completed():
                    if self._lost:
                        raise WorkerLost(self._lost)
                    time.sleep(_POLL)
                work.wait()

    def gather(self, thing: Any) -> list[Any]:
        """What every worker gives, by rank; things are pickled."""
        found = [None] * self.count
        with self.waiting():
            dist.all_gather_object(found, thing)
        return found

    def send_from_first(self, tensor: torch.Tensor) -> None:
        """Give a tensor of rank 0 to all others, in place."""
        with self.waiting():
            dist.broadcast(tensor, 0)

    def require_same(self, what: str, digest: str) -> None:
        """Raise ValueError unless this is the same for all workers; the ranks that differ are named."""
        all_digests = self.gather(digest)
        others = [rank for rank, each in enumerate(all_digests) if each != all_digests[0]]
        if others:
            listed = ", ".join(map(str, others))
            raise ValueError(
                f"{what} of worker{'s' * (len(others) > 1)} {listed} differs from worker 0's: all train "
                "one net by one solver, from the same files"
            )

    # ---- when one is lost

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While entered, an error of torch.distributed becomes WorkerLost with rank and cause."""
        self.waits = True
        try:
            yield
        except WorkerLost:
            raise
        except RuntimeError as error:
            raise WorkerLost(self._who_is_lost(str(error))) from error
        finally:
            self.waits = False

    def fail(self, error: BaseException) -> None:
        """Leave word why this worker ends, for the others to tell."""
        with contextlib.suppress(RuntimeError):
            cause = f"{type(error).__name__}: {error}"
            self.store.set(f"failed/{self.rank}", cause)
            self.store.set("lost", f"worker {self.rank} ended: {cause}")
            if self.rank == 0:
                self._wait_until_told()

    def has_failed(self, rank: int) -> bool:
        """Whether a worker has left word that it ends; waits a little for that."""
        end = time.time() + _LATE
        try:
            while time.time() < end:
                if self.store.check([f"failed/{rank}"]):
                    return True
                time.sleep(0.1)
        except RuntimeError:  # it is gone, and told why
            return rank == 0
        return False

    def leave(self) -> None:
        """Leave the group: nothing is done together afterwards."""
        global _here
        self._over.set()
        self._beating.join(5 * _BEAT)
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()
        if _here is self:
            _here = None

    def _beat(self) -> None:
        """Give signs of life until the group is left."""
        with contextlib.suppress(RuntimeError):
            while not self._over.is_set():
                self.store.set(f"alive/{self.rank}", f"{time.time()} {int(self.waits)}")
                if not self._lost and self.store.check(["lost"]):
                    self._lost = self.store.get("lost").decode()
                    self.store.set(f"told/{self.rank}", "")
                self._over.wait(_BEAT)

    def _who_is_lost(self, error: str) -> str:
        """Which worker is lost, and why, as far as it can be told; the others are told, too."""
        try:
            why = self._heard() or self._by_its_signs(error)
            self.store.set("lost", why)
            if self.rank == 0:  # the others ask for what is kept here
                self._wait_until_told()
        except RuntimeError:
            return f"worker 0 cannot be reached, at whose address the others meet ({_first(error)})"
        return why

    def _heard(self) -> str:
        """What another has said of it; waits a little for that."""
        end = time.time() + _LATE
        while time.time() < end:
            if self.store.check(["lost"]):
                return self.store.get("lost").decode()
            time.sleep(0.1)
        return ""

    def _by_its_signs(self, error: str) -> str:
        """Who is silent, or alive and elsewhere."""
        signs = {rank: self._last_sign(rank) for rank in range(self.count) if rank != self.rank}
        most = 2 * _BEAT if "peer" in error else 10 * _BEAT  # its connection is closed already
        for rank, (silent, _) in signs.items():
            if silent > most:
                where = f"in iteration {self.iteration}"
                return f"worker {rank} is gone, {where}: nothing heard for {silent:.0f} s"
        for rank, (_, waits) in signs.items():
            if not waits:
                return (
                    f"worker {rank} hangs in iteration {self.iteration}: it is alive, and the others "
                    f"have waited for it for {PATIENCE:g} s"
                )
        return f"the others cannot be reached ({_first(error)})"

    def _wait_until_told(self) -> None:
        """Wait until all others that live know who is lost."""
        end = time.time() + 3 * _BEAT
        ranks = set(range(1, self.count))
        while ranks and time.time() < end:
            ranks = {rank for rank in ranks if not self.store.check([f"told/{rank}"])}
            time.sleep(0.1 * _BEAT)

    def _last_sign(self, rank: int) -> tuple[float, bool]:
        """(seconds since a worker's last sign of life, whether it waited for the others)."""
        if not self.store.check([f"alive/{rank}"]):
            return float("inf"), False
        moment, waits = self.store.get(f"alive/{rank}").split()
        return time.time() - float(moment), bool(int(waits))


def _require_place(url: str, rank: int, count: int) -> None:
    """Raise ValueError unless rank and count, or torchrun's variables, say who this is of how many."""
    if url.startswith("env://") and rank < 0:
        given = {name: os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")}
        if wrong := [f"{name} is '{text}'" for name, text in given.items() if not text.isdecimal()]:
            raise ValueError(f"{', '.join(wrong)}: torchrun sets these variables to numbers")
        if not os.environ.get("MASTER_ADDR"):
            raise ValueError("MASTER_ADDR is not set: torchrun sets it to the first machine's name")
        rank, count = int(given["RANK"]), int(given["WORLD_SIZE"])
    if not 0 <= rank < count:
        raise ValueError(f"worker {rank} of {count}: ranks go from 0 to {count - 1}")


def _named(rank: int) -> str:
    return "the workers" if rank < 0 else f"worker {rank}"


def _first(error: str) -> str:
    return error.strip().splitlines()[0][:150]


def _why_not_met(url: str, error: str) -> str:
    if "EADDRINUSE" in error or "in use" in error:
        return f"the port of {url} is in use: choose another (torchrun --master-port)"
    return f"the others did not come to {url} within {PATIENCE:g} s ({_first(error)})"


# ---- of this process


def group() -> Group | None:
    """The group that this process belongs to; None if it works alone."""
    return _here


def join(url: str = "env://", rank: int = -1, count: int = -1) -> Group:
    """Make this process one of several; by default as torchrun's variables say."""
    global _here
    if _here is None:
        _here = Group(url, rank, count)
    return _here


def started_together() -> bool:
    """Whether torchrun has started this process as one of several."""
    return os.environ.get("WORLD_SIZE", "1").strip() not in ("", "0", "1")


def solver_count() -> int:
    """Number of solvers that train together."""
    return _here.count if _here else _stated[0]


def solver_rank() -> int:
    """Which of the solvers this is, from 0 on."""
    return _here.rank if _here else _stated[1]


def set_solver_count(count: int) -> None:
    """Say how many solvers will train together. ValueError below 1."""
    if count < 1:
        raise ValueError(f"the number of solvers is {count}, it must be 1 or more")
    _stated[0] = count


def set_solver_rank(rank: int) -> None:
    """Say which of the solvers this is. ValueError unless it is below their number."""
    if not 0 <= rank < _stated[0]:
        raise ValueError(
            f"the solver's rank is {rank}, of {_stated[0]}: set_solver_count comes first"
        )
    _stated[1] = rank


def own_seed(seed: int) -> int:
    """The seed of this worker's random numbers, of the one that all were given, as Caffe's are."""
    global _common_seed
    _common_seed = seed
    return seed + solver_rank()


def common_seed() -> int:
    """The seed of what all workers have to draw alike, such as the order of pictures."""
    return _common_seed


def is_first() -> bool:
    """Whether this worker writes and tells what is written and told once."""
    return solver_rank() == 0


def local_rank() -> int:
    """The number of this worker on its machine: which of the machine's GPUs is its own."""
    return int(os.environ.get("LOCAL_RANK") or solver_rank())


def gpus() -> int:
    """The number of GPUs of this machine."""
    return torch.cuda.device_count()


def end_with(error: BaseException) -> None:
    """Tell the others, if there are any, why this process ends."""
    if _here is not None:
        _here.fail(error)


def _hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    end_with(error)
    _previous_hook(kind, error, trace)


_previous_hook, sys.excepthook = sys.excepthook, _hook
