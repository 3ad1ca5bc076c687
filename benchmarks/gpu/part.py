"""One part of a GPU run, as a process: python -m benchmarks.gpu.part NAME FILE SECONDS [--rehearse].

It writes each result to FILE the moment it is there, a line of JSON each, and prints a line about it.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("GLOG_minloglevel", "2")

import torch

import caffe
from caffe import context
from caffe.running import cuda_graphs

SUPPORT = Path(__file__).resolve().parents[2] / "tests" / "support"


class Scale(NamedTuple):
    """How large the work is: as it should be seen on a GPU, or small for the rehearsal."""

    rehearsal: bool
    narrow: int  # all widths but the scores' are divided by it
    size: tuple[int, int]  # of FCN-8s' pictures
    step_size: tuple[int, int]  # of FCN-32s' pictures
    runs: int  # pictures or steps that count
    compile: dict[str, Any]  # how torch.compile is called


FULL = Scale(False, 1, (500, 500), (375, 500), 30, {"mode": "reduce-overhead"})
SMALL = Scale(True, 64, (40, 50), (50, 75), 2, {"backend": "eager"})


class Report:
    """Tells results: on the screen, and in a file that is read while the part runs."""

    def __init__(self, file: Path, seconds: float):
        self.file = file
        self.folder = file.with_suffix("")  # for what the part writes besides
        self.folder.mkdir(exist_ok=True)
        self.end = time.monotonic() + seconds

    def __call__(self, key: str, value: Any, line: str) -> None:
        """Keep a result under `key`; a later one of the same key replaces it."""
        with open(self.file, "a") as file:
            file.write(json.dumps({"key": key, "value": value, "line": line}) + "\n")
        print(f"  {line}", flush=True)

    def seconds_left(self) -> float:
        """Until the part is stopped."""
        return self.end - time.monotonic()

    def attempt(self, key: str, call: Callable, *args: Any) -> Any:
        """What `call` returns; if it raises, that is the result, and the part goes on."""
        try:
            return call(*args)
        except Exception as error:  # whatever it is, the rest is still worth seeing
            text = f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]
            self(key, {"error": text}, f"{key}: FAILED, {text}")
            return None


def use_gpu(rehearsal: bool) -> None:
    """Compute on the GPU, or on the CPU in the role of one, with CUDA graphs in the same role."""
    sys.path.insert(0, str(SUPPORT))
    if not rehearsal:
        caffe.set_mode_gpu()
        return
    from devices import MOCK_GPU
    from recorder import Recorder

    from caffe.kernels import library

    library.available = lambda: False
    context.precisions = lambda where=None: list(context.PRECISIONS)
    context._device = MOCK_GPU
    cuda_graphs.record = Recorder()


def device(scale: Scale) -> torch.device:
    """Where the peers compute."""
    return torch.device("cpu" if scale.rehearsal else "cuda")


def synchronize() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_gib(scale: Scale) -> float | None:
    """GiB of the GPU's memory in use at most since the last call."""
    if scale.rehearsal:
        return None
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return round(peak, 3)


def main(name: str, file: str, seconds: str, *rehearse: str) -> None:
    """Run one part."""
    torch.manual_seed(1)
    caffe.set_random_seed(1)
    use_gpu(bool(rehearse))
    module = importlib.import_module(f"benchmarks.gpu.{name}")
    module.run(Report(Path(file), float(seconds)), SMALL if rehearse else FULL)


if __name__ == "__main__":
    main(*sys.argv[1:])
