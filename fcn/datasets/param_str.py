"""The param_str of a data layer: a Python dict literal, whose keys are all known to the layer."""

import ast
import difflib
from collections.abc import Collection, Mapping
from typing import Any

ONE_PICTURE = (
    "a batch holds one picture, because pictures differ in size; iter_size in solver.prototxt sums "
    "the gradients of several"
)
LONGEST = 100_000  # characters; what nests deeper than Python's parser goes is an error, too
WHOLE = "pictures are read whole and as they are"
# What users of other data layers look for -> what does it here
INSTEAD = {
    "batch_size": ONE_PICTURE,
    "batch": ONE_PICTURE,
    "shuffle": "randomize does it",
    "mean_file": "mean does it: three numbers, BGR",
    "mean_value": "mean does it: three numbers, BGR",
    "num_classes": "classes does it",
    "crop_size": WHOLE,
    "mirror": WHOLE,
    "scale": WHOLE,
}


def parse(text: str) -> dict[str, Any]:
    """The dict that a param_str states; ValueError if it is none. Nothing in it is run."""
    if len(text) > LONGEST:
        raise ValueError(f"param_str has {len(text):,} characters; {LONGEST:,} are the most")
    try:
        params = ast.literal_eval(text or "None")
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"param_str is not a Python literal: {error}") from None
    if not isinstance(params, dict):
        raise ValueError(f"param_str must be a dict, got {text!r}")
    return params


def unknown_keys(
    params: Collection[str], known: Collection[str], instead: Mapping[str, str] = INSTEAD
) -> str:
    """What is to be said of keys that a layer does not know; "" if it knows them all.

    `instead` says of keys that other layers have what does the same here.
    """
    unknown = [key for key in params if key not in known]
    if not unknown:
        return ""
    text = f"param_str has {', '.join(map(str, unknown))}, which this layer does not know"
    return "; ".join([f"{text} (it knows {', '.join(known)})", *hints(unknown, known, instead)])


def hints(
    unknown: Collection[str], known: Collection[str], instead: Mapping[str, str] = INSTEAD
) -> list[str]:
    """What was probably meant by unknown keys, each said once."""
    found = [hint for key in unknown if (hint := _hint(key, known, instead))]
    return list(dict.fromkeys(found))


def _hint(key: Any, known: Collection[str], instead: Mapping[str, str]) -> str:
    """What was probably meant by an unknown key."""
    name = str(key).lower().replace("-", "_")
    if name in instead:
        return f"no {key}: {instead[name]}"
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else ""
