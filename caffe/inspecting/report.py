"""What is said of a file: facts, a table, what is missing, which command comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Row = Sequence[object]


@dataclass
class Report:
    """What a file is. Lines are printed in the order of the fields."""

    what: str  # "a net's prototxt"
    facts: dict[str, str] = field(default_factory=dict)
    head: Row = ()  # of the table
    rows: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # what looks wrong, or cannot be read
    missing: list[str] = field(default_factory=list)  # what it names that is not there
    next: list[str] = field(default_factory=list)  # commands

    def text(self, path: str) -> str:
        """All of it, as printed."""
        lines = [f"{path}: {self.what}"]
        lines += [f"  {key}: {value}" for key, value in self.facts.items() if value]
        lines += table(self.head, self.rows)
        for word, entries in (
            ("wrong", self.wrong),
            ("missing", self.missing),
            ("next", self.next),
        ):
            lines += [f"  {word}: {entry}" for entry in entries]
        return "\n".join(lines)


def table(head: Row, rows: Sequence[Row]) -> list[str]:
    """A table as lines, columns aligned; none without rows."""
    if not rows:
        return []
    cells = [[str(cell) for cell in row] for row in ([head] if head else []) + list(rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return [
        "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in cells
    ]


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 layer, 2 layers."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(shape: Iterable[int]) -> str:
    """A shape as 64x3x7x7; one number for a shape without axes."""
    return "x".join(map(str, shape)) or "1 number"


def listed(names: Iterable[str], most: int = 8) -> str:
    """The first names of many."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
