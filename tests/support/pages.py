"""Reads Markdown pages: the commands and the Python code that they show."""

import re
import shlex
from typing import NamedTuple

from places import ROOT

PAGES = ("README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")))
LANGUAGES = ("sh", "python", "protobuf", "text")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"(?<=\n\n)(?:(?:    .*)?\n)+")  # behind an empty line
INLINE = re.compile(r"`((?:fcn|caffe|python|make|pip) [^`\n<]+)`")


class Step(NamedTuple):
    """What a page shows: a command, or Python code; `line` is where it stands."""

    line: int
    kind: str  # "command" or "python"
    text: str


def steps(page):
    """The steps of a page, in their order."""
    text = (ROOT / page).read_text()
    found = []
    for block in FENCED.finditer(text):
        line = line_of(text, block.start(2))
        assert block[1] in LANGUAGES, f"{page}:{line}: a block of {LANGUAGES} says which"
        found += steps_of(block[1], block[2], line)
    without = FENCED.sub(lambda block: re.sub(r"[^\n]", "", block[0]), text)
    for block in INDENTED.finditer(without):
        if code := re.sub(r"^    ", "", block[0], flags=re.M).rstrip():
            language = "python" if re.search(r"^(import|from) ", code, re.M) else "sh"
            found += steps_of(language, code, line_of(text, block.start()))
    return sorted(found, key=lambda step: step.line)


def line_of(text, at):
    """The number of the line that a position of a text is in."""
    return text.count("\n", 0, at) + 1


def steps_of(language, code, line):
    """The steps in one block of code; none in a block of another language."""
    if language == "python":
        yield Step(line, "python", code)
    elif language == "sh":
        joined = re.sub(r" *\\\n *", " ", code)
        for number, text in enumerate(joined.splitlines(), line):
            for part in text.partition(" #")[0].split("&&"):
                if part.strip() and not part.strip().startswith("#"):
                    yield Step(number, "command", part.strip())


def words_of(command):
    """The words of a command line, without the variables set before it."""
    words = shlex.split(command, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]
    return words


def inline_commands(page):
    """The commands that a page names within its text."""
    text = FENCED.sub("", (ROOT / page).read_text())
    return [match[1] for match in INLINE.finditer(text)]
