"""The option --shape of tools that make a net without its data: sizes that the prototxt does not state."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .flags import UsageError


def add_shapes(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="BLOB=N,C,H,W",
        help="size of what comes in, where the prototxt does not say it; may be given more than once",
    )


def shapes(texts: Sequence[str]) -> dict[str, list[int]]:
    """{blob: its shape} of texts such as `data=1,3,500,500`. UsageError for what is none."""
    return dict(map(_shape, texts))


def _shape(text: str) -> tuple[str, list[int]]:
    blob, _, sizes = text.partition("=")
    try:
        shape = [int(size) for size in sizes.replace("x", ",").split(",")]
    except ValueError:
        shape = []
    if not blob or not shape or min(shape) < 1:
        raise UsageError(f"--shape takes a blob and its sizes, as data=1,3,500,500; got '{text}'")
    return blob, shape
