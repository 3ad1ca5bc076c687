"""Timer: how long something took on the device that computes (src/caffe/util/benchmark.cpp)."""

import time
from typing import Any

import torch

from . import context


class Timer:
    """`start`, `stop`, then `ms` or `seconds`; reading stops a running timer."""

    def __init__(self) -> None:
        self._started: Any = None  # clock readings
        self._stopped: Any = None

    def start(self) -> None:
        """Start, or start again."""
        self._started, self._stopped = _now(), None

    def stop(self) -> None:
        """Does nothing to a timer that does not run."""
        if self._started is not None and self._stopped is None:
            self._stopped = _now()

    @property
    def seconds(self) -> float:
        """Seconds between start and stop; 0 for a timer that was never started."""
        if self._started is None:
            return 0.0
        self.stop()
        return self._stopped - self._started

    @property
    def ms(self) -> float:
        """Milliseconds between start and stop."""
        return 1e3 * self.seconds


def _now():
    if context.device().type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
