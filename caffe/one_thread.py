"""One thread at a time: two in one net would overwrite each other's maps without a word."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

_alive: weakref.WeakSet[OneThread] = weakref.WeakSet()


class OneThread:
    """Lets one thread at a time into a net; that thread may enter again, as callbacks do."""

    def __init__(self, net: str) -> None:
        """`net` is the net's name, for the error."""
        self._net = net
        self._inside: dict[str, threading.Thread] = {}
        self._depth = 0
        _alive.add(self)

    def __enter__(self) -> None:
        """Raises RuntimeError while another thread is inside."""
        mine = threading.current_thread()
        inside = self._inside.setdefault("thread", mine)  # one step, which no thread interrupts
        if inside is not mine:
            raise RuntimeError(
                f"net {self._net!r} is in use by thread {inside.name!r}, and thread {mine.name!r} asks "
                "for it: a net serves one thread at a time. Make a net a thread (share_with shares the "
                "weights), or hold a threading.Lock from setting the inputs to reading the outputs"
            )
        self._depth += 1

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._inside.clear()

    def _after_fork(self) -> None:
        """Forget a thread that fork has not copied."""
        if self._inside.get("thread") is not threading.current_thread():
            self._inside.clear()
            self._depth = 0


def _after_fork() -> None:
    for each in list(_alive):
        each._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class Guarded(Protocol):
    """What has methods that `alone` decorates."""

    @property
    def _one_thread(self) -> OneThread: ...


Owner = TypeVar("Owner", bound=Guarded)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Method = Callable[Concatenate[Owner, Arguments], Result]


def alone(method: Method[Owner, Arguments, Result]) -> Method[Owner, Arguments, Result]:
    """Method decorator: RuntimeError while another thread is inside the net."""

    @functools.wraps(method)
    def guarded(self: Any, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with self._one_thread:
            return method(self, *args, **kwargs)

    return guarded
