"""Reads the records of a run's folder, which may be cut, damaged or of another program.

What cannot be read is left out, with a sentence for the page that names the file and the line. What is
returned has the types that a run writes, so that nobody else has to look.
"""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]
SHOWN = 4  # lines that a sentence names


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63


def is_share(value: Any) -> bool:
    """Whether a value is a share of 1."""
    return is_number(value) and 0 <= value <= 1


def is_text(value: Any) -> bool:
    """Whether a value is a text."""
    return isinstance(value, str)


def is_list(value: Any) -> bool:
    """Whether a value is a list."""
    return isinstance(value, list)


def is_record(value: Any) -> bool:
    """Whether a value is a record."""
    return isinstance(value, dict)


def is_scores(value: Any) -> bool:
    """Whether a value is a list of shares, with None where there is none."""
    return is_list(value) and all(each is None or is_share(each) for each in value)


def is_matrix(value: Any) -> bool:
    """Whether a value is a square matrix of counts."""
    return is_list(value) and all(
        is_list(row) and len(row) == len(value) and all(is_number(v) and v >= 0 for v in row)
        for row in value
    )


# field -> what its value must be; it may be null, too
ABOUT = {
    **dict.fromkeys(("run", "model", "started", "host", "start_sha1", "solver"), is_text),
    **dict.fromkeys(("device", "precision"), is_text),
    **dict.fromkeys(("start", "command"), is_list),
    **dict.fromkeys(("set", "versions", "ended"), is_record),
    "seed": is_number,
    "sample": lambda value: isinstance(value, bool),
    "classes": lambda value: is_list(value) or is_record(value),
}
SCORING = {
    "iteration": is_number,
    "layer": is_text,
    **dict.fromkeys(("images", "loss"), is_number),
    **dict.fromkeys(("mean_iu", "mean_iu_present", "mean_accuracy"), is_share),
    **dict.fromkeys(("pixel_accuracy", "fw_iu"), is_share),
    **dict.fromkeys(("iu", "accuracy", "frequency"), is_scores),
    "hist": is_matrix,
}
FINDING = {
    "iteration": is_number,
    **dict.fromkeys(("kind", "level", "what", "evidence", "way_out"), is_text),
}


def sound(record: Record, fields: Mapping[str, Any]) -> tuple[Record, list[str]]:
    """The record without nulls and fields that are not as a run writes them, and those fields' names."""
    wrong = [
        name
        for name, is_right in fields.items()
        if record.get(name) is not None and not is_right(record[name])
    ]
    there = {name: value for name, value in record.items() if value is not None}
    return {name: value for name, value in there.items() if name not in wrong}, wrong


def read_record(path: Path, if_missing: str, problems: list[str]) -> Record:
    """A file with one record, as run.json; {} with a problem noted if it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"{path.name} is not there, so {if_missing}")
        return {}
    except ValueError:
        problems.append(f"{path.name} cannot be read (half written?)")
        return {}
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return {}
    if not is_record(record):
        problems.append(f"{path.name} does not hold a record")
        return {}
    found, wrong = sound(record, ABOUT)
    if wrong:
        problems.append(f"{path.name}: {named(wrong)} cannot be understood")
    return found


def read_records(
    path: Path, fields: Mapping[str, Any], if_missing: str, problems: list[str]
) -> list[Record]:
    """The records of a file with a line of JSON each; `if_missing`: a clause, empty if it may be.

    The lines that are no records are noted as a problem, and so are fields that are not understood.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "is not there" if missing else f"cannot be read: {error.strerror}"
        if if_missing or not missing:
            problems.append(f"{path.name} {reason}" + (f", so {if_missing}" if if_missing else ""))
        return []
    records: list[Record] = []
    broken: list[int] = []
    odd: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not is_record(record):
            broken.append(number)
            continue
        found, wrong = sound(record, fields)
        odd.update((name, odd.get(name, number)) for name in wrong)
        records.append(found)
    if broken:
        problems.append(
            f"{lines_of(broken)} of {path.name} cannot be read{_cut(broken, len(lines))}"
        )
    for name, number in odd.items():
        problems.append(f"line {number} of {path.name}: {name!r} cannot be understood")
    if not records and if_missing and not broken:
        problems.append(f"{path.name} has no lines yet, so {if_missing}")
    return records


def read_table(path: Path, problems: list[str]) -> tuple[list[str], list[list[str]]]:
    """The header and the whole lines of a table, as log.csv; ([], []) if it is not there."""
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            rows = list(csv.reader(line.replace("\0", "") for line in file))
    except FileNotFoundError:
        problems.append(f"{path.name} is not there, so there is no loss curve")
        return [], []
    except (OSError, csv.Error) as error:
        problems.append(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}")
        return [], []
    header = rows[0] if rows else []
    broken = [n for n, row in enumerate(rows[1:], 2) if row and len(row) != len(header)]
    if broken:
        problems.append(
            f"{lines_of(broken)} of {path.name} cannot be read{_cut(broken, len(rows))}"
        )
    return header, [row for row in rows[1:] if len(row) == len(header)]


def lines_of(numbers: Sequence[int]) -> str:
    """`line 3`, `lines 3 and 7`, `lines 1, 2, 3, 4 and 5 more`."""
    return f"line{'s' * (len(numbers) > 1)} {_listed(map(str, numbers), len(numbers))}"


def named(names: Sequence[str]) -> str:
    """Names of fields as part of a sentence."""
    return _listed(map(repr, names), len(names))


def _listed(texts: Iterable[str], count: int) -> str:
    """Texts with commas and an `and`; of many the first."""
    every = list(texts)
    if count > SHOWN + 1:
        return f"{', '.join(every[:SHOWN])} and {count - SHOWN} more"
    return " and ".join(filter(None, [", ".join(every[:-1]), every[-1]]))


def _cut(broken: Sequence[int], last: int) -> str:
    """What is likely if only the last line is broken."""
    return " (half written?)" if list(broken) == [last] else ""
