"""The training loop: rounds of steps and scoring, and an end that loses nothing."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import caffe
from fcn import cli, scoring
from fcn.progress import Progress
from fcn.runs import Run, now
from fcn.stopping import Abandoned, Stopped, Stopping

DONE = "done"


class Failed(RuntimeError):
    """An error ended a run, after its first step."""

    exit_code = 1


class Training:
    """A run's steps up to `last`, scored every `steps`; `scored` maps score blobs to label blobs.

    `ids` are the pictures that are scored; `per_pixel` says that the loss is a mean over pixels.
    """

    def __init__(
        self,
        run: Run,
        solver: Any,
        scored: Mapping[str, str],
        ids: Sequence[str],
        last: int,
        steps: int,
        per_pixel: bool,
    ):
        self.of, self.solver, self.scored, self.ids = run, solver, scored, ids
        self.last, self.steps, self.per_pixel = last, steps, per_pixel
        record = run.record()
        self.head = {
            "run": run.name,
            "seed": record.get("seed"),
            "start_sha1": record.get("start_sha1", ""),
        }

    def run(self) -> int:
        """Train to the end, or to a signal or an error; save; returns the exit code.

        KeyboardInterrupt counts as SIGINT. An error is said once what was learned is saved.
        """
        with Stopping(self.solver, self.of.folder) as stopping:
            caffe.log(f"Solving {self.of.name}")  # by this line Caffe's tools know a training log
            error: Exception | None = None
            try:
                self.rounds(stopping)
            except Stopped:
                pass
            except KeyboardInterrupt:
                stopping.receive(2)
            except Abandoned:
                return self.abandoned(stopping)
            except Exception as raised:  # whatever it is, what was learned is not lost
                error = raised
            try:
                self.save()
            except Abandoned:
                return self.abandoned(stopping)
            return self.told(stopping, error)

    def rounds(self, stopping: Stopping) -> None:
        """Step and score until `last`, or until a signal came."""
        solver, log = self.solver, self.of.folder / "log.csv"
        with Progress(solver, self.last, log, self.head, self.per_pixel) as progress:
            while solver.iter < self.last:
                solver.step(self.steps - solver.iter % self.steps)
                with stopping.outside_of_steps():
                    self.score()
                progress.pause()

    def score(self) -> None:
        """Score the weights as they are, and add the scores to scores.jsonl."""
        about = self.head | {"time": now(), "rate": self.solver.lr}
        record = self.of.folder / "scores.jsonl"
        for layer, gt in self.scored.items():
            scoring.seg_tests(self.solver, False, self.ids, layer, gt, record, about)

    # ---- the end

    def save(self) -> None:
        """Write a snapshot, unless the last step has."""
        every = self.solver.param.snapshot
        if self.solver.iter and not (every and self.solver.iter % every == 0 and self.saved()):
            self.solver.snapshot()

    def saved(self) -> bool:
        """Whether there is a snapshot of this iteration."""
        return any(self.of.folder.glob(f"*_iter_{self.solver.iter}.solverstate*"))

    def told(self, stopping: Stopping, error: Exception | None) -> int:
        """Say and note how the run ended; returns the exit code."""
        where = f"iteration {self.solver.iter}, saved in {self.of.folder}"
        if error is not None:
            self.of.ended(f"{type(error).__name__}: {error}", self.solver.iter)
            if not self.solver.iter:  # nothing was learned
                raise error
            raise Failed(f"{cli.sentence(error)}\nthe run ended at {where}") from error
        if stopping.signum is not None:
            self.of.ended(stopping.name, self.solver.iter)
            print(f"{stopping.name} at {where}; go on with --resume", flush=True)
            return stopping.exit_code
        self.of.ended(DONE, self.solver.iter)
        return 0

    def abandoned(self, stopping: Stopping) -> int:
        """Say that nothing more was saved; returns the exit code."""
        states = self.of.states()
        kept = f"the last snapshot is {states[0]}" if states else "there is no snapshot"
        print(f"stopped at iteration {self.solver.iter} without saving: {kept}", file=sys.stderr)
        self.of.ended(f"{stopping.name} twice", self.solver.iter)
        return stopping.exit_code
