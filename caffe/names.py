"""Names in error messages: the nearest known name, and names that are no valid text."""

import difflib
from collections.abc import Iterable


def did_you_mean(
    name: str, known: Iterable[str], text: str = "; did you mean '{}'?", cutoff: float = 0.6
) -> str:
    """A hint that names the known name most like `name`; empty if none is similar.

    `text` is the hint, with {} where the known name goes. `cutoff` is the least similarity, from 0
    (any) to 1 (equal), as difflib measures it. Capitals and small letters count as the same.

    >>> did_you_mean("tipe", ["name", "type"])
    "; did you mean 'type'?"
    """
    by_lower = {other.lower(): other for other in reversed(list(known))}
    near = difflib.get_close_matches(name.lower(), by_lower, 1, cutoff)
    return text.format(by_lower[near[0]]) if near else ""


def as_text(name: str | bytes) -> str:
    r"""A name from a file as printable text: bytes that are not UTF-8 become \x escapes.

    Protobuf returns `bytes` for a string field that is not valid UTF-8, h5py a `str` with lone
    surrogates. Neither can be joined or printed with other text.
    """
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")
