"""Which layers a file of weights holds, read without its values: half a gigabyte in no time."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import caffe
from fcn.doctor.case import Case

Outputs: TypeAlias = Mapping[str, int]  # layer with parameters -> the first axis of its weights


def outputs_of_layers(file: Path) -> Outputs:
    """The layers with parameters in a file; {} for one that cannot be read, and on BVLC's pycaffe."""
    read = getattr(caffe, "weight_shapes", None)
    try:
        shapes = read(str(file)) if read and file.is_file() else {}
    except (ValueError, RuntimeError):
        return {}
    return {name: stored[0][0] for name, stored in shapes.items() if stored and stored[0]}


def layers_in(case: Case, file: Path) -> Outputs:
    """The layers with parameters in a file; read once for a case."""
    key = ("layers", file)
    if key not in case.surveys:
        case.surveys[key] = outputs_of_layers(file)
    return case.surveys[key]
