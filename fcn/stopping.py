"""Stopping: a signal ends a run with a snapshot, and a second one ends it without."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


PASSED_ON = 10  # seconds in which a signal may come again, passed on to several workers


class Stopped(BaseException):
    """A signal came while the solver was not in a step."""


class Abandoned(BaseException):
    """A second signal came: nothing more is saved."""


class Interrupted(BaseException):
    """A signal came before the first step: there is nothing to save."""

    def __init__(self, signum: int):
        super().__init__(f"{signal.Signals(signum).name} before the first step: nothing to save")
        self.exit_code = exit_code_of(signum)


def exit_code_of(signum: int) -> int:
    """130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP, as shells have it."""
    return 128 + signum


class Stopping:
    """While entered, SIGINT, SIGTERM and SIGHUP ask the solver to stop after its step.

    `signum` is the signal that came, or None.
    """

    ended = False  # whether a signal has ended a run of this process

    def __init__(self, solver: Any, folder: Path):
        self.solver, self.folder = solver, folder
        self.signum: int | None = None
        self.since = 0.0
        self.at_once = self.saved = False

    def __enter__(self) -> "Stopping":
        self.before = handled_by(self.receive)
        self.solver.action = lambda: "none" if self.signum is None else "stop"
        return self

    def __exit__(self, *error: object) -> None:
        Stopping.ended = self.signum is not None
        restore(self.before)

    def receive(self, signum: int, frame: FrameType | None = None) -> None:
        """What a signal does: ask for the end, then for the end at once; nothing once it is saved."""
        if self.saved:
            return
        if self.signum is not None:
            # torchrun passes on what a terminal has sent to every process already
            together = int(os.environ.get("WORLD_SIZE") or 1) > 1
            if not together or time.monotonic() > self.since + PASSED_ON:
                raise Abandoned
            return
        self.signum, self.since = signum, time.monotonic()
        say(f"\n{self.name}: saving to {self.folder}, press again to stop without\n")
        if self.at_once:
            raise Stopped

    @property
    def name(self) -> str:
        """The signal's name; `none` before one came."""
        return signal.Signals(self.signum).name if self.signum else "none"

    @property
    def exit_code(self) -> int:
        """That of the signal; 0 without one."""
        return exit_code_of(self.signum) if self.signum else 0

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


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Signals end a command: Interrupted before the first step; then `Stopping` has them.

    After a run that a signal has ended, further ones do nothing: the exit code is the first one's.
    """
    Stopping.ended = False
    before = handled_by(interrupt)
    try:
        yield
    finally:
        if not Stopping.ended:
            restore(before)


def interrupt(signum: int, frame: FrameType | None = None) -> None:
    """What a signal does before and after the steps."""
    if not Stopping.ended:
        raise Interrupted(signum)


def handled_by(handler: Any) -> dict[int, Any]:
    """Let `handler` have the signals; returns the handlers before. Only the main thread gets any."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {each: signal.signal(each, handler) for each in SIGNALS}


def restore(handlers: dict[int, Any]) -> None:
    """Give the signals back."""
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


def say(text: str) -> None:
    """Write to standard error from a signal's handler, where print must not be called.

    If the terminal is gone, whatever is printed later goes nowhere, and the run can still save.
    """
    try:
        os.write(2, text.encode())
    except OSError:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for the rest of the process
