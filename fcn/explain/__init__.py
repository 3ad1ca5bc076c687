"""`fcn explain voc-fcn8s`, or a prototxt's path: a net as a table, and why it pads and crops as it does.

For each layer: shapes, parameters, how much of the picture an output sees and where it lies, and its share of
time and memory. For each Crop: the offset that follows, and the one in the file. Then the sizes of
pictures that fit, and what would fit if the first convolution had only the padding that its kernel needs.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import caffe
import caffe.draw as drawing
from fcn import devices
from fcn.explain import sizes
from fcn.explain.coordinates import Layers, crop_places, layers_and_tops, position_map
from fcn.explain.read import Explained, read
from fcn.explain.sizes import blob_lengths, next_size_that_fits, smallest_size
from fcn.explain.table import Row, as_json, rows, table, totals
from fcn.prototxts import NetParameter

__all__ = [
    "Layers",
    "blob_lengths",
    "explain",
    "layers_and_tops",
    "next_size_that_fits",
    "position_map",
    "read",
    "rows",
    "smallest_size",
]


def run(args: argparse.Namespace) -> int:
    """Print the explanation; returns the exit code."""
    caffe.init_log(1)  # warnings, not how the net is built
    if args.time:
        with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
            devices.use(args)
    explained = read(args.net, args.sample, args.size or ())
    found = rows(explained, args.time)
    if args.svg:
        draw(explained.param, args.svg)
    if args.json:
        print(json.dumps(summary(explained, found), indent=2))
        return 0
    print("\n".join([headline(explained), "", *table(found), *totals(explained, found), ""]))
    print("\n".join(explain(explained.param, explained.picture())))
    if args.svg:
        print(f"\nwrote {args.svg}")
    return 0


def headline(explained: Explained) -> str:
    """The file, and the picture that all is told for."""
    inputs = [
        f"{name} {'x'.join(map(str, explained.net.blobs[name].shape))}"
        for name in explained.net.inputs
    ]
    return f"{explained.path}, for {' and '.join(inputs)}"


def explain(net: NetParameter, picture: Sequence[int] = (500, 500)) -> Iterator[str]:
    """Where a deploy net's crop offsets come from and which sizes fit, line by line.

    `picture` is a height and width that fits; () if the net reads no pictures.
    """
    if not picture:
        yield "the net reads no pictures, so there are no sizes and places to tell"
        return
    layers = layers_and_tops(net)
    for place in crop_places(layers):
        yield from place.lines()
    yield from sizes.explain_sizes(layers, picture)
    yield from sizes.explain_pad(net)


def draw(net: NetParameter, path: Path) -> None:
    """Write the drawing of a net, as SVG."""
    draws: Any = drawing
    path.write_text(draws.svg(net), encoding="utf-8")


def summary(explained: Explained, found: Sequence[Row]) -> dict[str, Any]:
    """The explanation for other programs."""
    layers = layers_and_tops(explained.param)
    return {
        "net": str(explained.path),
        "inputs": {name: list(explained.net.blobs[name].shape) for name in explained.net.inputs},
        "layers": [as_json(row) for row in found],
        "total": {
            "parameters": sum(row.parameters for row in found),
            "multiply_adds": sum(row.multiply_adds for row in found),
            "map_bytes": sum(row.map_bytes for row in found),
            "memory_bytes": caffe.memory.need(explained.net).total,
        },
        "crops": [vars(place) for place in crop_places(layers)],
        "explanation": list(explain(explained.param, explained.picture())),
    }
