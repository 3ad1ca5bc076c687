"""Reads which classes there are: the file of --classes, and the pairs of --map."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fcn.datasets.dataset import VOID
from fcn.new.labelme import ALSO_BACKGROUND, BACKGROUND
from fcn.new.stored import Key

VOID_NAMES = ("void", "ignore", "ignored", "__ignore__")  # of what is no class
MOST = VOID  # classes, 0 .. 254
COLOUR = r"#[0-9a-fA-F]{6}|\(?\d{1,3}(?:\s*,\s*|\s+)\d{1,3}(?:\s*,\s*|\s+)\d{1,3}\)?"
FIRST = re.compile(rf"(?P<key>{COLOUR}|\d+)(?:\s*[,:;=]\s*|\s+)(?P<name>\S.*)")
LAST = re.compile(rf"(?P<name>.*?\S)(?:\s*[,:;=]\s*|\s+)(?P<key>{COLOUR}|\d+)[:\s]*")


class Entry(NamedTuple):
    """A class of a list, or what is void there."""

    name: str
    key: Key | None  # the value or colour that it has in masks, where the list states it
    line: int

    @property
    def void(self) -> bool:
        """Whether it is no class: its pixels are left out."""
        return self.name.lower() in VOID_NAMES


def read_classes(path: Path) -> list[Entry]:
    """The entries of a list: a name a line, with a value or a colour before or behind it, or without.

    `road`, `road 7`, `7: road`, `road 128,64,128`, `road #804080`. Lines of `# ...` are comments; a
    first line without a key above lines that all have one is a heading. ValueError names the line.
    """
    rows = []
    for number, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        text = text.strip()
        if text and not (text.startswith("#") and not re.match(COLOUR, text)):
            rows.append((number, text))
    keyed = [(number, *split_line(text)) for number, text in rows]
    if len(keyed) > 1 and keyed[0][2] is None and all(key is not None for _, _, key in keyed[1:]):
        keyed = keyed[1:]
    lacking = [number for number, _, key in keyed if key is None]
    colours = any(isinstance(key, tuple) for _, _, key in keyed)
    if colours and lacking:
        raise ValueError(f"{path}:{lacking[0]}: no colour, which other lines have")
    if lacking or len({name for _, name, _ in keyed}) < len(keyed):
        keyed = [(number, text, None) for number, text in rows]  # numbers belong to the names
    entries = [Entry(renamed(name), key, number) for number, name, key in keyed]
    check(path, entries)
    return entries


def split_line(text: str) -> tuple[str, Key | None]:
    """(name, key) of a line; no key if there is none."""
    match = FIRST.fullmatch(text) or LAST.fullmatch(text)
    return (match["name"].strip(" ,:;="), key_in(match["key"])) if match else (text, None)


def key_in(text: str) -> Key:
    """A value, a colour such as 128,0,0 or #800000, or else a label."""
    text = text.strip()
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return tuple(bytes.fromhex(text[1:]))  # type: ignore[return-value]
    if re.fullmatch(COLOUR, text):
        r, g, b = map(int, re.findall(r"\d+", text))
        return r, g, b
    return text


def renamed(name: str) -> str:
    """A name, with LabelMe's name of the background as it is here."""
    return BACKGROUND if name in ALSO_BACKGROUND else name


def check(path: Path, entries: Sequence[Entry]) -> None:
    """ValueError for names or keys that are there twice, and for too few or too many classes."""
    names = [entry.name for entry in entries if not entry.void]
    for entry in entries:
        twice = [other for other in entries if other.line < entry.line and not entry.void]
        for what in ("name", "key"):
            value = getattr(entry, what)
            before = [other.line for other in twice if getattr(other, what) == value]
            if value is not None and before:
                raise ValueError(
                    f"{path}:{entry.line}: {what} {value} is there in line {before[0]}"
                )
    if len(names) < 2:
        has = ", ".join(names) or "none"
        raise ValueError(
            f"{path} names {has}: a net needs two classes, the background counts as one"
        )
    if len(names) > MOST:
        raise ValueError(f"{path} names {len(names)} classes; up to {MOST} are possible")


def read_maps(pairs: Sequence[str]) -> dict[Key, int | str]:
    """Key -> class of the pairs of --map: 255=1, 128,0,0=road, sky=void. ValueError for any other."""
    found: dict[Key, int | str] = {}
    for text in pairs:
        left, equals, right = text.rpartition("=")
        if not equals or not left or not right:
            raise ValueError(
                f"--map {text}: it should be VALUE=CLASS, such as 255=1, 128,0,0=1 or 255=void"
            )
        key = key_in(left)
        if found.get(key, right) != right:
            raise ValueError(f"--map {text}: {left} is mapped to {found[key]}, too")
        found[key] = right
    return {key: target_in(str(right)) for key, right in found.items()}


def target_in(text: str) -> int | str:
    """A class as --map names it: its number, 255 for void, or its name."""
    if text.lower() in VOID_NAMES:
        return VOID
    if text.isdigit():
        if int(text) > VOID:
            raise ValueError(f"--map ...={text}: classes are 0 to {MOST - 1}, and 255 is void")
        return int(text)
    return renamed(text)
