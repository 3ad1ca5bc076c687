"""What of a net is exported: from where the data come in to where losses and measures begin.

The result is a net of phase TEST, with an Input layer for each blob that comes in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..files import read
from ..files.paths import Path
from ..graph import filter_net
from ..layer import describe
from ..names import did_you_mean
from ..net import Net
from ..proto import caffe_pb2
from . import reasons

# Bottoms that are outputs once the layer is left out; of all others that is only the first
_JUDGED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Silence", "Accuracy", "SegAccuracy", "BoxAnnotatorOHEM"), ()),
    **dict.fromkeys(("ContrastiveLoss", "EuclideanLoss"), (0, 1)),
}

Value = tuple[str, int]  # a blob's name, and how many layers have written it in place


class UnknownSize(ValueError):
    """The size of what comes in is stated nowhere."""


class InTheWay(ValueError):
    """A layer that cannot be exported stands in the middle of a net; `before` are its bottoms."""

    def __init__(self, text: str, before: Sequence[str]) -> None:
        super().__init__(text)
        self.before = before


class NothingLeft(ValueError):
    """A net has no layer that can be exported: it only holds data, or judges."""


class Cut(NamedTuple):
    """A layer that was left out."""

    layer: str
    type: str
    why: str


class Step(NamedTuple):
    """A layer with the values that it reads and writes."""

    at: int  # the layer's index in the net
    param: Any
    reads: list[Value]
    writes: list[Value]


class Part(NamedTuple):
    """What is exported: a NetParameter, and of each of its layers behind the inputs the index in the
    net that it was taken from."""

    param: caffe_pb2.NetParameter
    indices: list[int]
    outputs: list[str]
    cuts: list[Cut]


def of_net(net: Net, inputs: Iterable[str] = (), outputs: Iterable[str] = ()) -> tuple[Net, Part]:
    """The exported part of a net, as a net that shares its weights, in phase TEST.

    `inputs` and `outputs` name blobs between which the part lies; else it is as large as can be.
    """
    shapes = {name: list(blob.shape) for name, blob in net.blobs.items()}
    layers = [layer.layer_param for layer in net.layers]
    part = of_layers(net.name, layers, shapes, inputs, outputs)
    deployed = Net.from_param(part.param)
    own = [layer for layer in deployed.layers if layer.type not in ("Input", "Split")]
    kept = [net.layers[i] for i in part.indices if net.layers[i].type != "Split"]
    for layer, source in zip(own, kept, strict=True):
        for mine, theirs in zip(layer.blobs, source.blobs, strict=True):
            mine.share_data(theirs)
    return deployed, part


def of_file(
    path: Path,
    weights: Path | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
) -> tuple[Net, list[Cut]]:
    """The exported part of a prototxt's net, filled with weights, and what was left out of it.

    No data layer is made: `shapes` are those of blobs that come in, besides those that Input layers
    and the like state.
    """
    param = read.read_net(path, lenient=True)
    param.state.phase = caffe_pb2.TEST
    layers = filter_net(param).layer
    known: dict[str, Sequence[int]] = {b: shape for x in layers for b, shape in _stated(x)}
    made = {top for layer in layers for top in layer.top}
    everything = {top for layer in param.layer for top in layer.top}
    absent = everything - made
    for blob in shapes or ():
        if blob not in everything:
            raise ValueError(f"{path}: no blob '{blob}' in the net{did_you_mean(blob, everything)}")
    known |= dict(shapes or {})
    inputs = list(inputs)
    for blob in set(inputs).intersection(everything).difference(known):
        with contextlib.suppress(
            ValueError
        ):  # it stays unknown where what is before cannot be built
            before = of_layers(param.name, layers, known, outputs=[blob], absent=absent)
            known[blob] = list(Net.from_param(before.param).blobs[blob].shape)
    part = of_layers(param.name, layers, known, inputs, outputs, absent)
    net = Net.from_param(part.param)
    if weights is not None:
        net.copy_from(weights)
    return net, part.cuts


def _stated(layer: Any) -> Iterator[tuple[str, list[int]]]:
    """The tops of a layer without bottoms whose shapes it states."""
    if layer.type in ("Input", "DummyData"):
        message = layer.input_param if layer.type == "Input" else layer.dummy_data_param
        shapes = [list(shape.dim) for shape in message.shape]
        if len(shapes) == 1:
            shapes *= len(layer.top)
        yield from zip(layer.top, shapes)
    elif layer.type == "MemoryData":
        p = layer.memory_data_param
        yield layer.top[0], [p.batch_size, p.channels, p.height, p.width]


def of_layers(
    name: str,
    layers: Sequence[Any],
    shapes: Mapping[str, Sequence[int]],
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
    absent: Collection[str] = (),
) -> Part:
    """The exported part of a net's layers.

    `shapes` holds the shape of every blob that comes in; `absent` are the blobs that layers of another
    phase make, such as the data of a net for training alone. Raises ValueError where a layer in the
    middle cannot be exported, and for names that no blob has.
    """
    steps = _trace(layers)
    last = {value[0]: value for step in steps for value in step.writes}
    given = {_known(blob, last) for blob in inputs}
    asked = [_known(blob, last) for blob in outputs]
    sort = _Sorted(steps, given, whole=not given and not asked)
    sort.sources += [v for step in steps for v in step.reads if v[0] in absent]
    wanted = asked or sort.ends()
    needed = _reach(steps, wanted, sort)
    read = {value for step in needed for value in step.reads} | set(wanted)
    sources = [value for value in dict.fromkeys([*sort.sources, *given]) if value in read]
    if not needed:
        cuts = "; ".join(f"{cut.layer} ({cut.type}): {cut.why}" for cut in sort.cuts)
        raise NothingLeft(f"net '{name}': nothing is left to export: {cuts or 'it has no layers'}")
    param = caffe_pb2.NetParameter(name=name, state=caffe_pb2.NetState(phase=caffe_pb2.TEST))
    for blob, _ in sources:
        if blob not in shapes:
            raise UnknownSize(
                f"the size of input '{blob}' is not known: state it, as in --shape {blob}=1,3,500,500"
            )
        source = param.layer.add(name=blob, type="Input", top=[blob])
        source.input_param.shape.add(dim=shapes[blob])
    param.layer.extend(map(_bare, needed))
    ends = list(dict.fromkeys(blob for blob, _ in wanted))
    return Part(param, [step.at for step in needed], ends, sort.cuts)


def _known(blob: str, last: Mapping[str, Value]) -> Value:
    if blob not in last:
        raise ValueError(f"no blob '{blob}' in the net{did_you_mean(blob, last)}")
    return last[blob]


def _trace(layers: Sequence[Any]) -> list[Step]:
    """Every layer with its values; the Splits that nets insert are taken out."""
    aliases: dict[str, Value] = {}
    version: dict[str, int] = {}
    steps = []
    for at, param in enumerate(layers):
        reads = [aliases.get(blob) or (blob, version.get(blob, 0)) for blob in param.bottom]
        if is_inserted(param):
            aliases |= dict.fromkeys(param.top, reads[0])
            continue
        for blob in param.top:
            version[blob] = version[blob] + 1 if blob in version else 0
        writes = [(blob, version[blob]) for blob in param.top]
        steps.append(Step(at, param, reads, writes))
    return steps


def is_inserted(layer_param: Any) -> bool:
    """Whether a layer is a Split that a net inserted itself."""
    tops = [f"{layer_param.name}_{k}" for k in range(len(layer_param.top))]
    return layer_param.type == "Split" and list(layer_param.top) == tops


class _Sorted:
    """The layers of a net by whether they can be exported."""

    def __init__(self, steps: Sequence[Step], given: set[Value], whole: bool) -> None:
        """`given` are the values that come in. With `whole`, a layer that cannot be exported and that
        others read is an error."""
        self.steps, self.given = steps, given
        self.kept: set[int] = set()
        self.sources: list[Value] = []  # what layers without bottoms make
        self.lost: dict[Value, Step] = {}  # value -> the layer for whose sake there is none
        self.cuts: list[Cut] = []
        for step in steps:
            param = step.param
            lost = next((self.lost[v] for v in step.reads if v in self.lost), None)
            if step.writes and given.issuperset(step.writes):
                continue
            if not step.reads and param.type != "Parameter":
                self.sources += step.writes
                if param.type != "Input":
                    self._cut(step, reasons.DATA)
                continue
            if why := reasons.left_out(param.type):
                lost = step
                self._cut(step, why)
            elif lost and lost.param.type == "Python" and whole:
                raise self.in_the_way(lost, step)
            elif lost:
                self._cut(step, f"reads what {lost.param.name} made, which is left out")
            else:
                self.kept.add(step.at)
            self.lost |= dict.fromkeys(set(step.writes) - given, lost) if lost else {}

    def _cut(self, step: Step, why: str) -> None:
        self.cuts.append(Cut(step.param.name, step.param.type, why))

    @staticmethod
    def in_the_way(lost: Step, reader: Step) -> InTheWay:
        """The error for a layer that cannot be exported, with others behind it."""
        tops = ", ".join(blob for blob, _ in lost.writes)
        before = [blob for blob, _ in lost.reads]
        return InTheWay(
            f"{describe(lost.param)} cannot be exported ({reasons.LEFT_OUT['Python']}), and "
            f"{describe(reader.param)} reads what it makes. Way out: export the part before it "
            f"(outputs: {', '.join(before)}) and the part behind it (inputs: {tops})",
            before,
        )

    def ends(self) -> list[Value]:
        """The values that become outputs: nobody reads them, or only who is left out.

        What a measure reads is one where there is no other: a loss for training alone beside it.
        """
        return self._ends(_JUDGED) or self._ends({})

    def _ends(self, judges: Mapping[str, tuple[int, ...]]) -> list[Value]:
        """The same, of layers that are left out those bottoms that `judges` states, or the first."""
        made = [v for step in self.steps if step.at in self.kept for v in step.writes]
        unread = dict.fromkeys(made)
        judged: set[Value] = set()
        for step in self.steps:
            left_out = step.at not in self.kept
            indices = judges.get(step.param.type, (0,)) if left_out else ()
            if left_out and step.param.type in ("Python", "HDF5Output", "MatWrite"):
                indices = tuple(range(len(step.reads)))
            judged |= {v for k, v in enumerate(step.reads) if k in indices}
            for value in step.reads:
                unread.pop(value, None)
        alive, inner = {*unread, *judged}, set()  # inner: what is read on the way to an end
        for step in reversed(self.steps):
            if step.at in self.kept and alive.intersection(step.writes):
                alive.update(step.reads)
                inner.update(step.reads)
        return [v for v in dict.fromkeys(made) if v in unread or v in judged - inner]


def _reach(steps: Sequence[Step], wanted: Iterable[Value], sort: _Sorted) -> list[Step]:
    """The layers that the wanted values need, in order. ValueError where one cannot be exported."""
    values, found = set(wanted), []
    for step in reversed(steps):
        if not values.intersection(step.writes) - sort.given:
            continue
        if step.at in sort.kept:
            found.append(step)
            values |= set(step.reads)
        elif culprit := next((sort.lost[v] for v in step.writes if v in sort.lost), None):
            why = reasons.left_out(culprit.param.type)
            raise ValueError(f"{describe(culprit.param)} cannot be exported: {why}")
    return found[::-1]


def _bare(step: Step) -> Any:
    """A layer's definition without what is for training, or for another net."""
    param = caffe_pb2.LayerParameter()
    param.CopyFrom(step.param)
    for field in ("include", "exclude", "phase", "loss_weight", "propagate_down"):
        param.ClearField(field)
    param.bottom[:] = [blob for blob, _ in step.reads]
    return param


class Placed(NamedTuple):
    """A layer of a built net, with the names of the blobs that it reads and writes."""

    at: int  # the layer's index in the net
    layer: Any
    bottoms: list[str]
    tops: list[str]


def steps(net: Net) -> Iterator[Placed]:
    """A net's layers without inputs and without the Splits that it inserted itself."""
    copied: dict[str, str] = {}
    topology = net._topology
    rows = zip(net.layers, topology.bottom_ids, topology.top_ids)
    for at, (layer, bottom_ids, top_ids) in enumerate(rows):
        bottoms, tops = ([topology.blob_names[i] for i in ids] for ids in (bottom_ids, top_ids))
        bottoms = [copied.get(name, name) for name in bottoms]
        if is_inserted(layer.layer_param):
            copied |= dict.fromkeys(tops, bottoms[0])
        elif layer.type != "Input":
            yield Placed(at, layer, bottoms, tops)
