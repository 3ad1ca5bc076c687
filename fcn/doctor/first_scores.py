"""What the filled net gives on some pictures: scores that are no numbers, dead layers, chance."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

import caffe
from fcn.doctor.case import TEST, TRAIN, Case, Source
from fcn.doctor.passes import Passes, View
from fcn.doctor.starting_nets import heads, layers_of
from fcn.doctor.stored import layers_in
from fcn.findings import REFUSE, Finding
from fcn.finite_scores import not_finite
from fcn.wording import counted

EQUAL = 1e-6  # of the scores' magnitude: a smaller spread is none


def check(case: Case) -> Iterator[Finding]:
    """Findings on the first scores of the filled net."""
    source = source_of(case)
    if source is None or lacks_statistics(case) or case.refused("weights.", "start.", "net."):
        return  # what the net gives follows from that
    looks = [
        Look(score, label)
        for score, label in case.scored.items()
        if label in source.tops and score in blobs_of(case)
    ]
    if not looks:
        return
    run = Passes(case, source, tuple(look.label for look in looks))
    chance = bool(case.start) and not case.from_classifier and not uniform_on_purpose(case)
    for view in run.views():
        if not all(np.isfinite(run.net.blobs[look.score].data).all() for look in looks):
            what = "the starting net's scores are not finite"
            text = str(not_finite(run.net, f"those of picture {view.id} are not"))
            way = f"take other weights than {files_of(case)}: an earlier snapshot, for example"
            yield Finding("start.not_finite", REFUSE, what, text, way)
            return
        for look in looks:
            look.add(run.net, view)
        if not run.dead and (not chance or all(map(Look.is_clear, looks))):
            return
    if run.dead and run.count:
        yield dead(case, run)
    elif chance:
        for look in looks:
            yield from look.findings(case)


def files_of(case: Case) -> str:
    """The files that filled the net, or what did."""
    return ", ".join(str(file) for _, file in case.start) or "those that the net has"


def blobs_of(case: Case) -> set[str]:
    """The blobs of the test net."""
    return {top for layer in case.nets[TEST].layer for top in layer.top}


def source_of(case: Case) -> Source | None:
    """The data layer whose pictures are scored, if the filled net can be run on them."""
    if case.net is None or TEST not in case.nets or TRAIN not in case.nets:
        return None
    labels = set(case.scored.values())
    return next((s for s in case.sources_of(TEST) if s.ids and labels & set(s.tops)), None)


def lacks_statistics(case: Case) -> bool:
    """Whether a BatchNorm has seen no batch yet, so that a TEST net cannot normalise."""
    assert case.net is not None
    norms = [layer.name for layer in case.nets[TEST].layer if layer.type == "BatchNorm"]
    return any(not case.net.params[name][2].data.any() for name in norms if name in case.net.params)


def dead(case: Case, run: Passes) -> Finding:
    """The finding on layers that give zeros everywhere."""
    first = next(name for name in run.rectifiers if name in run.dead)
    conv = run.rectifiers[first][1]
    more = len(run.dead) - 1
    also = f", and so {'is' if more == 1 else 'are'} {counted(more, 'other')}" if more else ""
    what = f"layer {first!r} (ReLU) is dead in the starting net{also}: it gives zeros everywhere"
    parameters = case.net.params.get(conv) if case.net is not None else None
    values = [f"{blob.data.min():.3g} to {blob.data.max():.3g}" for blob in parameters or ()]
    of = "; ".join(f"{kind} {value}" for kind, value in zip(("weights", "bias"), values))
    evidence = f"on {counted(run.count, 'picture')}; layer {conv!r} below it: {of}"
    way = (
        f"nothing passes it, so nothing below it would learn: take other weights than {files_of(case)}, "
        "from before it died, and train with a smaller base_lr than they were"
    )
    return Finding("start.dead", REFUSE, what, evidence, way)


def uniform_on_purpose(case: Case) -> bool:
    """Whether the start is a whole net whose scores are still zero, as after a conversion.

    Its stage is the first one, which learns the scores; a later stage has layers that the file lacks.
    """
    held = [name for _, file in case.start for name in layers_in(case, file)]
    stated = layers_of(case.nets[TRAIN])
    return all(name in held for name in stated) or not heads(dict.fromkeys(held))


# ---- what the scores say


@dataclass
class Look:
    """The scores of one blob on some pictures, against their labels."""

    score: str
    label: str
    classes: int = 0
    pictures: int = 0
    spread: float = 0.0  # between the classes' scores at one place, as a share of their magnitude
    losses: list[float] = field(default_factory=list)  # a pixel, of each picture
    given: set[int] = field(default_factory=set)
    true: set[int] = field(default_factory=set)

    def add(self, net: caffe.Net, view: View) -> None:
        """Look at the scores of the last pass."""
        scores, truth = np.array(net.blobs[self.score].data[0]), view.labels[self.label]
        largest = max(float(np.abs(scores).max()), 1e-30)
        self.classes, self.pictures = len(scores), self.pictures + 1
        self.spread = max(self.spread, float(np.ptp(scores, axis=0).max()) / largest)
        self.losses.append(loss_of(scores, truth))
        self.given.update(np.unique(scores.argmax(0)).tolist())
        self.true.update(np.unique(truth[truth < self.classes]).tolist())

    def is_clear(self) -> bool:
        """Whether the scores tell classes apart, or the labels have but one."""
        return self.spread > EQUAL and (len(self.given) > 1 or len(self.true) < 2)

    def findings(self, case: Case) -> Iterator[Finding]:
        """A finding if the scores are uniform, or all of one class where the labels have several."""
        if self.is_clear():
            return
        evidence = (
            f"{self.score!r}: loss {np.mean(self.losses):.5f} a pixel on "
            f"{counted(self.pictures, 'picture')}; ln {self.classes} = {np.log(self.classes):.5f}"
        )
        what = "this stage starts at chance: the scores of its starting net are uniform"
        if self.spread > EQUAL:
            names = case.names(self.score, self.classes)
            only = self.given.copy().pop()
            what = (
                f"this stage starts at chance: its starting net gives every pixel class {only} "
                f"({names[only]})"
            )
            evidence += f"; their labels have {', '.join(names[k] for k in sorted(self.true)[:5])}"
        start = ", ".join(name for name, _ in case.start)
        way = f"train {start} until it scores above chance, or take another file with --weights"
        yield Finding("start.chance", REFUSE, what, evidence, way)


def loss_of(scores: np.ndarray, truth: np.ndarray) -> float:
    """The mean softmax loss of the pixels that have a class."""
    scores = scores.astype(np.float64) - scores.max(axis=0)
    log_sum = np.log(np.exp(scores).sum(axis=0))
    valid = truth < len(scores)
    rows, columns = np.nonzero(valid)
    if not len(rows):
        return 0.0
    return float((log_sum[valid] - scores[truth[valid], rows, columns]).mean())
