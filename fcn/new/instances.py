"""Masks in which each object has a number of its own: says so, for a net learns classes."""

from collections.abc import Sequence
from statistics import median

from fcn.datasets.dataset import VOID
from fcn.new.reading import Look
from fcn.new.stored import COLOURS, LABELS

FEWEST = 3  # masks that tell; objects in the fullest of them
SHARE = 0.25  # of all values: a mask of objects holds no more
WAY_OUT = "--map 0=background '*=object'"


def objects(looks: Sequence[Look]) -> list[set[int]]:
    """The values of each mask's objects; empty where masks hold colours or labels."""
    if any(look.kind in (COLOURS, LABELS) for look in looks):
        return []
    return [values for look in looks if (values := set(look.counts) - {0, VOID})]


def are_numbered(looks: Sequence[Look]) -> bool:
    """Whether each mask has few values, and each other ones: numbers that run through the set."""
    found = objects(looks)
    union = set().union(*found)
    each = median([len(values) for values in found]) if found else 0
    return len(found) >= FEWEST and 0 < each <= SHARE * len(union)


def count_up(looks: Sequence[Look]) -> bool:
    """Whether each mask has the values from 1 to its own last one: numbers that start anew in each."""
    found = objects(looks)
    last = {max(values) for values in found}
    whole = all(values == set(range(1, len(values) + 1)) for values in found)
    return len(found) >= FEWEST and whole and max(last) >= FEWEST and len(last) > 2


def explain(looks: Sequence[Look]) -> str:
    """What is to be said of numbers that run through the set."""
    found = objects(looks)
    each = round(median([len(values) for values in found]))
    return (
        f"the masks hold {len(set().union(*found)):,} values, a mask only {each} of them: as if each "
        f"object had a number of its own. A net learns classes; one class for all objects is\n  {WAY_OUT}"
    )


NOTE = (
    "in each mask the values count up from 1 without a gap, as numbers of objects do; if they are no "
    f"classes: {WAY_OUT}"
)
