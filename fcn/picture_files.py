"""Finds the pictures that a command line names, and the names of what is made from them.

A word is a file, a folder (with the folders in it, but hidden ones), a pattern (`"photos/**/*.jpg"`), or a
text file with a path a line, `@list.txt` or `list.txt`; `~` is the home folder. Results of `fcn infer`
are not pictures: they are left out and counted, and so is the folder that results are written to.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple

from fcn.vis import source_of

SUFFIXES = {  # of the files in a folder that are pictures
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2"),
    *(".jpe", ".jpeg", ".jpg", ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi"),
    *(".tga", ".tif", ".tiff", ".webp"),
}
RESULTS = ("_classes.png", "_overlay.png")  # ends of the names of results
OTHER_RESULTS = ("_overlay.png", ".json", "_probabilities.npy")


class Found(NamedTuple):
    """What a command line names."""

    pictures: list[Path]  # each once, in the order named; a folder's by name
    results: int  # files left out because they are results of earlier runs
    problems: list[str]  # words that name no picture, as sentences


def find(words: Iterable[str | Path], out: Path, once: bool = True) -> Found:
    """The pictures of the words of a command line, whose results go to the folder `out`.

    A picture that is named twice is there once, unless `once` is false.
    """
    problems: list[str] = []
    pictures: list[Path] = []
    seen: set[str] = set()
    results: set[str] = set()
    for word in words:
        for path, within in _named(str(word), problems):
            key = os.path.abspath(path)
            if _is_result(path) or _is_output(path, within, out):
                results.add(key)
            elif not once or key not in seen:
                pictures.append(path)
            seen.add(key)
    return Found(pictures, len(results), problems)


def _is_result(path: Path) -> bool:
    """Whether a file is a result: called like one, and it says so, or the two that go together are there."""
    ending = next((each for each in RESULTS if path.name.endswith(each)), None)
    if ending is None:
        return False
    stem = path.name.removesuffix(ending)
    return bool(source_of(path)) or all(path.with_name(stem + each).is_file() for each in RESULTS)


def _is_output(path: Path, within: Path, out: Path) -> bool:
    """Whether a file, found within a folder or by a pattern, is in the results' folder below that."""
    folder = out.resolve()
    return path.resolve().is_relative_to(folder) and not within.resolve().is_relative_to(folder)


def _named(word: str, problems: list[str], listed: bool = False) -> Iterator[tuple[Path, Path]]:
    """(file, the folder or pattern that it was found by, or itself) of a word; lists name no lists."""
    path = Path(word).expanduser()
    is_list = not listed and (path.suffix.lower() == ".txt" or word.startswith("@"))
    if path.is_dir():
        yield from ((file, path) for file in _of_folder(path, problems))
    elif is_list and not (word.startswith("@") and path.is_file()):
        yield from _of_list(Path(word.removeprefix("@")).expanduser(), problems)
    elif has_magic(word) and not path.is_file():
        matches = [
            match for match in sorted(glob(str(path), recursive=True)) if Path(match).is_file()
        ]
        yield from ((Path(match), path) for match in matches)
        if not matches:
            problems.append(f"{word}: no file has such a name")
    else:
        yield path, path


def _of_list(path: Path, problems: list[str]) -> Iterator[tuple[Path, Path]]:
    """What the lines of a text file name; empty lines and comments (#, and no such file) name nothing."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        problems.append(f"{path}: a list of pictures, a path a line, cannot be read: {reason}")
        return
    for line in filter(None, map(str.strip, lines)):
        if line.startswith("#") and not Path(line).exists():
            continue
        yield from _named(line, problems, listed=True)


def _of_folder(folder: Path, problems: list[str]) -> list[Path]:
    """The pictures in a folder and in those in it, by name."""
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(files) if not name.startswith(".")]
    found = [path for path in found if path.suffix.lower() in SUFFIXES]
    if not found:
        problems.append(f"{folder}: no pictures in this folder, nor in those in it")
    return found


# ---- names of results


def source(path: Path) -> str:
    """What a picture's results keep of it, so that no other picture's overwrite them."""
    return hashlib.sha1(os.fsencode(path.resolve())).hexdigest()


def stems(paths: Sequence[Path], out: Path, endings: Sequence[str] = ("",)) -> list[str]:
    """The names of the results in `out`: the pictures' own, numbered where another's have that name.

    `endings` are those of the files of a net's scores. A picture that was segmented before gets the
    name that it had.
    """
    taken: set[str] = set()
    names = []
    for path in paths:
        name, number = path.stem, 1
        while name.casefold() in taken or _is_of_another(path, out, name, endings):
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _is_of_another(path: Path, out: Path, name: str, endings: Sequence[str]) -> bool:
    """Whether files of a name are there that are not this picture's results."""
    for stem in (f"{name}{ending}" for ending in endings):
        classes = out / f"{stem}_classes.png"  # which every picture gets
        if classes.exists():
            if source_of(classes) != source(path):
                return True
        elif any((out / f"{stem}{each}").is_file() for each in OTHER_RESULTS):
            return True
    return False
