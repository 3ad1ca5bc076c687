"""A net's graph as SVG, as DOT text, or as a picture through pydot (python/caffe/draw.py)."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import text_format

from caffe.files import upgrade
from caffe.glog import warning
from caffe.layout import Edge
from caffe.proto import caffe_pb2
from caffe.svg import Box, Row
from caffe.svg import svg as draw_boxes

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}
_COLORS = {"Convolution": "#FF5050", "Deconvolution": "#FF5050"}
_COLORS |= {"Pooling": "#FF9900", "InnerProduct": "#CC33FF"}
_DOT_FORMATS = ("dot", "gv", "raw")


def get_pooling_types_dict() -> dict[int, str]:
    """Number of a pooling method -> its name."""
    return {value: name for name, value in caffe_pb2.PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: caffe_pb2.LayerParameter) -> str:
    """What flows out of a layer: a batch's size, numbers of outputs, or nothing (`""`, quoted)."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return '""'


def get_layer_lr_mult(layer: caffe_pb2.LayerParameter) -> float:
    """lr_mult of the first parameter of a layer that has weights; 0 for others."""
    if layer.type not in ("Convolution", "Deconvolution", "InnerProduct"):
        return 0
    return layer.param[0].lr_mult if layer.param else 1.0


def _first(values, default):
    return values[0] if len(values) else default


def get_layer_label(
    layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool = False
) -> str:
    """The text in a layer's node: name, type and what tells layers of the type apart."""
    # across the flow there is room for lines, along it not
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    parts = [f"{layer.name}{separator}({layer.type})"]
    if layer.type in ("Convolution", "Deconvolution"):
        conv = layer.convolution_param
        kernel = _first(conv.kernel_size, conv.kernel_h or 1)
        shape = kernel, _first(conv.stride, 1), _first(conv.pad, 0)
        parts += [f"kernel size: {shape[0]}", f"stride: {shape[1]}", f"pad: {shape[2]}"]
    elif layer.type == "Pooling":
        pool = layer.pooling_param
        parts[0] = f"{layer.name}{separator}({get_pooling_types_dict()[pool.pool]} {layer.type})"
        sizes = pool.kernel_size, pool.stride, pool.pad
        parts += [f"kernel size: {sizes[0]}", f"stride: {sizes[1]}", f"pad: {sizes[2]}"]
    rate = get_layer_lr_mult(layer)
    if display_lrm and rate:
        parts.append(f"lr mult: {rate:.1f}")
    return separator.join(parts)


def choose_color_by_layertype(layertype: str) -> str:
    """Fill colour of a layer's node."""
    return _COLORS.get(layertype, "#6495ED")


def _graph(net, rankdir, label_edges, phase, display_lrm):
    """(nodes, edges): key -> (label, style), and (from, to, label)."""
    nodes, edges = {}, []
    for layer in _drawn(net, phase):
        key = f"{layer.name}_{layer.type}"
        in_place = len(layer.bottom) == len(layer.top) == 1 and layer.bottom[0] == layer.top[0]
        style = dict(NEURON_LAYER_STYLE if in_place else LAYER_STYLE_DEFAULT)
        if not in_place:
            style["fillcolor"] = choose_color_by_layertype(layer.type)
        nodes[key] = (get_layer_label(layer, rankdir, display_lrm), style)
        for blob in layer.bottom:
            nodes[f"{blob}_blob"] = (blob, BLOB_STYLE)
            edges.append((f"{blob}_blob", key, None))
        for blob in layer.top:
            nodes[f"{blob}_blob"] = (blob, BLOB_STYLE)
            edges.append((key, f"{blob}_blob", get_edge_label(layer) if label_edges else None))
    return nodes, edges


def _drawn(net, phase):
    """The layers of a net of any format, or those of a phase."""
    if net.layers or net.input:
        upgraded = caffe_pb2.NetParameter()
        upgraded.CopyFrom(net)
        net = upgrade.upgrade_net(upgraded)
    for layer in net.layer:
        included = not layer.include or any(
            not rule.HasField("phase") or rule.phase == phase for rule in layer.include
        )
        excluded = any(rule.HasField("phase") and rule.phase == phase for rule in layer.exclude)
        if phase is None or (included and not excluded):
            yield layer


# ---- SVG


def svg(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str = "TB",
    phase: int | None = None,
    display_lrm: bool = False,
    shapes: Mapping[str, Iterable[int]] | None = None,
) -> str:
    """The graph as an SVG that needs nothing else: a box a layer, with those that work in place on it.

    rankdir: TB, BT, LR or RL; phase: TRAIN, TEST or None for all layers. Pointing at a box shows the
    layer's settings, at an edge the blob and, if `shapes` has it, its shape.
    """
    boxes: list[Box] = []
    edges: list[Edge] = []
    makers: dict[str, list[int]] = {}  # blob -> the boxes that make it
    fresh: set[str] = set()  # blobs that no other box has read yet
    for layer in _drawn(caffe_net, phase):
        if _is_in_place(layer) and layer.bottom[0] in fresh and len(makers[layer.bottom[0]]) == 1:
            boxes[makers[layer.bottom[0]][0]].rows.append(_svg_row(layer, display_lrm))
            continue
        edges += [Edge(i, len(boxes), blob) for blob in layer.bottom for i in makers.get(blob, ())]
        fresh.difference_update(layer.bottom)
        fresh.update(layer.top)
        for blob in layer.top:
            others = [] if blob in layer.bottom or not _is_in_some(layer) else makers.get(blob, [])
            makers[blob] = [*others, len(boxes)]
        boxes.append(Box([_svg_row(layer, display_lrm)]))
    titles = [_edge_title(edge.port, shapes or {}) for edge in edges]
    return draw_boxes(boxes, edges, titles, caffe_net.name or "Net", rankdir)


def _is_in_place(layer):
    return len(layer.bottom) == len(layer.top) == 1 and layer.bottom[0] == layer.top[0]


def _is_in_some(layer):
    """Whether a layer is in some phases' or stages' nets only: another may make the same blob."""
    return bool(layer.include or layer.exclude)


def _svg_row(layer, display_lrm):
    """A layer's row: its name, its type with what tells layers of the type apart."""
    rate = get_layer_lr_mult(layer) if display_lrm else 0
    kind = " ".join([layer.type, *_settings(layer), *([f"lr mult {rate:g}"] if rate else [])])
    stated = [field.name for field, _ in layer.ListFields() if field.name.endswith("_param")]
    texts = (
        f"{name} {{ {text_format.MessageToString(getattr(layer, name), as_one_line=True)}}}"
        for name in stated
    )
    title = "\n".join([f"{layer.name} ({layer.type})", *texts])
    if _is_in_place(layer):
        return Row([f"{layer.name} {kind}"], NEURON_LAYER_STYLE["fillcolor"], title)
    return Row([layer.name, kind], choose_color_by_layertype(layer.type), title)


def _settings(layer):
    """Outputs, kernel, stride, pad; method; offset: a few words."""
    if layer.type in ("Convolution", "Deconvolution"):
        p = layer.convolution_param
        yield str(p.num_output)
        yield from _window(list(p.kernel_size) or [p.kernel_h, p.kernel_w], p.stride, p.pad)
    elif layer.type == "Pooling":
        p = layer.pooling_param
        yield get_pooling_types_dict()[p.pool]
        size = [p.kernel_size] if p.kernel_size else [p.kernel_h, p.kernel_w]
        yield from ["global"] if p.global_pooling else _window(size, [p.stride], [p.pad])
    elif layer.type == "InnerProduct":
        yield str(layer.inner_product_param.num_output)
    elif layer.type == "Eltwise":
        yield caffe_pb2.EltwiseParameter.EltwiseOp.Name(layer.eltwise_param.operation)
    elif layer.type == "Crop":
        yield f"at {', '.join(map(str, layer.crop_param.offset)) or 0}"


def _window(kernel, stride, pad):
    sides = kernel * 2 if len(kernel) == 1 else kernel
    yield "x".join(map(str, sides))
    for word, values, usual in (("stride", stride, 1), ("pad", pad, 0)):
        if any(value != usual for value in values):
            yield f"{word} {','.join(map(str, dict.fromkeys(values)))}"


def _edge_title(blob, shapes):
    return f"{blob}: {' x '.join(map(str, shapes[blob]))}" if blob in shapes else blob


# ---- DOT


def _quoted(text):
    return '"' + text.replace('"', r"\"") + '"'


def dot(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str = "LR",
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> str:
    """The graph as DOT text."""
    nodes, edges = _graph(caffe_net, rankdir, label_edges, phase, display_lrm)
    lines = [f"digraph {_quoted(caffe_net.name or 'Net')} {{", f"rankdir={rankdir};"]
    for key, (label, style) in nodes.items():
        # in a record's label these draw fields
        shown = re.sub(r"([{}|<>])", r"\\\1", label) if style["shape"] == "record" else label
        values = ", ".join(f"{k}={_quoted(v)}" for k, v in {"label": shown, **style}.items())
        lines.append(f"{_quoted(key)} [{values}];")
    for source, target, label in edges:
        text = f" [label={_quoted(label.strip(chr(34)))}]" if label is not None else ""
        lines.append(f"{_quoted(source)} -> {_quoted(target)}{text};")
    return "\n".join(lines) + "\n}\n"


def get_pydot_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """The graph as a pydot.Dot. ImportError where pydot is not installed (`dot` needs none).

    caffe_net: a NetParameter; rankdir: LR, TB, BT or RL; phase: TRAIN, TEST or None for all layers.
    """
    try:
        import pydot
    except ImportError as error:
        raise ImportError(
            "a pydot graph needs pydot (pip install pydot) and Graphviz; caffe.draw.dot(net) gives "
            "the same as DOT text"
        ) from error
    text = dot(caffe_net, rankdir, label_edges, phase, display_lrm)
    return pydot.graph_from_dot_data(text)[0]


def can_draw() -> bool:
    """Whether pictures can be drawn: pydot and Graphviz's `dot` are installed."""
    try:
        import pydot  # noqa: F401
    except ImportError:
        return False
    return shutil.which("dot") is not None


def draw_net(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The bytes of a picture of the graph; without Graphviz `svg`'s, or DOT text with a warning."""
    if ext not in _DOT_FORMATS:
        if can_draw():
            graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
            return graph.create(format=ext)
        if ext == "svg":
            return svg(caffe_net, rankdir, phase, display_lrm).encode()
        text = f"no {ext}: pydot (pip install pydot) or Graphviz is not installed; this is DOT text"
        warning("draw.py:1", text)
    return dot(caffe_net, rankdir, phase=phase, display_lrm=display_lrm).encode()


def draw_net_to_file(
    caffe_net: caffe_pb2.NetParameter,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> str:
    """Draw to a file, whose ending is the format (dot, gv, raw: DOT text); returns the file's name.

    Without Graphviz that is an .svg, or <filename without ending>.dot, with a warning.
    """
    stem, ending = os.path.splitext(filename)
    ext = ending[1:].lower()
    if ext not in (*_DOT_FORMATS, "svg") and not can_draw():
        warning(
            "draw.py:1",
            f"no {filename}: pydot (pip install pydot) or Graphviz is not installed; wrote {stem}.dot, "
            f"which `dot -T{ext} {stem}.dot -o {filename}` draws; {stem}.svg needs neither",
        )
        filename, ext = f"{stem}.dot", "dot"
    picture = draw_net(caffe_net, rankdir, ext, phase, display_lrm)
    with open(filename, "wb") as file:
        file.write(picture)
    return filename
