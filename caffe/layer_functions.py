"""What a function of `caffe.layers` says of itself: signature and docstring, from Caffe's schema."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, NamedTuple

from .proto import caffe_pb2

_LAYER = caffe_pb2.LayerParameter.DESCRIPTOR
# message name less "Parameter" -> its field of LayerParameter, e.g. ReLU -> relu_param
PARAM_FIELDS = {
    field.message_type.name.removesuffix("Parameter"): field.name
    for field in _LAYER.fields
    if field.message_type and field.name.endswith("_param")
}
_KINDS: dict[int, type] = {
    8: bool,
    9: str,
    11: dict,
    12: bytes,
    1: float,
    2: float,
}  # the rest: int
_OF_ALL = ("name", "param", "loss_weight", "propagate_down", "include", "exclude", "phase")


class Described(NamedTuple):
    """A layer type: its class's docstring, and the type whose message it reads."""

    doc: str
    message: str


types: dict[str, Described] = {}  # every layer type whose class is imported, by name
announced: dict[str, str] = {}  # types of classes that are not imported yet -> their module


def describe(name: str, doc: str | None, message: str | None) -> None:
    """Enter a layer type; `message` is the type whose message it reads, if not its own."""
    types[name] = Described(inspect.cleandoc(doc or ""), message or name)


def announce(name: str, module: str) -> None:
    """Enter a layer type whose class is in a module that nobody has imported yet."""
    announced[name] = module


def names() -> list[str]:
    """All layer types."""
    return sorted({*types, *announced})


def _fields(name: str) -> list[Any]:
    """The fields that a type's settings by keyword go to: those of its own message."""
    if name not in PARAM_FIELDS:
        return []
    message: Any = _LAYER.fields_by_name[PARAM_FIELDS[name]].message_type
    return list(message.fields)


def _is_repeated(field: Any) -> bool:
    return isinstance(field.default_value, list)


def signature(name: str) -> inspect.Signature:
    """Bottoms, the type's own settings with their defaults, and `ntop`, `in_place`, the layer's."""
    kinds = inspect.Parameter
    rows = [kinds("bottoms", kinds.VAR_POSITIONAL)]
    for field in _fields(name):
        kind: Any = _KINDS.get(field.type, int)
        default = _default(field)
        if _is_repeated(field):
            kind, default = list[kind], ()
        rows.append(kinds(field.name, kinds.KEYWORD_ONLY, default=default, annotation=kind))
    rows.append(kinds("ntop", kinds.KEYWORD_ONLY, default=1, annotation=int))
    rows.append(kinds("in_place", kinds.KEYWORD_ONLY, default=False, annotation=bool))
    return inspect.Signature([*rows, kinds("of_every_layer", kinds.VAR_KEYWORD)])


def _default(field: Any) -> Any:
    """A field's default; None where the schema states none; of an enum the name."""
    if not field.has_default_value:
        return None
    if field.enum_type:
        return field.enum_type.values_by_number[field.default_value].name
    if isinstance(field.default_value, float):
        return float(f"{field.default_value:g}")  # 1e-05 of a float32
    return field.default_value


def docstring(name: str) -> str:
    """What the layer computes, and every setting with its default."""
    if name not in types and name in announced:
        importlib.import_module(announced[name])
    found = types.get(name, Described("", name))
    settings = [_setting(name, field) for field in _fields(name)]
    for message in _other_messages(name, found.message):
        settings.append(f"{PARAM_FIELDS[message]}=dict(...):")
        settings += [f"    {_setting(message, field)}" for field in _fields(message)]
    of_all = (
        "Of every layer: ntop, the number of tops (1); in_place, whether the top is the bottom\n"
        f"(False); {', '.join(_OF_ALL)};\nany ..._param=dict(...) of LayerParameter."
    )
    returned = "Returns a Top; a tuple of them where ntop is above 1; the Function where it is 0."
    return "\n\n".join(filter(None, [found.doc, "\n".join(settings), of_all, returned]))


def block_of(name: str, field: str) -> str:
    """The field of LayerParameter, not the type's own, that states a setting which the type reads."""
    if any(own.name == field for own in _fields(name)):
        return ""
    message = types.get(name, Described("", name)).message
    for other in _other_messages(name, message):
        if any(found.name == field for found in _fields(other)):
            return PARAM_FIELDS[other]
    return ""


def _other_messages(name: str, message: str) -> list[str]:
    """The types besides its own whose messages a layer reads."""
    others = [] if message == name else [message]
    if name.endswith("Loss"):
        others.append("Loss")
    if name in ("Data", "ImageData", "MemoryData", "WindowData"):
        others.append("Transformation")
    return others


def _setting(name: str, field: Any) -> str:
    """A field in a line: name, kind, default; of an enum its values, as caffe.params has them."""
    kind = _KINDS.get(field.type, int).__name__
    if field.enum_type:
        kind = " or ".join(f"params.{name}.{value.name}" for value in field.enum_type.values)
    if field.message_type:
        kind = f"dict of {field.message_type.name}"
    if _is_repeated(field):
        return f"{field.name}: {kind}, or a list of them"
    default = _default(field)
    return f"{field.name}: {kind}" if default is None else f"{field.name}: {kind} = {default}"
