"""Layer: what every layer, built in or a user's, is made of; and the table of built-in types.

(include/caffe/layer.hpp, layer_factory.hpp)
"""

import difflib

import torch

from . import context
from .blob import BlobVec
from .proto import caffe_pb2

LAYER_TYPES: dict[str, type] = {}

# "Convolution" -> "convolution_param", for every typed parameter message of a layer
PARAM_FIELDS = {
    field.message_type.name.removesuffix("Parameter"): field.name
    for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param")
}


class Layer:
    """Bottoms in, tops out, parameters in `blobs`.

    A layer is four methods: `setup` (once: read the parameters, add the blobs), `reshape` (before every
    forward: the tops' shapes and buffers), `forward`, `backward`. Two rules hold for every backward:
    a bottom's diff is assigned, a parameter's diff is added to. Built-in layers work on `blob.x` and
    `blob.dx`, tensors on the device that computes; Python layers on `blob.data` and `blob.diff`.
    """

    num_bottom: int | tuple | None = None  # exactly n, (least, most), or any; most None: no limit
    num_top: int | tuple | None = None
    equal_bottom_top = False  # as many tops as bottoms
    auto_top = False  # tops left out in the net are added, without a usable name
    default_loss_weight = 0.0  # 1 for losses: the weight of the first top where none is stated
    param_type: str | None = None  # whose message `param` is, where it is not the layer type's own
    # In TEST the tops depend on bottoms and parameters alone: with these they stay as they are.
    pure = False
    for_gradients = False  # whether the net's force_backward asks for maps as training has them
    shares = False  # whether the tops always are the only bottom's memory

    def __init__(self, layer_param):
        self.layer_param = layer_param
        self.name = layer_param.name
        self.phase = layer_param.phase
        self.blobs = BlobVec()
        self.param_propagate_down: list[bool] = []
        self._loss_weights: list[float] = []
        self._extremes = None  # (least, -largest) of the integers in `check_range`, on the device
        field = PARAM_FIELDS.get(self.param_type or layer_param.type)
        if field:
            self.param = getattr(layer_param, field)

    @property
    def type(self) -> str:
        return self.layer_param.type

    def setup(self, bottom, top):
        """Once, before the first reshape."""

    def reshape(self, bottom, top):
        """Give the tops their shapes."""
        raise NotImplementedError(f"{type(self).__name__} has no reshape method")

    def forward(self, bottom, top):
        """Compute the tops."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def backward(self, top, propagate_down, bottom):
        """From the tops' diffs: assign the bottoms' where propagate_down, add to the parameters'."""
        raise NotImplementedError(f"{type(self).__name__} has no backward method")

    # A pure layer may also have two methods for a window of its tops, (top, bottom, left, right) on the
    # last two axes: reach(window), the window of the tops that a window of a bottom has a part in (None
    # where all must be computed), and forward_window(bottom, top, window), which computes that of the
    # tops and leaves the rest.

    def forget_weights(self):
        """Drop what was derived from the parameters: their values have changed."""

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Whether force_backward reaches this bottom (labels say no)."""
        return True

    def check_range(self, values, judge):
        """judge(least, largest), which may raise, of a tensor of integers, 0 being a good one.

        At once on the CPU. On a device apart, where the host would have to wait, the extremes are
        kept there until `_raise_put_off`; the layer itself must do without harm until then.
        """
        low, high = values.aminmax()
        if not context.is_apart():
            judge(*torch.stack((low, high)).tolist())
            return
        if self._extremes is None:
            self._extremes = torch.zeros(2, dtype=values.dtype, device=values.device)
        torch.minimum(self._extremes, torch.stack((low, -high)), out=self._extremes)
        self._judge = judge

    def _raise_put_off(self):
        """Raise what `check_range` has put off; the net calls this where it waits anyway."""
        if self._extremes is not None:
            low, high = self._extremes.tolist()
            self._extremes.zero_()
            self._judge(low, -high)

    def error(self, text: str, kind: type = ValueError) -> Exception:
        """An exception that names this layer; for `raise self.error(...)`."""
        return kind(f"{describe(self.layer_param)}: {text}")

    def axis(self, blob, index: int, what: str = "axis") -> int:
        """Canonical axis of a blob, or an error that names this layer."""
        if not -blob.num_axes <= index < blob.num_axes:
            raise self.error(
                f"{what} {index} out of range for a bottom of shape {list(blob.shape)}"
            )
        return index % blob.num_axes

    def legacy_shape(self, blob) -> tuple[int, int, int, int]:
        """(num, channels, height, width) of a blob, or an error that names this layer."""
        if blob.num_axes > 4:
            raise self.error(f"takes at most four axes, got a bottom of shape {list(blob.shape)}")
        return blob.legacy_shape()


def describe(layer_param) -> str:
    return f"layer '{layer_param.name}' ({layer_param.type})"


def register(cls: type) -> type:
    """Class decorator: the class's name is the layer type in a prototxt."""
    if cls.__name__ in LAYER_TYPES:
        raise KeyError(f"layer type {cls.__name__} is registered twice")
    LAYER_TYPES[cls.__name__] = cls
    return cls


def layer_type_list() -> list[str]:
    """Names of the built-in layer types."""
    return sorted(LAYER_TYPES)


def layer_class(layer_param) -> type:
    """The class of a layer's type. Raises ValueError naming the nearest known type."""
    cls = LAYER_TYPES.get(layer_param.type)
    if cls is None:
        lowered = {name.lower(): name for name in LAYER_TYPES}
        near = difflib.get_close_matches(layer_param.type.lower(), lowered, n=1, cutoff=0.5)
        hint = f"did you mean {lowered[near[0]]}? " if near else ""
        raise ValueError(
            f"{describe(layer_param)}: unknown layer type; {hint}known: {', '.join(layer_type_list())}"
        )
    return cls


def check_counts(layer, num_bottom: int, num_top: int):
    """Hold the numbers of bottoms and tops against what the layer's class declares."""
    for kind, count, allowed in (
        ("bottom", num_bottom, layer.num_bottom),
        ("top", num_top, layer.num_top),
    ):
        least, most = allowed if isinstance(allowed, tuple) else (allowed, allowed)
        if least is not None and count < least or most is not None and count > most:
            if least == most:
                wanted = f"exactly {least}"
            else:
                wanted = f"at least {least}" if most is None else f"{least or 0} to {most}"
            raise ValueError(
                f"{describe(layer.layer_param)}: takes {wanted} {kind} blobs, got {count}"
            )
    if layer.equal_bottom_top and num_bottom != num_top:
        raise ValueError(
            f"{describe(layer.layer_param)}: as many tops as bottoms are needed, "
            f"got {num_bottom} bottoms and {num_top} tops"
        )
