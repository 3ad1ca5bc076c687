"""How blobs, nets and solvers show themselves: lines of text, and in a notebook tables.

What is shown is known without computing anything. No value is read, so that none counts as written
and none is fetched from a GPU.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_HEAD, _TAIL = 40, 15  # rows shown of a long table: the first and the last
_UNITS = ("B", "KiB", "MiB", "GiB")
_CELL = "text-align: left; font-family: monospace; padding: 1px 10px"


# ---- words


def shape_text(shape: Iterable[int]) -> str:
    """1 x 3 x 500 x 500; "one value" of a blob without axes."""
    return " x ".join(map(str, shape)) or "one value"


def size_text(size: float) -> str:
    """A number of bytes in B, KiB, MiB or GiB."""
    power = 0
    while size >= 1000 and power < len(_UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.3g} {_UNITS[power]}"


def many(count: int, thing: str) -> str:
    """A count and its thing: 1 layer, 2 layers, 134.5 million parameters."""
    number = f"{count / 1e6:.4g} million" if count >= 1e6 else f"{count:,}"
    return f"{number} {thing}{'' if count == 1 else 's'}"


# ---- tables


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines, columns aligned."""
    rows = _shortened(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    )


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells under a head, as an HTML table."""
    lines = [_html_row("th", head), *(_html_row("td", row) for row in _shortened(rows))]
    return f"<table>{''.join(lines)}</table>"


def _shortened(rows):
    left_out = len(rows) - _HEAD - _TAIL
    if left_out <= 1:
        return rows
    note = [f"... {left_out} more ...", *[""] * (len(rows[0]) - 1)]
    return [*rows[:_HEAD], note, *rows[-_TAIL:]]


def _html_row(tag, cells):
    cells = (f'<{tag} style="{_CELL}">{html.escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{''.join(cells)}</tr>"


# ---- blobs


def blob_text(blob: Any) -> str:
    """<Blob 'data': 1 x 3 x 500 x 500 float32, 2.86 MiB>, and on which GPU the newest values are."""
    name = f" '{blob._name}'" if blob._name else ""
    kind = str(blob._data.dtype).removeprefix("torch.")
    newest = blob._data.newest
    where = f", on {newest}" if newest is not None and str(newest) != "cpu" else ""
    gone = ", released" if blob._data.released else ""
    size = size_text(_bytes([blob]))
    return f"<Blob{name}: {shape_text(blob.shape)} {kind}, {size}{where}{gone}>"


def _bytes(blobs):
    return sum(blob.count * blob._data.dtype.itemsize for blob in blobs)


def named_rows(things: Mapping[str, Any]) -> list[list[str]]:
    """[name, shape, size] of each blob, or layer's list of blobs, of a mapping."""
    rows = []
    for name, thing in things.items():
        blobs = thing if isinstance(thing, list) else [thing]
        rows.append([name, ", ".join(shape_text(b.shape) for b in blobs), size_text(_bytes(blobs))])
    return rows


def named_head(things: Mapping[str, Any]) -> str:
    """16 layers, 134.5 million parameters, 513 MiB; or 23 blobs."""
    lists = [thing for thing in things.values() if isinstance(thing, list)]
    if len(lists) < len(things):
        return many(len(things), "blob")
    blobs = {id(blob._data): blob for each in lists for blob in each}.values()  # shared ones once
    values = many(sum(blob.count for blob in blobs), "parameter")
    return f"{many(len(things), 'layer')}, {values}, {size_text(_bytes(blobs))}"


# ---- nets


def net_text(net: Any) -> str:
    """Name, phase, layers, parameters, memory; a line each for inputs and outputs."""
    lines = [_net_head(net)]
    for what, names in (("inputs", net.inputs), ("outputs", net.outputs)):
        if names:
            shown = (f"{name} {shape_text(net.blobs[name].shape)}" for name in names)
            lines.append(f"{what}: {'; '.join(shown)}")
    return "<" + "\n ".join(lines) + ">"


def _net_head(net):
    learned = many(sum(blob.count for blob in net.learnable_params), "parameter")
    layers = many(sum(layer.type != "Split" for layer in net.layers), "layer")
    phase = ("TRAIN", "TEST")[net.phase]
    size = size_text(net._running.memory_use.need().total)
    name = f"{type(net).__name__} '{net.name}'" if net.name else type(net).__name__
    return f"{name}, {phase}: {layers}, {learned}, about {size} of memory"


def net_html(net: Any, drawing: str) -> str:
    """The head of `net_text`, and, folded, a table of the layers and an SVG of the net."""
    rows = []
    for layer, name in zip(net.layers, net._layer_names):
        if layer.type == "Split":  # which Caffe inserted
            continue
        tops = net.top_names[name]
        shapes = ", ".join(shape_text(net.blobs[top].shape) for top in tops)
        blobs = ", ".join(shape_text(blob.shape) for blob in layer.blobs)
        rows.append([name, layer.type, ", ".join(tops), shapes, blobs])
    table = html_table(["layer", "type", "tops", "shape", "parameters"], rows)
    folded = _folded("layers", table) + _folded("drawing", drawing)
    return f"<div><p>{html.escape(_net_head(net))}</p>{folded}</div>"


def _folded(title, body):
    return f"<details><summary>{title}</summary>{body}</details>"


# ---- solvers


def solver_text(solver: Any) -> str:
    """Type, iteration, rule of the rate; the nets."""
    return (
        "<" + "\n ".join([*_solver_lines(solver), net_text(solver.net).replace("\n", "\n  ")]) + ">"
    )


def solver_html(solver: Any) -> str:
    """The same lines, and the net as it shows itself."""
    lines = "<br>".join(map(html.escape, _solver_lines(solver)))
    return f"<div><p>{lines}</p>{solver.net._repr_html_()}</div>"


def _solver_lines(solver):
    p = solver.param
    rate = f"base_lr {p.base_lr:g} ({p.lr_policy}), momentum {p.momentum:g}"
    yield f"{type(solver).__name__} '{solver.source}': iteration {solver.iter} of {p.max_iter}"
    yield f"{rate}, weight_decay {p.weight_decay:g}"
    if solver.test_nets:
        yield f"{many(len(solver.test_nets), 'test net')}, every {many(p.test_interval, 'iteration')}"
