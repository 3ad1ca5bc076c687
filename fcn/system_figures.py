"""Systems whose figure is no mean IU: which there are, and their part of systems/results.md.

Each has a run.py, which trains it and writes results.json beside itself: seed of the scenes -> figures.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """A system's figure, and what it is compared with. Both are found in results.json by their keys."""

    system: str  # the folder in systems/
    what: str  # what a reader should know of it
    measure: str
    own: Sequence[str]
    against: str
    other: Sequence[str]


FIGURES = (
    Figure(
        "faster-rcnn",
        "boxes, by a net that proposes its regions itself",
        "average precision at .5",
        ("faster", "area"),
        "Fast R-CNN on sliding windows",
        ("fast", "area"),
    ),
    Figure(
        "mnc",
        "a mask for each of those boxes",
        "AP^r at .5",
        ("masks, 0.5",),
        "the boxes, filled",
        ("boxes, filled, 0.5",),
    ),
)
HEAD = """
## Other measures

Written from each folder's `results.json`; in parentheses what the figure is above that of what it is compared
with, on the same scenes.
"""


def scripts(names: Sequence[str]) -> list[str]:
    """Those of the systems named, or all, in their order."""
    known = [figure.system for figure in FIGURES]
    return [name for name in known if name in names or not names]


def value(figures: Mapping[str, Any], keys: Sequence[str]) -> float | None:
    """What lies below `keys`; None if it was not measured."""
    found: Any = figures
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def cell(figure: Figure, figures: Mapping[str, Any]) -> str:
    """The figure of one seed, and what it is above the other; "" if it was not measured."""
    own, other = value(figures, figure.own), value(figures, figure.other)
    if own is None:
        return ""
    return f"{own:.3f}" + ("" if other is None else f" ({own - other:+.3f})")


def table(folder: Path) -> str:
    """The part of results.md, of the systems in `folder`; "" if none was measured."""
    read = {
        figure: json.loads(path.read_text())
        for figure in FIGURES
        if (path := folder / figure.system / "results.json").is_file()
    }
    if not read:
        return ""
    seeds = sorted({seed for records in read.values() for seed in records})
    columns = "".join(f" seed {seed} |" for seed in seeds)
    lines = [HEAD, f"| system | what it is | measure | compared with |{columns}"]
    lines.append("|---" * (len(seeds) + 4) + "|")
    for figure, records in read.items():
        cells = " | ".join(cell(figure, records.get(seed, {})) for seed in seeds)
        lines.append(
            f"| [{figure.system}]({figure.system}) | {figure.what} | {figure.measure} | "
            f"{figure.against} | {cells} |"
        )
    return "\n".join(lines) + "\n"
