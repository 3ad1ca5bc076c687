"""Starts several workers on this machine, each the same command, and waits for them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from types import FrameType

_LAST_WORDS = 30.0  # seconds that the others have to end once one has failed
_LOOK = 0.05  # seconds between two looks at who has ended


def launch(command: Sequence[str], count: int) -> int:
    """Run a command as `count` workers; returns the exit code: 0 if all end well, else a failed one's.

    Each finds RANK, WORLD_SIZE and the like in its environment, as torchrun sets them, and has its
    share of the processor's cores. Signals are passed on.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cores = max(1, (os.cpu_count() or 1) // count)
    shared = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared |= {"OMP_NUM_THREADS": cores, "LOCAL_WORLD_SIZE": count, "TORCH_CPP_LOG_LEVEL": "ERROR"}
    processes = [
        subprocess.Popen(command, env=_environment({**shared, "RANK": rank, "LOCAL_RANK": rank}))
        for rank in range(count)
    ]
    try:
        with _passing_on_signals(processes):
            return _wait(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _environment(more: dict[str, object]) -> dict[str, str]:
    return os.environ | {name: str(value) for name, value in more.items()}


def _wait(processes: list[subprocess.Popen]) -> int:
    """Wait until all have ended, or some seconds after one has failed; the first failure's code."""
    failed, end = 0, float("inf")
    running = list(processes)
    while running and time.monotonic() < end:
        for process in [each for each in running if each.poll() is not None]:
            running.remove(process)
            if process.returncode and not failed:
                failed = process.returncode
                end = time.monotonic() + _LAST_WORDS
        time.sleep(_LOOK)
    return 128 - failed if failed < 0 else failed  # a signal's number, as shells tell it


@contextlib.contextmanager
def _passing_on_signals(processes: list[subprocess.Popen]) -> Iterator[None]:
    """While entered, signals go to the workers. A terminal sends them SIGINT and SIGHUP itself."""

    def pass_on(signum: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signum)

    before = {signum: signal.signal(signum, pass_on) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
