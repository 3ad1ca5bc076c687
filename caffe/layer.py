"""Layer: the base class of all layers, built in or a user's, and the table of layer types.

(include/caffe/layer.hpp, layer_factory.hpp)
"""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import torch

from . import context, layer_functions
from .blob import Blob, BlobVec
from .names import did_you_mean
from .proto import caffe_pb2

Window = tuple[int, int, int, int]
Blobs = Sequence[Blob]

# type -> modules to be imported when it is first asked for
ANNOUNCED: dict[str, list[str]] = {}
# type -> the class that a user has registered for it
OWN_TYPES: dict[str, type[Layer]] = {}
# type -> what forks of Caffe mean by it, where that is not what the table says, or not one thing
MEANINGS: dict[str, list[type[Layer]]] = {}


class LayerTypes(dict[str, Any]):
    """Type -> class. All types are there; announced ones get their classes when first asked for."""

    def __getitem__(self, name: str) -> type[Layer]:
        for module in ANNOUNCED.pop(name, ()):
            importlib.import_module(module)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The class of a type, or `default`."""
        try:
            return self[name]
        except KeyError:
            return default

    def items(self) -> Any:
        """(type, class) of all types; everything announced is imported."""
        return {name: self[name] for name in self}.items()

    def announce(self, name: str, module: str) -> None:
        """A module has a class for a type, or a meaning of it."""
        ANNOUNCED.setdefault(name, []).append(module)
        self.setdefault(name, None)
        layer_functions.announce(name, module)


LAYER_TYPES = LayerTypes()


class Layer:
    """Computes tops from bottoms; its learned parameters are in `blobs`.

    A layer is four methods: `setup` (once: reads the parameters, adds the blobs), `reshape` (before
    every forward: gives the tops their shapes), `forward`, `backward`. Two rules hold for every
    backward: a bottom's diff is assigned, a parameter's diff is added to. Built-in layers use
    `blob.x` and `blob.dx`, tensors on the device that computes; Python layers use `blob.data` and
    `blob.diff`, NumPy arrays. A built-in layer's forward writes every value of its tops.
    """

    num_bottom: int | tuple[int | None, int | None] | None = None  # n, (least, most), or any
    num_top: int | tuple[int | None, int | None] | None = None
    equal_bottom_top = False  # as many tops as bottoms
    auto_top = False  # tops left out in the net are added, without a usable name
    default_loss_weight = 0.0  # 1 for losses: the weight of the first top where none is given
    param_type: str | None = None  # the type whose message is `param`, if not the layer's own
    fork = ""  # the fork of Caffe that has the layer; empty: BVLC Caffe 1.0 has it

    # What the ways of running a net (caffe/running) need to know. Every default is safe: a layer
    # that declares nothing is right under all of them, and perhaps slower than it could be. Of a
    # user's Python layer only what its own class declares counts (`declares`).
    deterministic = False  # in phase TEST the tops depend on bottoms and parameters alone
    repeatable = False  # forward may run twice: the second time it writes the same values
    draws_random = False  # forward draws from caffe.context.generator()
    updates_parameters = False  # forward changes the layer's own blobs, as running means
    shapes_follow_values = False  # reshape looks at the bottoms' values, as Filter's does
    capturable = False  # forward and backward launch kernels and do nothing else on the host
    # attribute that forward leaves for backward -> its bytes for each value of the first top
    saved_for_backward: dict[str, int] = {}
    keeps_its_shape: tuple[
        int, ...
    ] = ()  # blobs that stay as they are where a file's differ in shape
    for_gradients = False  # set by the net: force_backward asks a TEST net for exact gradients

    def __init__(self, layer_param: caffe_pb2.LayerParameter):
        self.layer_param = layer_param
        self.name: str = layer_param.name
        self.phase: int = layer_param.phase
        self.blobs = BlobVec()
        self.param_propagate_down: list[bool] = []
        self._loss_weights: list[float] = []
        self._extremes: torch.Tensor | None = None  # (least, -largest) value seen by check_range
        field = layer_functions.PARAM_FIELDS.get(self.param_type or layer_param.type)
        if field:
            self.param = getattr(layer_param, field)

    def __repr__(self) -> str:
        param = getattr(self, "layer_param", None)  # a user's class may forget it
        return f"<{param.type} '{param.name}'>" if param else f"<{type(self).__name__}>"

    @property
    def type(self) -> str:
        """The layer type, as the prototxt names it."""
        return self.layer_param.type

    @classmethod
    def means(cls, layer_param: caffe_pb2.LayerParameter) -> bool:
        """Whether what a prototxt states can only, or at least can, be this meaning of its type."""
        return False

    # ---- the four methods

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        """Read the parameters and add the blobs. Called once, before the first reshape."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Give the tops their shapes."""
        raise NotImplementedError(f"{type(self).__name__} has no reshape method")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Compute the tops."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Assign the bottoms' diffs where propagate_down, add to the parameters' diffs."""
        raise NotImplementedError(f"{type(self).__name__} has no backward method")

    # ---- for a training that is cut and resumed

    def resume_state(self) -> Any:
        """What forward depends on besides bottoms, parameters and the generators of caffe.context.

        Of a data layer: where it is in its data, and random numbers of its own. Values that JSON holds;
        None if there is nothing.
        """
        return None

    def resume_from(self, state: Any) -> None:
        """Go on as `resume_state` has told it, perhaps in another process."""

    # ---- for the ways of running a net

    def aliases_bottom(self, side: str) -> bool:
        """Whether all tops use the memory of bottom 0 for their "data" or their "diff"."""
        return False

    def affected_window(self, window: Window) -> Window | None:
        """The window of the tops that depends on a window of the bottoms; None: everything.

        A window is (top, bottom, left, right) on the last two axes of a four-dimensional blob.
        """
        return None

    def forward_window(self, bottom: Blobs, top: Blobs, window: Window) -> None:
        """Compute a window of the tops and leave the rest as it is.

        A layer with `affected_window` must override this; others are only asked for all of the tops.
        """
        self.forward(bottom, top)

    def fuses(self, followers: Sequence[Layer]) -> int:
        """How many of the layers that follow, in place on the only top, `forward_fused` takes along."""
        return 0

    def channel_factors(self) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """(a, b) where in TEST the layer is a x + b for each channel, b None for 0; else None."""
        return None

    def forward_fused(
        self, bottom: Blobs, top: Blobs, window: Window, followers: Sequence[Layer]
    ) -> None:
        """`forward_window`, and what the `followers` make of that window."""
        raise NotImplementedError(f"{type(self).__name__} fuses no layer")

    def is_identity(self) -> bool:
        """Whether forward changes nothing when it works in place, as Dropout in TEST."""
        return False

    def forget_weights(self) -> None:
        """Drop what was derived from the parameters: their values have changed."""

    def derived_weights(self) -> int:
        """Values that a TEST net on the CPU keeps of the parameters in another layout."""
        return 0

    def converted_parameters(self) -> list[Any]:
        """The ConvertedParameters (layers/converted.py) that forward and backward keep on a GPU."""
        return []

    def workspace(self, bottom: Blobs, top: Blobs) -> int:
        """An estimate of the values that forward allocates for itself while it runs."""
        return 0

    def multiply_adds(self, bottom: Blobs, top: Blobs) -> list[int]:
        """Multiply-adds between each bottom and its top; empty without products with weights."""
        return []

    def allow_force_backward(self, bottom_index: int) -> bool:
        """Whether force_backward reaches this bottom (labels say no)."""
        return True

    # ---- checks and errors

    def check_range(self, values: torch.Tensor, check: Callable[..., None], *more: Any) -> None:
        """Call check(least, largest, *more) on a tensor of integers; it raises if they are wrong.

        On the CPU this happens at once. On a GPU the host would have to wait for the values, so they
        stay there until `raise_deferred`: until then the layer must cope with wrong ones. 0 must be
        a valid value.
        """
        low, high = values.aminmax()
        if not context.on_gpu():
            check(*torch.stack((low, high)).tolist(), *more)
            return
        if self._extremes is None:
            self._extremes = torch.zeros(2, dtype=values.dtype, device=values.device)
        torch.minimum(self._extremes, torch.stack((low, -high)), out=self._extremes)
        # by its name: a layer that held itself would wait for the garbage collector
        own = getattr(check, "__self__", None) is self
        self._check = (check.__name__ if own else check, more)

    def raise_deferred(self) -> None:
        """Raise the error that `check_range` deferred. The net calls this where it waits anyway."""
        if self._extremes is not None:
            low, high = self._extremes.tolist()
            self._extremes.zero_()
            check, more = self._check
            (getattr(self, check) if isinstance(check, str) else check)(low, -high, *more)

    def error(self, text: str, kind: builtins.type[Exception] = ValueError) -> Exception:
        """An exception that names this layer, to be raised: `raise self.error(...)`."""
        return kind(f"{describe(self.layer_param)}: {text}")

    def axis(self, blob: Blob, index: int, what: str = "axis") -> int:
        """Canonical axis of a blob, or an error that names this layer."""
        if not -blob.num_axes <= index < blob.num_axes:
            text = f"{what} {index} out of range for a bottom of shape {list(blob.shape)}"
            if not blob.num_axes:
                text += f"; if an Input makes {blob._label}, its shape {{ dim: ... }} is missing"
            raise self.error(text)
        return index % blob.num_axes

    def legacy_shape(self, blob: Blob) -> tuple[int, int, int, int]:
        """(num, channels, height, width) of a blob, or an error that names this layer."""
        if blob.num_axes > 4:
            raise self.error(f"takes at most four axes, got a bottom of shape {list(blob.shape)}")
        return blob.legacy_shape()


def describe(layer_param: caffe_pb2.LayerParameter) -> str:
    """A layer's name and type, as error messages begin."""
    return f"layer '{layer_param.name}' ({layer_param.type})"


def register(cls: type[Layer]) -> type[Layer]:
    """Class decorator: enters the class in the table of layer types under its own name."""
    if dict.get(LAYER_TYPES, cls.__name__) is not None:
        raise KeyError(f"layer type {cls.__name__} is registered twice")
    LAYER_TYPES[cls.__name__] = cls
    layer_functions.describe(cls.__name__, cls.__doc__, cls.param_type)
    return cls


def meaning(type_name: str) -> Callable[[type[Layer]], type[Layer]]:
    """Class decorator: enters the class as what a fork means by a type; its `means` says when."""

    def enter(cls: type[Layer]) -> type[Layer]:
        MEANINGS.setdefault(type_name, []).append(cls)
        return cls

    return enter


def layer_type_list() -> list[str]:
    """Names of the built-in layer types, and of those registered."""
    return sorted({*LAYER_TYPES, *OWN_TYPES})


def class_of(layer_param: caffe_pb2.LayerParameter) -> type[Layer] | None:
    """The class of a layer's type: a registered one before the built-in one."""
    return OWN_TYPES.get(layer_param.type) or built_in_class_of(layer_param)


def built_in_class_of(layer_param: caffe_pb2.LayerParameter) -> type[Layer] | None:
    """The built-in class, or that of the one meaning that what the layer states decides for."""
    cls = LAYER_TYPES.get(layer_param.type)
    fitting = [own for own in MEANINGS.get(layer_param.type, ()) if own.means(layer_param)]
    return fitting[0] if len(fitting) == 1 else cls


def is_built_in(layer: Layer) -> bool:
    """Whether a layer's class is the registered one of its type, not a user's Python class."""
    return built_in_class_of(layer.layer_param) is type(layer)


def declares(layer: Layer, trait: str) -> Any:
    """The value of a class attribute such as `deterministic`, if the layer's own class sets it.

    A user's Python layer may derive from a built-in one and do more than that: what it inherits does
    not count, and Layer's safe default holds.
    """
    if is_built_in(layer) or trait in vars(type(layer)):
        return getattr(layer, trait)
    return getattr(Layer, trait)


def layer_class(layer_param: caffe_pb2.LayerParameter) -> type[Layer]:
    """The class of a layer's type. Raises ValueError naming the nearest known type."""
    cls = class_of(layer_param)
    if cls is None:
        hint = did_you_mean(layer_param.type, LAYER_TYPES, "did you mean {}? ", cutoff=0.5)
        raise ValueError(
            f"{describe(layer_param)}: unknown layer type; {hint}known: {', '.join(layer_type_list())}"
        )
    return cls


def check_counts(layer: Layer, num_bottom: int, num_top: int) -> None:
    """Raise ValueError if a layer's class does not allow that many bottoms or tops."""
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
