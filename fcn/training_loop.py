"""The training loop: rounds of steps and scoring, watched, and an end that loses nothing."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import caffe
from fcn import cli, report, scoring, together
from fcn.assisting import stopped_by_another
from fcn.findings import NOTE, Finding
from fcn.measures import MEASURES, scores
from fcn.progress import Display, Progress
from fcn.report.caffe_log import log_scores
from fcn.report.events import Events
from fcn.report.pictures import Keeper
from fcn.runs import Run, now
from fcn.stopping import Abandoned, Stopped, Stopping
from fcn.watching import Poisoned, Watch

DONE = "done"
SAID = ("collapsed",)  # kinds of notes that scoring has printed


class Failed(RuntimeError):
    """An error ended a run, after its first step."""

    exit_code = 1


class Plan(NamedTuple):
    """What a run does: `scored` maps score blobs to label blobs, `ids` are the scored pictures."""

    scored: Mapping[str, str]
    ids: Sequence[str]
    last: int  # iteration
    steps: int  # between two scorings
    per_pixel: bool  # whether the loss is a mean over pixels already
    start: Mapping[str, Mapping[str, Any]]  # score blob -> the scores that the run starts from
    last_good: str | None  # the snapshot that the run goes on from
    begun_from: Sequence[str]  # or the weights that it starts from
    unscored: bool  # whether that is the end of a round whose scores are missing
    keep: int | None = None  # snapshots; None: all
    stops_unsaved: bool = False  # whether a snapshot that cannot be written ends the run
    checks_gradients: bool = False  # in each step
    # what a recipe does after each round but the last
    after_round: Callable[[Any, Path], None] | None = None


class Teller:
    """Prints findings, each with its way out, and keeps them in findings.jsonl."""

    def __init__(self, run: Run, solver: Any):
        self.file, self.solver = run.folder / "findings.jsonl", solver

    def __call__(self, finding: Finding) -> None:
        """Tell one finding."""
        head = {"time": now(), "iteration": self.solver.iter}
        fields = dict(zip(Finding.__annotations__, finding))
        with open(self.file, "a") as file:
            file.write(json.dumps(head | fields) + "\n")
        if finding.kind not in SAID or finding.level != NOTE:
            print(f"{finding.level}: {finding}", file=sys.stderr, flush=True)


class Training:
    """A run's steps and scorings, from where its solver is to the plan's end."""

    ending = False  # whether it saves for the last time

    def __init__(self, run: Run, solver: Any, plan: Plan):
        self.of, self.solver, self.plan = run, solver, plan
        record = run.record()
        self.head = {
            "run": run.name,
            "seed": record.get("seed"),
            "start_sha1": record.get("start_sha1", ""),
        }
        classes = {layer: solver.test_nets[0].blobs[layer].data.shape[1] for layer in plan.scored}
        tell = Teller(run, solver)
        self.watch = Watch(
            solver,
            classes,
            tell=tell,
            start=plan.start,
            last_good=plan.last_good,
            begun_from=plan.begun_from,
            gradients=plan.checks_gradients,
        )
        self.events = Events(run.folder)
        self.write, solver.snapshot = solver.snapshot, self.snapshot

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
            except Poisoned as poisoned:
                error = poisoned
            except Exception as raised:
                error = error or raised
            stopping.saved = True
            return self.told(stopping, error)

    def rounds(self, stopping: Stopping) -> None:
        """Step and score until the last iteration, or until a signal came."""
        solver, plan = self.solver, self.plan
        log = self.of.folder / "log.csv"
        with Progress(solver, plan.last, log, self.head, plan.per_pixel, self.shown) as progress:
            if plan.unscored:
                with stopping.outside_of_steps():
                    self.score()
            while solver.iter < plan.last:
                target = solver.iter + plan.steps - solver.iter % plan.steps
                solver.step(target - solver.iter)
                if together.group() is not None:
                    stopped_by_another(solver, target, stopping)
                with stopping.outside_of_steps():
                    self.score()
                    if plan.after_round and solver.iter < plan.last:
                        plan.after_round(solver.net, Path.cwd())
                progress.pause()

    def shown(self, display: Display) -> None:
        """A display was shown: pass it on to TensorBoard."""
        self.events.scalar("loss/per pixel", display.loss_per_pixel, display.iteration)
        self.events.scalar("rate", display.rate, display.iteration)

    def score(self) -> None:
        """Score the weights as they are: scores.jsonl, findings, pictures, the report."""
        solver, ids = self.solver, self.plan.ids
        about = self.head | {"time": now(), "rate": solver.lr}
        record = self.of.folder / "scores.jsonl"
        mean = getattr(solver.test_nets[0].layers[0], "mean", None)
        for layer, gt in self.plan.scored.items():
            keeper = Keeper(self.of.folder, layer, solver.iter, mean=mean)
            hist = scoring.seg_tests(solver, False, ids, layer, gt, record, about, keeper)
            result = scores(hist)
            loss = scoring.read_records(record)[-1]["loss"]
            loss = float("nan") if loss is None else loss
            log_scores(solver.iter, layer, loss, result)
            self.watch.scored(layer, hist, loss, result, images=len(ids))
            for measure in MEASURES:
                name = f"{layer}/{measure.replace('_', ' ')}"
                self.events.scalar(name, result[measure], solver.iter)
        self.events.flush()
        if solver.iter < self.plan.last:  # the end writes one, too
            report.write_or_say(self.of.folder)

    def snapshot(self) -> None:
        """The solver's `snapshot`; one that cannot be written ends the run only where it is to."""
        plan, at = self.plan, self.solver.iter
        try:
            self.write()
        except OSError as error:
            if plan.stops_unsaved or at >= plan.last or self.ending:
                raise
            states = self.of.states()
            kept = f"the last one is {states[0]}" if states else "there is none yet"
            print(
                f"warning: no snapshot of iteration {at} ({cli.sentence(error)}); {kept}; training goes on",
                file=sys.stderr,
                flush=True,
            )
            return
        if plan.keep:
            self.of.forget_all_but(plan.keep, self.watch.snapshots.spared())

    # ---- the end

    def save(self) -> None:
        """Write a snapshot, unless the last step has, or nothing was learned that is a number."""
        self.ending = True
        every = self.solver.param.snapshot
        written = every and self.solver.iter % every == 0 and self.saved()
        if self.solver.iter and not written and self.watch.poisoned is None:
            self.solver.snapshot()

    def saved(self) -> bool:
        """Whether there is a snapshot of this iteration."""
        return any(self.of.folder.glob(f"*_iter_{self.solver.iter}.solverstate*"))

    def told(self, stopping: Stopping, error: Exception | None) -> int:
        """Say and note how the run ended; returns the exit code."""
        at = self.solver.iter
        where = f"iteration {at}, " + (
            f"saved in {self.of.folder}" if self.saved() else "not saved"
        )
        if error is not None:
            self.end(f"{type(error).__name__}: {error}")
            if isinstance(error, Poisoned):  # the finding has said why
                self.of.doubt(Path(each.state) for each in self.watch.snapshots.doubtful)
                raise Failed(f"the run ended at {where}, for the reason above") from error
            if not at:  # nothing was learned
                raise error
            raise Failed(f"{cli.sentence(error)}\nthe run ended at {where}") from error
        if stopping.signum is not None:
            self.end(stopping.name)
            print(f"{stopping.name} at {where}; go on with --resume", flush=True)
            return stopping.exit_code
        self.end(DONE)
        return 0

    def abandoned(self, stopping: Stopping) -> int:
        """Say that nothing more was saved; returns the exit code."""
        stopping.saved = True  # or never will be
        states = self.of.states()
        kept = f"the last snapshot is {states[0]}" if states else "there is no snapshot"
        print(f"stopped at iteration {self.solver.iter} without saving: {kept}", file=sys.stderr)
        self.end(f"{stopping.name} twice")
        return stopping.exit_code

    def end(self, how: str) -> None:
        """Note how the run ended in its record and its report."""
        self.of.ended(how, self.solver.iter)
        self.events.close()
        if (self.of.folder / "scores.jsonl").exists():
            report.write_or_say(self.of.folder)
