"""The net as a table: what each layer reads, gives, holds and costs, and how much of the picture it sees."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import caffe
from fcn.explain.fields import ALL, UNKNOWN, Field, Seen, fields
from fcn.explain.read import Explained
from fcn.explain.windows import AXES, by_axis, text

PASSES = 5  # that are timed; the median counts
BYTES = 4  # of a number
SIZES, COUNTS = ("B", "KiB", "MiB", "GiB"), ("", "k", "M", "G", "T")


@dataclass(frozen=True)
class Row:
    """A layer."""

    name: str
    type: str
    bottoms: dict[str, list[int]]  # name -> shape
    tops: dict[str, list[int]]
    window: str  # kernel, stride and padding, or a Crop's offset
    parameters: int  # those that an earlier layer shares are that layer's
    sees: tuple[Seen, ...]  # along height and width; () where the layer gives no maps
    multiply_adds: int
    map_bytes: int  # of the tops; none where the layer works in place
    ms: float | None  # of a forward

    @property
    def cost(self) -> float:
        """What the layer's share of the time is told by: milliseconds, or else multiply-adds."""
        return self.multiply_adds if self.ms is None else self.ms


def rows(explained: Explained, timed: bool = False) -> list[Row]:
    """A row a layer; `timed`: with the milliseconds of a forward."""
    net = explained.net
    milliseconds = times(net) if timed else None
    layers = list(explained.layers())
    seen = [fields((layer.layer_param for layer in net.layers), axis) for axis in AXES]
    shared: set[str] = set()
    found = []
    for index, layer in layers:
        param = layer.layer_param
        tops = {name: list(net.blobs[name].shape) for name in param.top}
        maps = [name for name, shape in tops.items() if len(shape) == 4]
        work = caffe.roofline.forward_work(net, index)
        in_place = list(param.bottom[: len(param.top)]) == list(param.top)
        aliases = bool(param.bottom) and layer.aliases_bottom("data")
        found.append(
            Row(
                name=param.name,
                type=param.type,
                bottoms={name: list(net.blobs[name].shape) for name in param.bottom},
                tops=tops,
                window=text(param),
                parameters=own_parameters(layer, shared),
                sees=tuple(along[maps[0]] for along in seen) if maps else (),
                multiply_adds=work.macs,
                map_bytes=0 if in_place or aliases else BYTES * sum(map(product, tops.values())),
                ms=None if milliseconds is None else milliseconds[index],
            )
        )
    return found


def product(shape: Sequence[int]) -> int:
    """How many values a shape has."""
    return int(np.prod(shape, dtype=np.int64))


def own_parameters(layer: Any, shared: set[str]) -> int:
    """A layer's parameters without those that are shared, by name, with a layer before."""
    count = 0
    for k, blob in enumerate(layer.blobs):
        name = layer.layer_param.param[k].name if k < len(layer.layer_param.param) else ""
        count += 0 if name in shared else product(blob.shape)
        shared.update([name] if name else [])
    return count


def times(net: caffe.Net) -> list[float]:
    """Milliseconds of each layer in a forward of a new picture, the median of several, as `caffe time`."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(PASSES + 2):  # the first two choose kernels and lay weights out
        for name in net.inputs:  # a TEST net does not compute again what is as it was
            net.blobs[name].data[...] = generator.random(tuple(net.blobs[name].shape))
        found.append(caffe.roofline.forward_ms(net))
    return np.median(found[2:], axis=0).tolist()


# ---- as text


def table(found: Sequence[Row]) -> Iterator[str]:
    """The rows as lines of text."""
    timed = any(row.ms is not None for row in found)
    total, maps = sum(row.cost for row in found), sum(row.map_bytes for row in found)
    titles = [
        *("layer", "type", "bottom", "top", "window", "parameters", "bytes", "field", "apart"),
        *("first at", "ms" if timed else "mult-adds", "of all", "map bytes", "of all"),
    ]
    cells = [titles]
    for row in found:
        cells.append(
            [
                *(row.name, row.type, shapes(row.bottoms), given(row), row.window),
                *(f"{row.parameters:,}" if row.parameters else "", size(row.parameters * BYTES)),
                *seen_texts(row.sees),
                *(cost(row), share(row.cost, total)),
                *(size(row.map_bytes), share(row.map_bytes, maps)),
            ]
        )
    left = titles.index("parameters")  # words to the left, numbers to the right
    widths = [max(map(len, column)) for column in zip(*cells)]
    for line in cells:
        pairs = enumerate(zip(line, widths))
        yield "  ".join(c.ljust(w) if k < left else c.rjust(w) for k, (c, w) in pairs).rstrip()


def given(row: Row) -> str:
    """The shapes of a layer's tops."""
    return (
        "in place"
        if row.tops and not row.map_bytes and row.bottoms == row.tops
        else shapes(row.tops)
    )


def shapes(blobs: Mapping[str, Sequence[int]]) -> str:
    """Shapes of blobs, without the axis of the pictures where there is one; `2 of` where all are the same."""
    each = ["x".join(map(str, s[1:] if len(s) > 1 and s[0] == 1 else s)) for s in blobs.values()]
    alike = len(each) > 1 and len(set(each)) == 1
    return f"{len(each)} of {each[0]}" if alike else ", ".join(each)


def seen_texts(sees: tuple[Seen, ...]) -> list[str]:
    """The three cells that tell how much of the picture a layer sees, and where."""
    there = [seen for seen in sees if isinstance(seen, Field)]
    if len(there) < len(sees) or not sees:
        return [ALL if ALL in sees else UNKNOWN if sees else "", "", ""]
    return [
        by_axis([getattr(field, what) for field in there]) for what in ("size", "apart", "begin")
    ]


def cost(row: Row) -> str:
    """A row's milliseconds, or else its multiply-adds."""
    return scaled(row.multiply_adds, 1000, COUNTS) if row.ms is None else f"{row.ms:.2f}"


def size(count: int) -> str:
    """Bytes as text; nothing for none."""
    return scaled(count, 1024, SIZES)


def scaled(value: float, base: int, units: Sequence[str]) -> str:
    """A number with three digits, in the largest unit that it reaches; nothing for 0."""
    if not value:
        return ""
    unit = 0
    while value >= 999.5 and unit + 1 < len(units):
        value, unit = value / base, unit + 1
    return f"{value:.3g} {units[unit]}".rstrip()


def share(part: float, total: float) -> str:
    """A part of a total in percent; nothing for none."""
    return f"{100 * part / total:.1f}%" if part and total else ""


def totals(explained: Explained, found: Sequence[Row]) -> Iterator[str]:
    """The sums below the table."""
    count, macs = sum(row.parameters for row in found), sum(row.multiply_adds for row in found)
    need = caffe.memory.need(explained.net)
    held = {part: getattr(need, part) for part in ("weights", "maps", "work")}
    parts = ", ".join(f"{part} {size(value)}" for part, value in held.items() if value)
    yield (
        f"in all {len(found)} {'layer' if len(found) == 1 else 'layers'}, {count:,} "
        f"{'parameter' if count == 1 else 'parameters'}, {scaled(macs, 1000, COUNTS) or 'no'} "
        f"multiply-adds; a forward needs about {size(need.total)} of memory ({parts})"
    )
    if found and found[0].ms is not None:
        whole = sum(row.ms or 0 for row in found)
        yield f"a forward takes {whole:.1f} ms, the median of {PASSES}, of a new picture each"
    yield (
        "field: pixels of the picture that an output depends on, of the outputs that see most; "
        "apart, first at: pixels between outputs, and where the first one lies"
    )


# ---- as JSON


def as_json(row: Row) -> dict[str, Any]:
    """A row for other programs."""
    fields_there = [seen for seen in row.sees if isinstance(seen, Field)]
    known = len(fields_there) == len(row.sees) > 0
    shown = vars(row) | {"parameter_bytes": row.parameters * BYTES}
    del shown["sees"]
    if row.ms is None:
        del shown["ms"]
    if known:
        shown["receptive_field"] = [field.size for field in fields_there]
        shown["apart"] = [number(field.apart) for field in fields_there]
        shown["first_at"] = [number(field.begin) for field in fields_there]
    else:
        shown["receptive_field"] = (ALL if ALL in row.sees else None) if row.sees else None
    return shown


def number(value: Fraction) -> float:
    """A fraction as JSON has it."""
    return int(value) if value.denominator == 1 else float(value)
