"""The parts of a GPU run: in which order, how long each may take, which matter most."""

from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """One part: a module of this package, whose `run(report, scale)` does it."""

    name: str
    about: str
    seconds: int  # it may take, in a run of MINUTES
    rank: int  # 1 matters most: what a shorter run keeps
    gib: float  # of the GPU's memory, that it needs


class Planned(NamedTuple):
    """A part that will run, and the seconds it has."""

    part: Part
    seconds: float


PARTS = (
    Part("machine", "the card, and how fast it copies and multiplies", 20, 1, 4),
    Part("fidelity", "BVLC Caffe's numbers, in float32, TF32 and bf16", 75, 2, 8),
    Part("tests", "every test that is marked cuda", 75, 5, 8),
    Part("forward", "FCN-8s forward, beside PyTorch", 75, 4, 16),
    Part("training", "FCN-32s training steps with data, beside PyTorch", 75, 3, 24),
    Part("trace", "what the GPU does in a step: kernels, copies, waiting", 25, 6, 8),
    Part("demo", "the embedded task's chain; the same steps twice", 65, 8, 8),
    Part("exhausted", "what is said when memory runs out", 10, 7, 4),
)
MINUTES = 7
LEAST = 0.5  # of a part's seconds: with less than that it tells too little


def names() -> list[str]:
    """The names of all parts, in order."""
    return [part.name for part in PARTS]


def plan(
    only: Sequence[str] | None, minutes: float, gib: float
) -> tuple[list[Planned], dict[str, str]]:
    """The parts that run, and {name: why} of those that are left out.

    `only` names the parts that are wanted (None: all), `gib` is the memory to be had. With fewer
    minutes than the parts take each has fewer seconds, LEAST of its own or more, the least important
    are left out, and what matters most comes first.
    """
    wanted = [part for part in PARTS if not only or part.name in only]
    left_out = {
        part.name: f"it needs {part.gib:.0f} GiB of the GPU's memory, of which {gib:.1f} are free"
        for part in wanted
        if part.gib > gib
    }
    room, chosen = 60 * minutes, []
    ranked = sorted(wanted, key=lambda part: part.rank)
    for part in ranked:
        if part.name in left_out:
            continue
        if LEAST * part.seconds > room:
            left_out[part.name] = f"{minutes:g} minutes were given, and others matter more"
            continue
        room -= LEAST * part.seconds
        chosen.append(part)
    total = sum(part.seconds for part in chosen)
    if total <= 60 * minutes:
        return [Planned(part, part.seconds) for part in PARTS if part in chosen], left_out
    share = 60 * minutes / total
    return [Planned(part, share * part.seconds) for part in chosen], left_out
