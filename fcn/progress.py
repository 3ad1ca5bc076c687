"""Progress: what a person sees of a training run, and log.csv.

On a terminal one line that changes, in a log a line a display: iteration, loss per pixel beside Caffe's
loss, rate, pictures a second, time left.
"""

import csv
import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fcn.datasets.dataset import VOID
from fcn.runs import now

EVERY = 20  # steps a display, for solvers with display: 0
COLUMNS = (
    "run",
    "iteration",
    "time",
    "rate",
    "seed",
    "start_sha1",
    "loss",
    "smoothed_loss",
    "loss_per_pixel",
    "pictures_per_second",
)


@dataclasses.dataclass
class Display:
    """What is known of a run at a display."""

    iteration: int
    rate: float
    loss: float  # of the last step
    smoothed_loss: float
    loss_per_pixel: float
    pictures_per_second: float


class Progress:
    """Watches a solver's steps by its callbacks; `last` of them is where the run ends.

    `head` has the columns of log.csv that stay as they are; `per_pixel` says that the loss is a mean over
    pixels already. `check` is called at each display.
    """

    def __init__(
        self,
        solver: Any,
        last: int,
        file: Path,
        head: Mapping[str, Any],
        per_pixel: bool,
        check: Callable[[Display], None] = lambda display: None,
    ):
        self.solver, self.last, self.file, self.head, self.check = solver, last, file, head, check
        self.every = solver.param.display or EVERY
        self.pictures = solver.param.iter_size
        self.per_pixel = per_pixel
        self.bar: tqdm | None = None
        self.clock, self.counted = time.perf_counter(), solver.iter
        self.started, self.first = self.clock, solver.iter
        solver.add_callback(lambda: None, self.after_pass)

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            self.bar = tqdm(total=self.last, initial=self.solver.iter, unit="step", mininterval=0.5)
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def after_pass(self) -> None:
        """A step's passes are done, and its update is to come."""
        if self.bar is not None:
            self.bar.update(1)
        if self.solver.iter % self.every == 0:
            self.show(self.display())

    def pause(self) -> None:
        """Do not count the time until the next display, which goes to scoring."""
        self.clock, self.counted = time.perf_counter(), self.solver.iter

    def display(self) -> Display:
        """The numbers of this moment."""
        solver, moment = self.solver, time.perf_counter()
        steps = solver.iter - self.counted
        speed = self.pictures * steps / (moment - self.clock) if steps else 0.0
        self.clock, self.counted = moment, solver.iter
        smoothed = float(solver.smoothed_loss)
        net = solver.net
        loss = sum(
            float(net.blobs[name].data.sum()) * weight
            for name, weight in net.blob_loss_weights.items()
            if weight
        )
        divisor = 1 if self.per_pixel else max(pixels_of(net), 1)
        return Display(solver.iter, solver.lr, loss, smoothed, loss / divisor, speed)

    def show(self, display: Display) -> None:
        """Write a line of log.csv and one for people; then `check`."""
        self.write(display)
        if self.bar is not None:
            self.bar.set_postfix_str(self.numbers(display))
        else:
            at = f"iteration {display.iteration} of {self.last}"
            print(f"{at}: {self.numbers(display)}{self.time_left(display)}", flush=True)
        self.check(display)

    def write(self, display: Display) -> None:
        """Add a line to log.csv; OSError that names the file if it cannot be written."""
        try:
            new = not self.file.exists() or not self.file.stat().st_size
            with open(self.file, "a", newline="") as file:
                table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if new:
                    table.writeheader()
                table.writerow({**self.head, "time": now(), **dataclasses.asdict(display)})
        except OSError as error:
            raise OSError(f"{self.file.absolute()}: {error.strerror}") from None

    def numbers(self, display: Display) -> str:
        """The display as text."""
        whole = "" if self.per_pixel else f" ({display.loss:.6g} in all)"
        speed = display.pictures_per_second  # 0 at the first display, which measures none
        return (
            f"loss {display.loss_per_pixel:.4f} a pixel{whole}, smoothed {display.smoothed_loss:.6g}, "
            f"rate {display.rate:g}" + (f", {speed:.3g} pictures/s" if speed else "")
        )

    def time_left(self, display: Display) -> str:
        """`, 0:10:00 left` of the steps, from the speed of this run so far."""
        done = display.iteration - self.first
        if not done:
            return ""
        seconds = (time.perf_counter() - self.started) / done * (self.last - display.iteration)
        return f", {timedelta(seconds=round(seconds))} left"


def pixels_of(net: Any) -> int:
    """Labelled pixels of the current picture; of a foreign data layer's, all of its pixels.

    The host's own copy is counted: a look at the blob would wait for a GPU.
    """
    layer = net.layers[0]
    arrays = getattr(layer, "arrays", None)
    if arrays is not None:
        return sum(int((array != VOID).sum()) for array in arrays if array.dtype.kind in "iu")
    first = next(iter(net.blobs.values()))
    return first.shape[-1] * first.shape[-2] if len(first.shape) == 4 else 1
