"""Stopping: a signal ends a run with a snapshot, and a second one ends it without."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Stopped(BaseException):
    """A signal came while the solver was not in a step."""


class Abandoned(BaseException):
    """A second signal came: nothing more is saved."""


class Stopping:
    """While entered, SIGINT, SIGTERM and SIGHUP ask the solver to stop after its step.

    `signum` is the signal that came, or None.
    """

    def __init__(self, solver: Any, folder: Path):
        self.solver, self.folder = solver, folder
        self.signum: int | None = None
        self.at_once = False

    def __enter__(self) -> "Stopping":
        self.before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():  # only there signals arrive
            self.before = {each: signal.signal(each, self.receive) for each in SIGNALS}
        self.solver.action = lambda: "none" if self.signum is None else "stop"
        return self

    def __exit__(self, *error: object) -> None:
        for signum, handler in self.before.items():
            signal.signal(signum, handler)

    def receive(self, signum: int, frame: FrameType | None = None) -> None:
        """What a signal does."""
        if self.signum is not None:
            raise Abandoned
        self.signum = signum
        say(f"\n{self.name}: saving to {self.folder}, press again to stop without\n")
        if self.at_once:
            raise Stopped

    @property
    def name(self) -> str:
        """The signal's name; `none` before one came."""
        return signal.Signals(self.signum).name if self.signum else "none"

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP, as shells have it; 0 without a signal."""
        return 128 + self.signum if self.signum else 0

    @contextlib.contextmanager
    def outside_of_steps(self) -> Iterator[None]:
        """What is done inside, such as scoring, takes minutes and ends at once, by Stopped."""
        self.at_once = True
        try:
            if self.signum is not None:
                raise Stopped
            yield
        finally:
            self.at_once = False


def say(text: str) -> None:
    """Write to standard error from a signal's handler, where print must not be called.

    If the terminal is gone, whatever is printed later goes nowhere, and the run can still save.
    """
    try:
        os.write(2, text.encode())
    except OSError:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
