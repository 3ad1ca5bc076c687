"""Numbers and lists in sentences for people."""

from collections.abc import Iterable
from typing import Any

SHOWN = 5  # of many things, so many are named


def counted(number: int, thing: str, things: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "picture"), counted(1200, "picture"), counted(2, "class", "classes")
    ('1 picture', '1,200 pictures', '2 classes')
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def first_few(items: Iterable[Any], most: int = SHOWN, joint: str = ", ") -> str:
    """The first of many, and how many more there are.

    >>> first_few("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    texts = [str(item) for item in items]
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return joint.join(texts[:most]) + more
