"""What is inside of a net: a layer's feature maps for a picture, and a layer's filters, as grids."""

import difflib
from collections.abc import Sequence
from math import ceil, floor, sqrt
from typing import Any

import numpy as np

import caffe
from fcn import prototxts
from fcn.explain.fields import Field, fields
from fcn.explain.windows import AXES
from fcn.figure.grid import Cell
from fcn.segmenter import Segmenter, forward

SIDE = 16  # filters, and slices of each, that a grid shows of a layer that reads no colours


# ---- feature maps


def feature_rows(
    model: Segmenter, picture: np.ndarray, layer: str, most: int
) -> tuple[list[list[Cell | None]], str]:
    """(cells, heading): the picture, then the channels of a layer's map, the strongest first.

    Each is scaled from its own least to its own greatest value. What lies over the net's padding is
    left out.
    """
    about, net = model.about, model.net
    size = model.scaled(picture.shape[:2])
    forward(net, [{net.inputs[0]: picture}], about.kinds, about.mean, size)
    blob = blob_of(model.net, layer)
    maps = np.array(model.net.blobs[blob].data[0])
    if maps.ndim != 3:
        shape = "x".join(map(str, model.net.blobs[blob].shape))
        raise ValueError(f"{layer}: its values are {shape}, no maps with a height and a width")
    maps = over_picture(model, blob, maps)
    order = np.abs(maps).mean(axis=(1, 2)).argsort()[::-1][:most]
    cells = [Cell(picture, "input"), *(Cell(stretched(maps[k]), f"{k}") for k in order)]
    heading = f"{layer} of {model.about.model}: {counted(len(order), len(maps), 'channel')}, "
    heading += "the strongest first, each from its least value (black) to its greatest"
    return wrapped(cells, maps.shape[1:]), heading


def blob_of(net: caffe.Net, layer: str) -> str:
    """The blob that a layer gives, or the one of that name; ValueError with the most similar name."""
    if layer in net.top_names:
        return net.top_names[layer][0]
    if layer in net.blobs:
        return layer
    raise ValueError(no_layer(layer, list(net.top_names)))


def no_layer(layer: str, names: Sequence[str]) -> str:
    """A sentence: there is no such layer, and the most similar name."""
    near = difflib.get_close_matches(layer, names, 1, 0)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no layer {layer!r}{hint} (fcn explain lists a net's layers)"


def over_picture(model: Segmenter, blob: str, maps: np.ndarray) -> np.ndarray:
    """The part of maps that lies over the picture; all where nobody can tell, or nothing would be left."""
    size = model.net.blobs[model.net.inputs[0]].shape[2:]
    parts = [slice(None)]
    for axis in AXES:
        field = fields(layers_of(model), axis).get(blob)
        if not isinstance(field, Field):
            return maps
        first = max(0, ceil(-field.begin / field.apart))
        end = floor((size[axis] - 1 - field.begin) / field.apart) + 1
        parts.append(slice(first, end))
    part = maps[tuple(parts)]
    return part if part.size else maps


def stretched(values: np.ndarray) -> np.ndarray:
    """Values from 0, for the least, to 1, for the greatest; a half where all are equal."""
    least, greatest = float(values.min()), float(values.max())
    if greatest == least:
        return np.full(values.shape, 0.5)
    return (values - least) / (greatest - least)


def wrapped(cells: Sequence[Cell], shape: Sequence[int]) -> list[list[Cell | None]]:
    """Cells in rows, so that the figure is about as high as it is wide."""
    columns = max(1, round(sqrt(len(cells) * max(shape[0], 1) / max(shape[1], 1))))
    rows: list[list[Cell | None]] = [
        list(cells[k : k + columns]) for k in range(0, len(cells), columns)
    ]
    return rows


def counted(shown: int, there: int, noun: str) -> str:
    """`64 of 256 channels`, or `21 channels` where all are shown."""
    nouns = noun if there == 1 else f"{noun}s"
    return f"{there} {nouns}" if shown == there else f"{shown} of {there} {nouns}"


# ---- filters


def filter_rows(model: Segmenter, layer: str, most: int) -> tuple[list[list[Cell | None]], str]:
    """(cells, heading): a layer's filters, the strongest first.

    Those that read the picture's colours are in colour; of others a row is a filter, and its cells
    are the inputs that it weighs most.
    """
    weights = filters_of(model, layer)
    order = np.sqrt((weights**2).sum(axis=(1, 2, 3))).argsort()[::-1]
    if reads_colours(model, layer):
        order = order[:most]
        rgb = weights[:, ::-1] if model.kind == "color" else weights  # colours are read as BGR
        cells = [Cell(balanced(rgb[k]).transpose(1, 2, 0), f"{k}") for k in order]
        heading = f"{layer} of {model.about.model}: {counted(len(order), len(weights), 'filter')}, "
        return wrapped(cells, (1, 1)), heading + "the strongest first; grey is 0"
    order = order[: min(most, SIDE)]
    rows: list[list[Cell | None]] = []
    for k in order:
        inputs = np.abs(weights[k]).sum(axis=(1, 2)).argsort()[::-1][:SIDE]
        planes = balanced(weights[k])
        titles = [f"{k}: {i}" if n == 0 else f"{i}" for n, i in enumerate(inputs)]
        rows.append([Cell(planes[i], title) for i, title in zip(inputs, titles)])
    heading = f"{layer} of {model.about.model}: {counted(len(order), len(weights), 'filter')}, a row each "
    return rows, heading + "(filter: input) over the inputs that it weighs most; grey is 0"


def layers_of(model: Segmenter) -> list[Any]:
    """The layers of a model's deploy form, as the prototxt states them."""
    return list(prototxts.deploy(prototxts.read_net(model.about.prototxt)).layer)


def reads_colours(model: Segmenter, layer: str) -> bool:
    """Whether a layer's filters read the three channels of the picture."""
    stated = next(each for each in layers_of(model) if each.name == layer)
    shape = model.net.params[layer][0].shape
    return stated.bottom[0] in model.net.inputs and stated.type == "Convolution" and shape[1] == 3


def filters_of(model: Segmenter, layer: str) -> np.ndarray:
    """The weights of a layer, filters x inputs x height x width; ValueError if it has none such."""
    net, stated = model.net, {each.name: each for each in layers_of(model)}
    holders = [name for name, blobs in net.params.items() if len(blobs[0].shape) == 4]
    if layer not in stated:
        raise ValueError(no_layer(layer, holders))
    if layer not in holders:
        raise ValueError(f"{layer} has no filters; these have: {', '.join(holders)}")
    weights = np.array(net.params[layer][0].data, np.float64)
    # a Deconvolution's are inputs x filters, unless each channel has one of its own
    transposed = stated[layer].type == "Deconvolution" and weights.shape[1] > 1
    return weights.transpose(1, 0, 2, 3) if transposed else weights


def balanced(values: np.ndarray) -> np.ndarray:
    """Values as shares of white, 0 at a half, the largest magnitude at 0 or 1."""
    largest = float(np.abs(values).max())
    return 0.5 + values / (2 * largest) if largest else np.full(values.shape, 0.5)
