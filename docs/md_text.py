"""Markdown: tables, the first line of a docstring, names as code."""

import inspect


def one_line(doc):
    """The first paragraph of a docstring."""
    return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())


def table(head, rows):
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([str(cell).replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped)


def code(names):
    """Names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)
