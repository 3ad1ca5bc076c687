"""Watch: looks at a solver while it trains, and says what is wrong in the words of the net."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import caffe
import fcn.watching.scored as said
from fcn.findings import Finding
from fcn.watching.causes import Cause
from fcn.watching.dying import Dying
from fcn.watching.finite import Poisoned, not_finite, require_finite
from fcn.watching.losses import Scores
from fcn.watching.mismatch import LOOKS, STEPS, Labels, why_unlike
from fcn.watching.pace import HARDLY, STRETCH, Pace, no_rate, too_large
from fcn.watching.poison import poison
from fcn.watching.signatures import a_pixel, is_saturated, is_uniform
from fcn.watching.snapshots import CALM, GUESSES, Snapshot, Snapshots
from fcn.watching.why import PATIENCE, Losses, Why

EVERY = 20  # iterations between looks where the solver displays nothing
LOOK_EVERY = 10  # iterations between looks at rectified maps, which wait for nothing
LEARNED = 0.7  # a training loss below this share of a guess's is that of a net that has learned
SHARE = 0.005  # of the time, that looks may take

LOOKER: Any = getattr(caffe, "diagnosis", None)  # BVLC's pycaffe has none


class Watch:
    """Watches a solver from now on: its passes by callbacks, its snapshots before they are written.

    `classes` is {score blob: number of classes}, `pixels` a picture's labelled pixels, if known,
    `start` the scores of the net that training starts from, {score blob: record}. `last_good` is the
    snapshot that the run goes on from, its .solverstate or .caffemodel, `begun_from` the weights of a
    run that starts afresh. Findings go to `tell`, each once. Poisoned is raised, out of
    `solver.step`, when a loss is no number (with `gradients`, when a gradient is none, too), and by
    `solver.snapshot` then or when weights are none.
    """

    def __init__(
        self,
        solver: Any,
        classes: Mapping[str, int],
        pixels: float | None = None,
        tell: Callable[[Finding], object] = print,
        start: Mapping[str, Mapping[str, Any]] | None = None,
        last_good: str | Path | None = None,
        begun_from: Sequence[str | Path] = (),
        gradients: bool = False,
    ):
        self.solver, self.pixels, self.tell = solver, pixels, tell
        self.scores = {name: Scores.of(solver.net, name, count) for name, count in classes.items()}
        self.start = start or {}
        self.snapshots = Snapshots(last_good)
        self.begun_from = begun_from or ([last_good] if last_good else [])
        self.begun_at = solver.iter
        self.poisoned: Poisoned | None = None
        self.gradients = gradients and LOOKER is not None
        self.told: set[tuple[str, str]] = set()
        self.spent, self.clock = 0.0, time.perf_counter()
        self.every = getattr(getattr(solver, "param", None), "display", 0) or EVERY
        self.uniform_since: dict[str, int] = {}
        self.labels = Labels(classes)
        self.collapses = dict.fromkeys(classes, 0)  # in a row
        self.largest: dict[str, float] = {}  # weight of each layer, when last looked at
        self.largest_at = solver.iter
        self.looked_for_zeros = False
        require_finite(solver.net, "the starting weights")
        self.why: Why | None = None
        if LOOKER:
            self.first = LOOKER.FirstNotFinite(solver)
            self.pace = Pace(solver, self.area_of_a_sum)
            self.dying = Dying(lambda: LOOKER.Activity(solver.net))
            self.why = Why(solver, self.pace, self.dying, self.snapshots)
            self.largest = LOOKER.weight_magnitudes(solver.net)
        self.write = solver.snapshot
        solver.snapshot = self.snapshot
        solver.add_callback(lambda: None, self.after_pass)

    def area_of_a_sum(self) -> float:
        """The pixels that a loss is summed over; 1 if all are means."""
        sums = [each.area(self.solver.net) for each in self.scores.values() if each.summed]
        return max(sums, default=1.0)

    # ---- what the solver calls

    def after_pass(self) -> None:
        """Look at a pass, before the update: at each loss on a CPU, at all else now and then."""
        now = self.solver.iter
        due = now % self.every == 0 or now == self.begun_at
        if LOOKER and self.first.after_pass() and not due:
            self.refuse()
        if LOOKER and now == self.begun_at:
            self.in_time(self.dying.first_pass)
        if LOOKER and now % LOOK_EVERY == 0:
            self.in_time(self.dying.activity.add)
        if due:
            self.check()
        elif LOOKER and self.first.looked_at == now:  # on a CPU
            self.judge_snapshots(self.first.losses)
            if now % LOOK_EVERY == 0:
                self.in_time(self.look_at_first_labels)
        if self.gradients and (where := LOOKER.gradient_not_finite(self.solver.net)):
            self.refuse(f"{where}, at iteration {now}")

    def in_time(self, look: Callable[[], Any]) -> Any:
        """Call something that costs time, unless such looks have had their share; what it returns."""
        before = time.perf_counter()
        if self.spent > SHARE * (before - self.clock):
            return None
        result = look()
        self.spent += time.perf_counter() - before
        return result

    def snapshot(self) -> None:
        """The solver's `snapshot`, but nothing is written that is no number."""
        if self.poisoned:
            raise self.poisoned
        if not_finite(self.solver.net):
            self.refuse()
        self.write()
        param = getattr(self.solver, "param", None)
        if param is not None:
            end = ".h5" if param.snapshot_format == param.HDF5 else ""
            stem = f"{param.snapshot_prefix}_iter_{self.solver.iter}"
            self.snapshots.written(Snapshot(f"{stem}.caffemodel{end}", f"{stem}.solverstate{end}"))

    def judge_snapshots(self, losses: Mapping[str, float]) -> None:
        """Let the losses of this pass tell whether the snapshots before it are good."""
        known = [(each.loss, each.guess(self.solver.net)) for each in self.scores.values()]
        guesses = {loss: guess for loss, guess in known if loss and guess}
        well = not LOOKER or self.dying.found is None
        self.snapshots.passed(self.solver.iter, losses, guesses, well)

    # ---- looks

    def check(self) -> list[Finding]:
        """Look at the last pass; returns what was found and told. Raises Poisoned if a loss is NaN."""
        values = self.read_losses()
        self.judge_snapshots(values)
        if not all(map(math.isfinite, values.values())):
            self.refuse()
        found = self.look_at_losses(values)
        if LOOKER and not self.looked_for_zeros:
            self.looked_for_zeros = True
            found += said.stuck(caffe.learnable.stuck(self.solver.net))
        if LOOKER:
            found += self.in_time(self.look_deeper) or []
        return self.tell_all(found)

    def read_losses(self) -> dict[str, float]:
        """{loss blob: value} of the last pass."""
        if LOOKER:
            self.first.look()
            return self.first.losses
        net, names = self.solver.net, [each.loss for each in self.scores.values()]
        return {name: float(net.blobs[name].data.sum()) for name in filter(None, names)}

    def look_at_losses(self, values: Mapping[str, float]) -> list[Finding]:
        """Uniform, saturated and exploded scores, by the training losses; labels of one class."""
        found: list[Finding] = []
        for name, each in self.scores.items():
            loss = values.get(each.loss or "")
            if loss is None:
                continue
            young = self.labels.looks[name] < LOOKS
            wanted = young or each.summed is not False and loss > math.log(each.classes)
            pixels = self.look_at_labels(each) if wanted else self.pixels
            only = self.labels.only(name)
            if only is not None:
                found.append(said.one_true_class(name, only, "labels it trains on"))
            if is_saturated(loss, pixels, each.summed):
                found.append(said.saturated(name, loss, pixels, self.too_large()))
            else:
                found += self.exploded(each, loss, pixels)
            found += self.uniform(each, loss, pixels)
        return found

    def look_at_first_labels(self) -> None:
        """Note the labels of a batch, as long as there were few looks."""
        for name, each in self.scores.items():
            if self.labels.looks[name] < LOOKS:
                self.look_at_labels(each)

    def look_at_labels(self, scores: Scores) -> float | None:
        """Note the classes of the last batch's labels; how many labels of a picture count."""
        if scores.labels is None:
            return self.pixels
        return self.labels.add(scores.name, self.solver.net.blobs[scores.labels].data)

    def exploded(self, scores: Scores, loss: float, pixels: float | None) -> list[Finding]:
        """A loss that was right in the first pass and has been far too large for a while."""
        since = self.snapshots.exploded_since
        cause = self.too_large() if since is not None else None
        if cause is None or since is None or self.solver.iter - since < 2 * CALM:
            return []
        each = a_pixel(loss, pixels, scores.summed)
        times = min(each, default=0.0) / math.log(scores.classes)
        if times <= GUESSES:
            return []
        return [said.exploded(scores.name, times, self.solver.iter - since, cause)]

    def too_large(self) -> Cause | None:
        """The rate as the cause of a loss that is far too large; None if the start had it so."""
        return self.why.too_large() if self.why else too_large(self.solver)

    def uniform(self, scores: Scores, loss: float, pixels: float | None) -> list[Finding]:
        """Scores that are the same for all classes, once the cause is certain or time has passed."""
        now, name = self.solver.iter, scores.name
        if not is_uniform(loss, scores.classes, pixels, scores.summed):
            self.uniform_since.pop(name, None)
            return []
        steps = now - self.uniform_since.setdefault(name, now)
        cause = self.why.equal(name) if self.why and steps else None
        if not steps or (cause is None and steps < PATIENCE):
            return []
        return [said.uniform(name, scores.classes, loss, steps, cause)]

    def look_deeper(self) -> list[Finding]:
        """The size of the weights, how far they move, and dead channels."""
        self.largest = LOOKER.weight_magnitudes(self.solver.net)
        self.largest_at = self.solver.iter
        found = [self.dying.look()]
        moved = self.pace.measure()
        slow = self.pace.too_slow(moved) if self.pace.is_still(moved) else None
        if slow and moved.steps >= STRETCH and not self.uniform_since:
            found.append(said.still(slow))
        if reason := no_rate(self.solver):
            found.append(said.no_rate(reason, self.solver.lr))
        return [each for each in found if each]

    # ---- scores

    def scored(
        self,
        layer: str,
        hist: Any,
        loss: float,
        result: Mapping[str, Any],
        images: int | None = None,
    ) -> list[Finding]:
        """What the scores of a layer tell; told, too. Raises Poisoned if the loss is NaN.

        `hist` is the confusion matrix, `loss` the mean over the `images`, `result` their measures.
        """
        if not math.isfinite(loss) and np.asarray(hist).any():
            self.refuse(f"the loss of {layer} is {loss:g} on the scored pictures")
        images = images or result.get("images")
        pixels = float(np.asarray(hist).sum()) / images if images else self.pixels
        own = self.scores.get(layer)
        summed, steps = own and own.summed, self.solver.iter - self.begun_at
        losses = self.losses_of(own, loss, pixels)
        cause = self.too_large()
        if losses.trained < losses.guess and steps >= STEPS:
            cause = why_unlike(losses.trained, losses.scored, losses.guess)
        found = said.from_scores(layer, hist, loss, result, pixels, summed, cause)
        if LOOKER:
            found += self.in_time(self.look_deeper) or []
        found += self.labels.differ(layer, hist, losses.trained < LEARNED * losses.guess)
        moved = not LOOKER or self.pace.since_start() >= HARDLY
        low = said.below_start(layer, result, self.start.get(layer), steps, moved)
        flat = said.collapsed(layer, hist, loss, result, pixels, summed)
        self.collapses[layer] = self.collapses.get(layer, 0) + 1 if flat else 0
        found += self.explained(layer, flat, low, losses, found)
        return self.tell_all(found)

    def losses_of(self, scores: Scores | None, loss: float, pixels: float | None) -> Losses:
        """The losses a pixel of a scoring, of training and of equal scores; nan if nobody knows."""
        guess = scores.guess(self.solver.net) if scores else None
        if scores is None or scores.loss is None or not guess:
            return Losses(math.nan, math.nan, math.nan)
        least = math.log(scores.classes)
        trained = self.snapshots.usual(scores.loss) / guess * least
        return Losses(min(a_pixel(loss, pixels, scores.summed), default=0.0), trained, least)

    def explained(
        self,
        layer: str,
        flat: Finding | None,
        low: Finding | None,
        losses: Losses,
        found: Sequence[Finding],
    ) -> list[Finding]:
        """Scores that are one class or below the start, with the cause that holds, if one does."""
        differ = next((each for each in found if each.kind == "labels.differ"), None)
        if differ:
            rest = differ.way_out
            return [Finding(low.kind, low.level, low.what, low.evidence, rest)] if low else []
        why = self.why if self.solver.iter > self.begun_at else None
        result = []
        if flat:
            cause = why.one_class(layer, losses) if why else None
            if cause:
                result.append(said.because(flat, cause))
            elif not found and not low:
                result.append(said.again(flat, self.collapses[layer]))
        if low:
            cause = why.below_start(losses) if why else None
            result.append(said.because(low, cause) if cause else low)
        return result

    # ---- what is said

    def tell_all(self, found: list[Finding]) -> list[Finding]:
        """Tell what has not been told before; returns that."""
        new = []
        for finding in found:
            key = (finding.kind, finding.what)
            if key not in self.told:
                self.told.add(key)
                new.append(finding)
                self.tell(finding)
        return new

    def refuse(self, what: str = "") -> None:
        """Tell that training is poisoned, once, and raise Poisoned."""
        if self.poisoned is None:
            finding = self.poison(what)
            self.poisoned = Poisoned(
                f"{finding.what} ({finding.evidence}). Way out: {finding.way_out}"
            )
            self.tell_all([finding])
        raise self.poisoned

    def poison(self, what: str) -> Finding:
        """The finding about values that are no numbers."""
        source, largest = None, ""
        at_start = self.solver.iter == self.begun_at
        if LOOKER:
            self.first.look()
            source = self.first.origin or LOOKER.origin(self.solver.net)
            if self.first.iteration is not None:
                bad = [f"{k} is {v:g}" for k, v in self.first.losses.items() if v - v != 0]
                what = what or f"{', '.join(bad)} at iteration {self.first.iteration}"
                at_start = self.first.iteration == self.begun_at
        what = what or f"a loss or weights are not finite at iteration {self.solver.iter}"
        if self.largest:
            name = max(self.largest, key=self.largest.__getitem__)
            largest = f"largest weight at {self.largest_at}: {self.largest[name]:.3g}, of {name}"
        begun = [Snapshot.of(file).weights for file in self.begun_from]
        return poison(self.solver, what, source, largest, self.snapshots, begun, at_start)
