"""Decides which value, colour or label of the masks is which class."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fcn.datasets.dataset import VOID
from fcn.new.classlist import MOST, VOID_NAMES, Entry
from fcn.new.labelme import BACKGROUND
from fcn.new.reading import Tally
from fcn.new.stored import BLACK, Key, shown
from fcn.vis import make_palette
from fcn.wording import counted, first_few

LISTED = 12  # of many keys, so many are shown
FEW = 2  # masks that are named where no others hold a key
FEW = 2  # masks that may hold 255 alone by chance
GREYS = 100  # values from here on are greys that somebody painted with, rather than numbers
ASKED = 40  # of more keys nobody wants to be asked
VOC_COLOURS: dict[Key, int] = {
    (int(r), int(g), int(b)): k for k, (r, g, b) in enumerate(make_palette(256).tolist())
}
OTHERS = "*"  # all keys that --map does not name
Ask = Callable[[str], str]


class Classes(NamedTuple):
    """The classes, and what stands for each in the masks."""

    names: tuple[str, ...]
    of: dict[Key, int]  # class, or VOID
    why: str


class Unclear(ValueError):
    """Which key is which class is not clear, or some keys are no class's."""


def decide(
    seen: Mapping[Key, Tally],
    entries: Sequence[Entry] = (),
    maps: Mapping[Key, int | str] | None = None,
    order: Sequence[str] = (),
    ask: Ask | None = None,
) -> Classes:
    """The class of each key that was seen.

    `entries` are of a list of classes, `maps` of --map, where * stands for all others; labels are in
    `order` where there is one. `ask` puts a question to whoever is there. Unclear, which says what was
    seen, if it cannot be told.
    """
    maps = dict(maps or {})
    if OTHERS in maps:
        stated = {entry.key for entry in entries}
        others = {key for key in seen if key not in maps and key not in stated}
        target = maps.pop(OTHERS)
        maps |= dict.fromkeys(others, target)  # behind the named ones, whose order is the classes'
    rest = {key: tally for key, tally in seen.items() if key not in maps}
    if entries and BACKGROUND in seen and BACKGROUND not in [entry.name for entry in entries]:
        entries = [Entry(BACKGROUND, None, 0), *entries]  # what no shape covers
    names = [entry.name for entry in entries if not entry.void]
    found = by_list(rest, entries) if entries else by_themselves(rest, order, bool(maps))
    if found is None and maps and not entries and ask is None:
        zero = [key for key in (0, BLACK) if key in rest][:1]
        found = dict.fromkeys(zero, 0), []  # `check` tells what else --map leaves out
    if found is None and ask is not None and len(rest) <= ASKED:
        maps |= ask_for(rest, names, ask)
        found = ({}, ["as you say"])
    if found is None:
        raise Unclear(explain(rest, names))
    of, why = found
    if not names:
        names = named(of, maps, order)
    numbers = {name: k for k, name in enumerate(names)}
    for key, target in maps.items():
        if isinstance(target, str) and target not in numbers:
            raise ValueError(f"--map {shown(key)}={target}: the classes are {', '.join(names)}")
        of[key] = numbers[target] if isinstance(target, str) else target
    check(seen, of, names)
    return Classes(tuple(names), of, "; ".join([*why, *(["--map"] if maps else [])]))


# ---- with a list of classes


def by_list(
    seen: Mapping[Key, Tally], entries: Sequence[Entry]
) -> tuple[dict[Key, int], list[str]] | None:
    """The classes of keys by a list of classes; None if the list does not tell."""
    names = [entry.name for entry in entries if not entry.void]
    number = {e.line: VOID if e.void else names.index(e.name) for e in entries}
    stated: dict[Key, int] = {e.key: number[e.line] for e in entries if e.key is not None}
    if stated:
        return within(seen, stated), ["by the list's values"]
    if any(isinstance(key, str) for key in seen):
        stated = {entry.name: number[entry.line] for entry in entries}
        same = {str(name).lower(): k for name, k in stated.items()}
        lower = {key: same[str(key).lower()] for key in seen if str(key).lower() in same}
        return within(seen, lower | {name: VOID for name in VOID_NAMES}), ["by the labels' names"]
    counted_ones = [
        entry for entry in entries if entry.name != "__ignore__"
    ]  # LabelMe counts from it
    places: dict[Key, int] = {k: number[e.line] for k, e in enumerate(counted_ones)}
    if len(names) == 2 and len(seen) == 2 and (0 in seen or BLACK in seen):
        zero, one = sorted(seen, key=lambda key: key not in (0, BLACK))
        return {zero: 0, one: 1}, [f"{shown(zero)} and {shown(one)} are the two classes"]
    if all(key in places or key == VOID for key in seen):
        return within(seen, places | {VOID: VOID}), ["values count the lines of the list, from 0"]
    if all(VOC_COLOURS.get(key, -1) in (*places, VOID) for key in seen):
        by_place = {key: places.get(k, VOID) for key, k in VOC_COLOURS.items() if key in seen}
        return by_place, ["by VOC's colours, in the list's order"]
    return None


def within(seen: Mapping[Key, Tally], stated: Mapping[Key, int]) -> dict[Key, int]:
    """The classes of keys as stated; keys that are not stated are left for `check`."""
    return {key: stated[key] for key in seen if key in stated}


# ---- without


def by_themselves(
    seen: Mapping[Key, Tally], order: Sequence[str], some_mapped: bool
) -> tuple[dict[Key, int], list[str]] | None:
    """The classes of keys by what they are; None if that is not clear."""
    keys = list(seen)
    if any(isinstance(key, str) for key in keys):
        labels = [key for key in keys if str(key).lower() not in VOID_NAMES]
        known = [BACKGROUND, *(order or sorted(map(str, labels)))]
        numbers = {name: k for k, name in enumerate(dict.fromkeys(known))}
        return {key: numbers.get(str(key), VOID) for key in keys}, ["by the labels' names"]
    if not keys or keys in ([0], [BLACK]) or (len(keys) == 1 and not some_mapped):
        return dict.fromkeys(keys, 0), []
    if keys == [0, VOID] and not some_mapped:
        return {0: 0, VOID: 1}, ["masks hold 0 and 255 alone, so 255 is a class and not void"]
    if len(keys) == 2 and keys[0] in (0, BLACK) and not some_mapped:
        return {keys[0]: 0, keys[1]: 1}, [f"masks hold two values, and {shown(keys[0])} is 0"]
    if is_of_two_sources(seen):
        return None
    whole = [key for key in keys if key != VOID]
    if whole == list(range(len(whole))) and (len(whole) > 1 or some_mapped):
        void = ["255 is void"] if VOID in seen else []
        return {key: int(key) for key in keys}, ["values are classes", *void]  # type: ignore[arg-type]
    numbers_of = sorted(VOC_COLOURS.get(key, -1) for key in keys)
    plain = [k for k in numbers_of if k != VOID]
    if plain == list(range(len(plain))) and len(plain) > 1:
        return {key: VOC_COLOURS[key] for key in keys}, ["colours are VOC's"]
    return None


def is_of_two_sources(seen: Mapping[Key, Tally]) -> bool:
    """Whether 255 is never in one mask with another object: it is one itself, of another program."""
    if VOID not in seen:
        return False
    void = set(seen[VOID].masks)
    others = {path for key in seen if key not in (0, VOID) for path in seen[key].masks}
    return len(void) > FEW and len(others) > FEW and not void & others


def named(of: Mapping[Key, int], maps: Mapping[Key, int | str], order: Sequence[str]) -> list[str]:
    """The names of classes that no list names: labels, what --map says, or numbers."""
    said = list(dict.fromkeys(target for target in maps.values() if isinstance(target, str)))
    if said and any(isinstance(target, int) and target != VOID for target in maps.values()):
        raise ValueError("--map: name all classes, or number all of them")
    if said and BACKGROUND not in said and of:
        said.insert(0, BACKGROUND)
    if said:
        return [BACKGROUND, *(n for n in said if n != BACKGROUND)] if BACKGROUND in said else said
    numbers = [*of.values(), *(target for target in maps.values() if isinstance(target, int))]
    most = max((k for k in numbers if k != VOID), default=0)
    labels = {k: str(key) for key, k in of.items() if isinstance(key, str)}
    labels |= {k + 1: name for k, name in enumerate(order)}
    return [labels.get(k, BACKGROUND if k == 0 else f"class {k}") for k in range(most + 1)]


# ---- what is said


def check(seen: Mapping[Key, Tally], of: Mapping[Key, int], names: Sequence[str]) -> None:
    """Unclear for keys without a class; ValueError for classes that are none, and for one class alone."""
    lacking = {key: tally for key, tally in seen.items() if key not in of}
    if lacking:
        raise Unclear(unlisted(seen, lacking, names))
    beyond = sorted({k for k in of.values() if k != VOID and k >= len(names)})
    if beyond:
        raise ValueError(f"--map ...={beyond[0]}: the classes are 0 to {len(names) - 1}")
    there = {of[key] for key in seen} - {VOID}
    if len(there) < 2:
        only = f"{names[there.pop()]!r} alone" if there else "no class"
        raise Unclear(
            f"the masks hold {only}, so there is nothing to learn; they hold\n{table(seen)}"
        )
    if len(names) > MOST:
        raise ValueError(f"{len(names)} classes: up to {MOST} are possible")


def noun(keys: Mapping[Key, Tally]) -> str:
    """What keys are called: value, colour or label."""
    first = next(iter(keys), 0)
    return "colour" if isinstance(first, tuple) else "label" if isinstance(first, str) else "value"


def table(keys: Mapping[Key, Tally], most: int = LISTED) -> str:
    """The keys, each with its share of the pixels and how many masks hold it, for people."""
    total = sum(tally.pixels for tally in keys.values())
    often = sorted(keys, key=lambda key: -keys[key].pixels)[:most]
    lines = [
        f"  {shown(key):>12}  {keys[key].pixels / total:7.2%} of these pixels, in "
        + counted(len(keys[key].masks), "mask")
        + (f": {first_few([path.name for path in rare], 3)}" if rare else "")
        for key, rare in ((key, rare_masks(keys[key])) for key in often)
    ]
    more = [f"  and {len(keys) - most:,} more"] if len(keys) > most else []
    return "\n".join([*lines, *more])


def rare_masks(tally: Tally) -> Sequence[Path]:
    """The masks that hold a key, if they are few enough to be looked at."""
    return tally.masks if len(tally.masks) <= FEW else ()


def unlisted(seen: Mapping[Key, Tally], lacking: Mapping[Key, Tally], names: Sequence[str]) -> str:
    """What is to be said of keys that no class has."""
    pixels = sum(tally.pixels for tally in lacking.values())
    share = pixels / sum(tally.pixels for tally in seen.values())
    masks = sorted({path for tally in lacking.values() for path in tally.masks})
    often = sorted(lacking, key=lambda key: -lacking[key].pixels)
    what = noun(lacking)
    return (
        f"{counted(len(masks), 'mask')} {'holds' if len(masks) == 1 else 'hold'} "
        f"{counted(len(lacking), what)} that no class has, {share:.2%} of all pixels; "
        f"the most frequent:\n{table(lacking, 3)}\nin {first_few(masks)}\n"
        f"The classes are {first_few(names, 20)}. Way out: a line for each {what} in --classes FILE, "
        f"or --map {' '.join(f'{quoted(key)}=void' for key in often[:3])} (or =CLASS)"
    )


def explain(seen: Mapping[Key, Tally], names: Sequence[str]) -> str:
    """What is to be said if it is not clear which key is which class."""
    what, proposed = noun(seen), propose(seen)
    example = " ".join(f"{quoted(key)}={name}" for key, name in list(proposed.items())[:LISTED])
    known = f" The list names {len(names)} classes." if names else ""
    if is_of_two_sources(seen):
        known += (
            " No mask holds 255 beside another object, so it may be an object too, and not void."
        )
    known = f"{known.strip()} ".lstrip()
    return (
        f"which {what} is which class is not clear: the masks hold {counted(len(seen), what)}\n"
        f"{table(seen)}\n{known}Say it, with numbers or names of classes, and void for what "
        f"is none:\n  --map {example}\nor by --classes FILE, with a line for each class: "
        f"NAME {'R,G,B' if what == 'colour' else 'VALUE'}"
    )


def propose(seen: Mapping[Key, Tally]) -> dict[Key, str]:
    """A class for each key, as a start for whoever knows."""
    often = max(seen, key=lambda key: seen[key].pixels)
    first: Key = 0 if 0 in seen else BLACK if BLACK in seen else often
    found: dict[Key, str] = {first: "0"}
    others = [key for key in seen if key != first]
    others.sort(key=lambda key: (key == VOID, str(key) if isinstance(key, str) else key))
    whole = [key for key in others if key != VOID]
    # 255 is void beside numbers of classes, which are small; beside 128, say, it is one more grey
    numbers = all(isinstance(key, int) and key < GREYS for key in whole)
    void = numbers and bool(whole) and not is_of_two_sources(seen)
    for number, key in enumerate(others, start=1):
        found[key] = "void" if key == VOID and void else str(number)
    return found


def quoted(key: Key) -> str:
    """A key as a shell takes it."""
    text = shown(key)
    return f"'{text}'" if " " in text else text


def ask_for(seen: Mapping[Key, Tally], names: Sequence[str], ask: Ask) -> dict[Key, int | str]:
    """Ask for the class of each key. Unclear if an answer is empty."""
    what, found = noun(seen), dict[Key, int | str]()
    print(f"Which {what} is which class? The masks hold\n{table(seen, len(seen))}")
    known = f"one of {', '.join(names)}" if names else "a name"
    for key in seen:
        answer = ask(f"{what} {shown(key)} is ({known}, or void; nothing stops): ").strip()
        if not answer:
            raise Unclear(explain(seen, names))
        found[key] = VOID if answer.lower() in VOID_NAMES else answer
    return found
