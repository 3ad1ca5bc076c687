"""Receptive fields: which pixels of the picture each output of a layer depends on, along one axis.

They are followed through the net output by output, so that they are right for dilated kernels, for
deconvolutions, whose outputs see more or less by turns, and for fused skips, where the larger field
counts. What lies in the padding counts as seen.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import gcd, lcm
from typing import Any, NamedTuple, TypeAlias

from caffe.coord_map import PASS_THROUGH_LAYERS
from caffe.proto import caffe_pb2
from fcn.explain.windows import SIZED, SPATIAL, crop_offset, window

Span: TypeAlias = tuple[int, int]  # the first and the last pixel

ALL = "all"  # every output depends on the whole picture
UNKNOWN = "?"  # behind a layer whose outputs cannot be placed
MIXING = ("InnerProduct", "MVN", "SPP", "Reduction", "RNN", "LSTM")  # read whole maps
# Outputs are the inputs at the same place; those with an axis, if it is the channels' or before
LOCAL = {*PASS_THROUGH_LAYERS, "BatchReindex", "Filter"} - {*MIXING}
ALONG = {name: f"{name.lower()}_param" for name in ("ArgMax", "Concat", "Slice", "Softmax", "Tile")}


class Field(NamedTuple):
    """Output i depends on the pixels `spans[i % period]`, moved on by `step` for each period before it.

    A span is None where an output depends on no pixel, as between the kernels of some deconvolutions.
    """

    step: int
    spans: tuple[Span | None, ...]

    def at(self, i: int) -> Span | None:
        """The first and the last pixel that output i depends on."""
        periods, phase = divmod(i, len(self.spans))
        span = self.spans[phase]
        return span and (span[0] + periods * self.step, span[1] + periods * self.step)

    @property
    def size(self) -> int:
        """Pixels from first to last, of the output that sees most."""
        return max((last - first + 1 for first, last in filter(None, self.spans)), default=0)

    @property
    def apart(self) -> Fraction:
        """Pixels between outputs."""
        return Fraction(self.step, len(self.spans))

    @property
    def begin(self) -> Fraction:
        """Where output 0 lies: the middle of its field, evened out over a period."""
        there = [(i, span) for i, span in enumerate(self.spans) if span]
        middles = [Fraction(sum(span), 2) - i * self.apart for i, span in there]
        return sum(middles, Fraction(0)) / max(len(middles), 1)


Seen: TypeAlias = Field | str  # a Field, ALL or UNKNOWN
PICTURE = Field(1, ((0, 0),))


def fields(layers: Iterable[Any], axis: int) -> dict[str, Seen]:
    """What each blob of a net sees, along HEIGHT or WIDTH; layers without a bottom give pictures."""
    found: dict[str, Seen] = {}
    for layer in layers:
        seen = field_of(layer, [found[name] for name in layer.bottom], axis)
        found.update(dict.fromkeys(layer.top, seen))
    return found


def field_of(layer: Any, below: list[Seen], axis: int) -> Seen:
    """What a layer's tops see, from what its bottoms do."""
    if not below:
        return PICTURE
    if layer.type in MIXING or reads_all(layer):
        return ALL
    if layer.type in THROUGH:
        first = below[0]  # the other bottom of a Crop gives its size
        return first if isinstance(first, str) else THROUGH[layer.type](layer, first, axis)
    return union(below) if is_local(layer) else UNKNOWN


def reads_all(layer: Any) -> bool:
    """Whether the settings of a layer make it read whole maps."""
    if layer.type == "Pooling":
        return layer.pooling_param.global_pooling
    if layer.type == "BatchNorm":
        param = layer.batch_norm_param
        return param.HasField("use_global_stats") and not param.use_global_stats
    return layer.type == "ArgMax" and not layer.argmax_param.HasField("axis")


def is_local(layer: Any) -> bool:
    """Whether each output depends on the bottoms' values at its own place alone."""
    if layer.type in ALONG:
        return 0 <= getattr(layer, ALONG[layer.type]).axis < SPATIAL
    return layer.type in LOCAL


# ---- through a layer


def through(field: Field, inputs: Callable[[int], Iterable[int]], up: int, down: int) -> Field:
    """The field of a layer whose output i reads `inputs(i)`; its outputs are down/up inputs apart."""
    period = len(field.spans) * up
    common = gcd(period, down)
    step = field.step * (down // common)
    return Field(step, tuple(hull(map(field.at, inputs(i))) for i in range(period // common)))


def hull(spans: Iterable[Span | None]) -> Span | None:
    """From the first to the last of several spans."""
    there = [span for span in spans if span]
    return (min(first for first, _ in there), max(last for _, last in there)) if there else None


def convolved(layer: Any, field: Field, axis: int) -> Field:
    """Through a convolution or a pooling."""
    kernel, stride, pad, dilation = window(layer, axis)
    taps = range(-pad, kernel * dilation - pad, dilation)
    return through(field, lambda i: (i * stride + tap for tap in taps), 1, stride)


def deconvolved(layer: Any, field: Field, axis: int) -> Field:
    """Through a deconvolution: output o is reached from i by tap k where o = stride i - pad + dilation k."""
    kernel, stride, pad, dilation = window(layer, axis)

    def inputs(o: int) -> Iterable[int]:
        places = (o + pad - dilation * tap for tap in range(kernel))
        return [place // stride for place in places if place % stride == 0]

    return through(field, inputs, stride, 1)


def cropped(layer: Any, field: Field, axis: int) -> Field:
    """Through a Crop."""
    offset = crop_offset(layer, axis) or 0
    return through(field, lambda i: [i + offset], 1, 1)


def normalized(layer: Any, field: Field, axis: int) -> Field:
    """Through an LRN, which reads neighbours if it works within a channel."""
    param = layer.lrn_param
    within = param.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL
    reach = (param.local_size - 1) // 2 if within else 0
    return through(field, lambda i: range(i - reach, i + reach + 1), 1, 1)


THROUGH: Mapping[str, Callable[[Any, Field, int], Field]] = {
    **dict.fromkeys(SIZED, convolved),
    "Deconvolution": deconvolved,
    "Crop": cropped,
    "LRN": normalized,
}


def union(below: list[Seen]) -> Seen:
    """What a layer sees that joins its bottoms place by place."""
    if ALL in below:
        return ALL
    there = [field for field in below if isinstance(field, Field)]
    if UNKNOWN in below or len({field.apart for field in there}) > 1:
        return UNKNOWN
    period = lcm(*(len(field.spans) for field in there))
    step = int(there[0].apart * period)
    return Field(step, tuple(hull(field.at(i) for field in there) for i in range(period)))
