"""A thread that works ahead, and what a process made by fork needs."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

_alive: weakref.WeakSet[Background] = weakref.WeakSet()


class Background(ThreadPoolExecutor):
    """One thread beside the one that computes, for a data layer that reads ahead.

    fork copies no thread: before it the work submitted last is waited for, and the child gets a
    thread of its own. So parent and child read on from the same place.
    """

    def __init__(self, name: str) -> None:
        """`name` is what the thread's own begins with."""
        self._name = name
        self._last: Future[Any] | None = None
        self._start()
        _alive.add(self)

    def _start(self) -> None:
        super().__init__(1, thread_name_prefix=self._name)

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Let the thread call `call(*args, **kwargs)`; its result is the future's."""
        self._last = super().submit(call, *args, **kwargs)
        return self._last


def _finish() -> None:
    wait([each._last for each in _alive if each._last])


def _restart() -> None:
    for each in list(_alive):
        each._start()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_finish, after_in_child=_restart)
