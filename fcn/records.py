"""Files with a line of JSON for each record: scores.jsonl, results.jsonl."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Add one line of JSON to a file; a score that does not exist (nan) is null."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(json.dumps(_without_nan(record), allow_nan=False) + "\n")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """The records of a file, oldest first; ValueError, which names the line, for what is none."""
    records = []
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: no record: {error}; take the line out") from None
        if not isinstance(record, dict):
            raise ValueError(f"{path}:{number}: no record, but {line[:40]}; take the line out")
        records.append(record)
    return records
