"""Watch: looks at a solver while it trains, and says what is wrong in the words of the net."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import caffe
import fcn.watching.scored as said
from fcn.findings import REFUSE, Finding
from fcn.watching.causes import Cause, why_equal
from fcn.watching.finite import Poisoned, not_finite, require_finite
from fcn.watching.losses import is_summed, labels_of, loss_of
from fcn.watching.signatures import is_saturated, is_uniform

EVERY = 20  # iterations between looks where the solver displays nothing
LOOK_EVERY = 10  # iterations between looks at rectified maps, which wait for nothing
SHARE = 0.005  # of the time, that looks may take
PATIENCE = 100  # iterations of uniform scores before a cause that grows is named
WINDOW = 5  # looks that tell whether a channel is dead
MOSTLY, NOT_YET = 0.9, 0.5  # shares of dead channels: so many now, so few at first
_LABELS = 10  # looks at the training labels

LOOKER: Any = getattr(caffe, "diagnosis", None)  # BVLC's pycaffe has none


class Watch:
    """Watches a solver from now on: its passes by callbacks, its snapshots before they are written.

    `classes` is {score blob: number of classes}, `pixels` a picture's labelled pixels, if known,
    `start` the scores of the net that training starts from, {score blob: record}. Findings go to
    `tell`, each once. Poisoned is raised, out of `solver.step`, when a loss is no number, and by
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
    ):
        self.solver, self.classes, self.pixels, self.tell = solver, classes, pixels, tell
        self.start, self.last_good = start or {}, last_good and str(last_good)
        self.poisoned: Poisoned | None = None
        self.begun_at = solver.iter
        self.told: set[tuple[str, str]] = set()
        self.spent, self.clock = 0.0, time.perf_counter()
        self.every = getattr(getattr(solver, "param", None), "display", 0) or EVERY
        self.losses = {name: loss_of(solver.net, name) for name in classes}
        self.summed = {name: is_summed(solver.net, loss) for name, loss in self.losses.items()}
        self.uniform_since: dict[str, int] = {}
        self.true_classes: dict[str, set[int]] = {name: set() for name in classes}
        self.label_looks = dict.fromkeys(classes, 0)
        self.largest: dict[str, float] = {}  # weight of each layer, when last looked at
        self.largest_at = solver.iter
        self.looked_for_zeros = False
        self.died: Finding | None = None  # the newest about dead channels
        self.mostly_dead: set[str] = set()  # layers, in the last window of looks
        self.first_dead: dict[str, float] | None = None
        require_finite(solver.net, "the starting weights")
        if LOOKER:
            self.first = LOOKER.FirstNotFinite(solver)
            self.movement = LOOKER.Movement(solver.net)
            self.activity = LOOKER.Activity(solver.net)
            self.largest = LOOKER.weight_magnitudes(solver.net)
        self.write = solver.snapshot
        solver.snapshot = self.snapshot
        solver.add_callback(lambda: None, self.after_pass)

    # ---- what the solver calls

    def after_pass(self) -> None:
        """Look at a pass, before the update: at each loss on a CPU, at all else now and then."""
        due = self.solver.iter % self.every == 0
        if LOOKER and self.first.after_pass() and not due:
            self.refuse()
        if LOOKER and self.solver.iter % LOOK_EVERY == 0:
            self.in_time(self.activity.add)
        if due:
            self.check()

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
        self.last_good = self.snapshot_name()

    def snapshot_name(self) -> str:
        """The weights that the solver writes at this iteration."""
        param = getattr(self.solver, "param", None)
        if param is None:
            return f"the snapshot of iteration {self.solver.iter}"
        is_hdf5 = param.snapshot_format == param.HDF5
        end = ".caffemodel.h5" if is_hdf5 else ".caffemodel"
        return f"{param.snapshot_prefix}_iter_{self.solver.iter}{end}"

    # ---- looks

    def check(self) -> list[Finding]:
        """Look at the last pass; returns what was found and told. Raises Poisoned if a loss is NaN."""
        values = self.read_losses()
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
            return LOOKER.losses(self.solver.net) | self.first.losses
        net = self.solver.net
        return {
            name: float(net.blobs[name].data.sum()) for name in filter(None, self.losses.values())
        }

    def look_at_losses(self, values: Mapping[str, float]) -> list[Finding]:
        """Uniform and saturated scores, by the training losses; labels of one class."""
        found, now = [], self.solver.iter
        for name, classes in self.classes.items():
            loss = values.get(self.losses[name] or "")
            if loss is None:
                continue
            summed, young = self.summed[name], self.label_looks[name] < _LABELS
            wanted = young or summed is not False and loss > math.log(classes)
            pixels = self.look_at_labels(name) if wanted else self.pixels
            found += self.one_class(name)
            if is_saturated(loss, pixels, summed):
                found.append(said.saturated(name, loss, pixels))
            if not is_uniform(loss, classes, pixels, summed):
                self.uniform_since.pop(name, None)
                continue
            since = self.uniform_since.setdefault(name, now)
            if since < now:
                found += self.uniform(name, loss, now - since)
        return found

    def look_at_labels(self, name: str) -> float | None:
        """Note the classes of the last batch's labels; how many labels of a picture count."""
        labels = labels_of(self.solver.net, self.losses[name])
        if labels is None:
            return self.pixels
        self.label_looks[name] += 1
        values = self.solver.net.blobs[labels].data
        valid = values[(values >= 0) & (values < self.classes[name])]
        if valid.size and len(self.true_classes[name]) < 2:
            self.true_classes[name] |= {int(valid.min()), int(valid.max())}
        return valid.size / len(values)

    def one_class(self, name: str) -> list[Finding]:
        """Training labels that were of one class in every look."""
        seen = self.true_classes[name]
        if self.label_looks[name] < _LABELS or len(seen) != 1:
            return []
        return [said.one_true_class(name, next(iter(seen)), "labels it trains on")]

    def uniform(self, name: str, loss: float, steps: int) -> list[Finding]:
        """Scores that are the same for all classes, once the cause is certain or time has passed."""
        cause = self.cause(name) if LOOKER else None
        certain = cause is not None and cause.kind != "rate"
        if not certain and steps < PATIENCE:
            return []
        return [said.uniform(name, self.classes[name], loss, steps, cause)]

    def cause(self, name: str) -> Cause | None:
        """Why the scores of the last training pass are equal."""
        rate = getattr(self.solver, "lr", 0.0)
        return why_equal(self.solver.net, name, self.movement.share(), rate)

    def look_deeper(self) -> list[Finding]:
        """The size of the weights, and dead channels."""
        self.largest = LOOKER.weight_magnitudes(self.solver.net)
        self.largest_at = self.solver.iter
        if self.activity.passes < WINDOW:
            return []
        dead, self.activity = self.activity.dead(), LOOKER.Activity(self.solver.net)
        if self.first_dead is None:
            self.first_dead = dead
        early = self.first_dead
        mostly = {
            layer
            for layer, share in dead.items()
            if share >= MOSTLY and early.get(layer, 1.0) <= NOT_YET
        }
        died = {k: v for k, v in dead.items() if v == 1 or k in mostly & self.mostly_dead}
        self.mostly_dead, self.died = mostly, None
        if not died:
            return []
        layer = max(died, key=died.__getitem__)  # of equal ones the lowest
        self.died = said.dead(layer, died[layer], early.get(layer, 1.0), WINDOW)
        return [self.died]

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
        summed, steps = self.summed.get(layer), self.solver.iter - self.begun_at
        found = said.from_scores(layer, hist, loss, result, pixels, summed)
        if LOOKER:
            found += self.in_time(self.look_deeper) or []
        collapsed = said.collapsed(layer, hist, loss, result, pixels, summed)
        if collapsed is not None:
            cause = self.cause(layer) if LOOKER and steps else None
            if cause is not None and (cause.kind != "rate" or steps >= PATIENCE):
                found.append(said.because(collapsed, cause))
            elif self.died:
                died = Cause("dead", self.died.what, self.died.way_out, self.died.evidence)
                found.append(said.because(collapsed, died))
            elif not found:
                found.append(collapsed)
        found += said.below_start(layer, result, self.start.get(layer), steps)
        return self.tell_all(found)

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
        solver, source = self.solver, None
        if LOOKER:
            self.first.look()
            source = self.first.origin or LOOKER.origin(solver.net)
            if self.first.losses:
                bad = ", ".join(f"{k} is {v:g}" for k, v in self.first.losses.items() if v - v != 0)
                what = what or f"{bad} at iteration {self.first.iteration}"
        what = what or f"a loss or weights are not finite at iteration {solver.iter}"
        where = f": first in {source}" if source else ""
        momentum = getattr(getattr(solver, "param", None), "momentum", None)
        evidence = [f"rate {getattr(solver, 'lr', float('nan')):g}"]
        if momentum is not None:
            evidence.append(f"momentum {momentum:g}")
        if self.largest:
            name = max(self.largest, key=self.largest.__getitem__)
            at = self.largest_at
            evidence.append(f"largest weight at {at}: {self.largest[name]:.3g}, of {name}")
        evidence.append(
            f"last good snapshot: {self.last_good}" if self.last_good else "no good snapshot"
        )
        way_out = "take a smaller base_lr, and start again"
        if self.last_good:
            way_out = f"take a smaller base_lr, and go on from {self.last_good}"
        if source and source.kind == "data":
            way_out = "look at the picture and labels that were read in this step"
        return Finding("nan", REFUSE, f"{what}{where}", "; ".join(evidence), way_out)
