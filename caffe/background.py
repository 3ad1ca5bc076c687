"""A thread that works ahead, and what a process made by fork needs."""

from __future__ import annotations

import os
import threading
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

_PATIENCE = 10  # seconds that the end of a net waits for a thread that still reads
_alive: weakref.WeakSet[Background] = weakref.WeakSet()


class Background(ThreadPoolExecutor):
    """One thread beside the one that computes, for a data layer that reads ahead.

    The thread holds its layer no longer than it works: a layer that nobody else holds is freed at
    once, and its thread ends. fork copies no thread: before it the work submitted last is waited for,
    and the child gets a thread of its own. So parent and child read on from the same place.
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
        """Let the thread call `call(*args, **kwargs)`; its result is the future's.

        A method of an object that is gone by then is not called; the result is None.
        """
        if hasattr(call, "__self__") and hasattr(call, "__func__"):
            self._last = super().submit(_call_method, weakref.WeakMethod(call), args, kwargs)
        else:
            self._last = super().submit(call, *args, **kwargs)
        return self._last

    def rest(self) -> None:
        """Wait until the thread works no more, for some seconds at most; not within it."""
        if self._last is not None and threading.current_thread() not in self._threads:
            wait([self._last], timeout=_PATIENCE)


def _call_method(weak: weakref.WeakMethod[Any], args: Any, kwargs: Any) -> Any:
    """Call a method, and hold its object no longer, nor let an error's traceback hold it."""
    method = weak()
    try:
        return None if method is None else method(*args, **kwargs)
    except BaseException as error:
        cause: BaseException | None = error
        while cause is not None:
            traceback.clear_frames(cause.__traceback__)
            cause = cause.__cause__ or cause.__context__
        raise
    finally:
        del method


def rest(things: list[Any]) -> None:
    """Wait until no thread works for any of these objects, which hold theirs as attributes."""
    for thing in things:
        for value in list(getattr(thing, "__dict__", {}).values()):
            if isinstance(value, Background):
                value.rest()


def _finish() -> None:
    wait([each._last for each in _alive if each._last])


def _restart() -> None:
    for each in list(_alive):
        each._start()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_finish, after_in_child=_restart)
