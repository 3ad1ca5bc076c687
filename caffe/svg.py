"""A graph of boxes as SVG, for any browser and notebook, without Graphviz."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .layout import Edge, Place, layout

FONT = "font-family: monospace; font-size: 11px"
CHARACTER, LINE, PAD, MARGIN = 6.7, 14.0, 7.0, 10.0
LONGEST = 44  # characters of a line; the whole text is in the box's title

_ARROW = (
    '<defs><marker id="caffe-arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#606060"/></marker></defs>'
)


@dataclass
class Row:
    """A part of a box: its lines, its colour, and what a reader sees who points at it."""

    lines: list[str]
    fill: str
    title: str

    @property
    def height(self) -> float:
        """In pixels."""
        return LINE * len(self.lines) + PAD


@dataclass
class Box:
    """Rows under each other: a layer, and those that work in place on what it made."""

    rows: list[Row] = field(default_factory=list)

    @property
    def width(self) -> float:
        """In pixels."""
        longest = max(len(_shown(line)) for row in self.rows for line in row.lines)
        return longest * CHARACTER + 2 * PAD

    @property
    def height(self) -> float:
        """In pixels."""
        return sum(row.height for row in self.rows)


def svg(
    boxes: Sequence[Box],
    edges: Sequence[Edge],
    titles: Sequence[str],
    name: str,
    rankdir: str = "TB",
) -> str:
    """An SVG of boxes and edges with a title each; `rankdir`: TB, BT, LR or RL, the flow's direction."""
    flows_down = rankdir in ("TB", "BT")
    sizes = [(box.height, box.width) if flows_down else (box.width, box.height) for box in boxes]
    found = layout([Place(*size) for size in sizes], edges)
    mirror = found.size.along if rankdir in ("BT", "RL") else None

    def point(place: Place) -> tuple[float, float]:
        along = place.along if mirror is None else mirror - place.along
        x, y = (place.across, along) if flows_down else (along, place.across)
        return x + MARGIN, y + MARGIN

    parts = [_edge(route, point, flows_down, title) for route, title in zip(found.routes, titles)]
    for box, corner, size in zip(boxes, found.corners, sizes):
        opposite = Place(corner.along + size[0], corner.across + size[1])
        x, y = (min(pair) for pair in zip(point(corner), point(opposite)))
        parts.append(_box(box, x, y))
    width, height = (value + 2 * MARGIN for value in _turned(found.size, flows_down))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" style="{FONT}">'
    )
    background = '<rect width="100%" height="100%" fill="white"/>'
    title = f"<title>{html.escape(name)}</title>"
    return "\n".join([head, title, _ARROW, background, *parts, "</svg>\n"])


def _turned(size: Place, flows_down: bool) -> tuple[float, float]:
    return (size.across, size.along) if flows_down else (size.along, size.across)


def _edge(
    route: Sequence[Place],
    point: Callable[[Place], tuple[float, float]],
    flows_down: bool,
    title: str,
) -> str:
    """A path: straight through ranks, bent between them."""
    x, y = point(route[0])
    path = [f"M{x:.1f} {y:.1f}"]
    for i, place in enumerate(route[1:-1], start=1):
        before, (x, y) = point(route[i - 1]), point(place)
        if i % 2:
            path.append(f"L{x:.1f} {y:.1f}")
            continue
        middle = (before[1] + y) / 2 if flows_down else (before[0] + x) / 2
        first = (before[0], middle) if flows_down else (middle, before[1])
        second = (x, middle) if flows_down else (middle, y)
        path.append(
            f"C{first[0]:.1f} {first[1]:.1f} {second[0]:.1f} {second[1]:.1f} {x:.1f} {y:.1f}"
        )
    return (
        f'<path class="edge" d="{"".join(path)}" fill="none" stroke="#606060" '
        f'marker-end="url(#caffe-arrow)"><title>{html.escape(title)}</title></path>'
    )


def _box(box: Box, x: float, y: float) -> str:
    """A group: a rectangle and its lines for each row."""
    parts = ['<g class="box">']
    for row in box.rows:
        parts.append(
            f'<g><title>{html.escape(row.title)}</title><rect x="{x:.1f}" y="{y:.1f}" '
            f'width="{box.width:.1f}" height="{row.height:.1f}" fill="{row.fill}" stroke="#404040"/>'
        )
        for i, line in enumerate(row.lines):
            middle, base = x + box.width / 2, y + PAD / 2 + LINE * (i + 0.75)
            parts.append(
                f'<text x="{middle:.1f}" y="{base:.1f}" text-anchor="middle">'
                f"{html.escape(_shown(line))}</text>"
            )
        parts.append("</g>")
        y += row.height
    return "".join([*parts, "</g>"])


def _shown(line: str) -> str:
    """A line, cut in its middle where it is too long."""
    if len(line) <= LONGEST:
        return line
    half = (LONGEST - 1) // 2
    return f"{line[:half]}…{line[-half:]}"
