"""docs/troubleshooting.md: every pain has its entry, its tests exist. What pages quote is said."""

import ast
import re
from functools import cache

import pytest
from places import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
PAINS = range(1, 44)  # as they were numbered where they were collected
ENTRY = re.compile(r"^### (?P<title>.+)\n<!-- (?P<number>\d+): (?P<tests>.+?) -->\n", re.M)
ENTRIES = {int(entry["number"]): entry for entry in ENTRY.finditer(PAGE)}
PAGES = sorted((ROOT / "docs").glob("*.md"))
QUOTES = [quote for page in PAGES for quote in re.findall(r"^> (.+)$", page.read_text(), re.M)]
LETTERS = 8  # a shorter piece between two … is no evidence


def test_every_pain_has_one_entry_in_order():
    numbers = [int(entry["number"]) for entry in ENTRY.finditer(PAGE)]
    assert numbers == list(PAINS)
    assert PAGE.count("<!--") == len(numbers)  # no other comment, that nothing would check


@cache
def functions(path):
    """The names of the functions of a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("number", PAINS)
def test_its_tests_are_there(number):
    for test in ENTRIES[number]["tests"].split():
        path, _, name = test.partition("::")
        assert name.startswith("test_") and name in functions(path), test


def texts_of(tree):
    """The texts in a module, with a mark where an f-string has a value; no docstrings."""
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (getattr(part, "value", None) for part in node.values)
            yield "".join(part if isinstance(part, str) else "\0" for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone:
            yield node.value


@cache
def said():
    """All texts of the code, one after the other."""
    paths = [path for package in ("caffe", "fcn") for path in (ROOT / package).rglob("*.py")]
    trees = (ast.parse(path.read_text()) for path in paths)
    return "\0".join(text for tree in trees for text in texts_of(tree))


@pytest.mark.parametrize("quote", QUOTES)
def test_what_a_page_quotes_is_said(quote):
    pieces = [piece.strip(" ,;:.?!'\"()[]") for piece in quote.split("…")]
    pieces = [piece for piece in pieces if len(re.findall(r"\w", piece)) >= LETTERS]
    assert pieces, "nothing of it can be looked for"
    for piece in pieces:
        found = piece in said()
        assert found, f"nobody says: {piece}"
