"""Layer types of a user's own: a Python class for a type, and what the prototxt states for it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from . import python_modules
from .files.plain_text import of_message, read_plain
from .layer import OWN_TYPES, Layer, describe
from .layers.python import checked_class, made
from .proto import caffe_pb2

MODULES = "CAFFE_LAYERS"  # the environment's variable: modules to import before a net is built


def register_layer(type_name: str) -> Callable[[type[Layer]], type[Layer]]:
    """Class decorator: layers of this type, in any prototxt, are of the class from now on.

    The class has pycaffe's four methods. `self.settings` is a dict of what the type's own block
    states (of type ROIAlign roi_align_param), whether Caffe's schema has it or not; `self.blocks` has
    the layer's other blocks by name. A built-in type may be replaced. TypeError for a class that is
    no caffe.Layer or lacks a method.
    """
    if not isinstance(type_name, str) or not type_name:
        raise TypeError('caffe.register_layer takes the type: @caffe.register_layer("ROIAlign")')

    def enter(cls: type[Layer]) -> type[Layer]:
        OWN_TYPES[type_name] = checked_class(cls, f"layer type {type_name}: {cls!r}", TypeError)
        return cls

    return enter


def import_modules(folder: str | None) -> None:
    """Import the modules that CAFFE_LAYERS names, from the working directory or sys.path; from the
    prototxt's `folder` only if it is allowed (caffe.allow_python_layers).

    ValueError for one that cannot be imported.
    """
    names = [name for name in os.environ.get(MODULES, "").split(",") if name]
    if not names:
        return
    with python_modules.only_allowed(folder, here=True):
        for name in names:
            try:
                importlib.import_module(name)
            except Exception as error:
                kind = type(error).__name__
                raise ValueError(
                    f"{MODULES}: module '{name}' cannot be imported: {kind}: {error}"
                ) from error


def create(cls: type[Layer], layer_param: caffe_pb2.LayerParameter) -> Layer:
    """A layer of a registered class, with `settings` and `blocks`."""
    layer = made(cls, layer_param)
    layer.blocks = blocks_of(layer_param)
    own = "".join((layer_param.type, "param")).lower()
    name = next((name for name in layer.blocks if name.replace("_", "") == own), "")
    layer.settings = layer.blocks.pop(name, {})
    return layer


def blocks_of(layer_param: caffe_pb2.LayerParameter) -> dict[str, Any]:
    """What a layer's `..._param` blocks state, those that the schema lacks among them."""
    found = of_message(layer_param)
    blocks = {name: found[name] for name in found if name.endswith("_param")}
    for text in layer_param.unread_text:
        for name, value in read_plain(text, describe(layer_param)).items():
            if isinstance(value, dict) and name in blocks:
                blocks[name] = {**blocks[name], **_joined(blocks[name], value)}
            else:
                blocks[name] = value
    return blocks


def _joined(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Fields to enter beside those known: of a name given before, all its values."""
    return {
        name: [*_as_list(known[name]), *_as_list(value)] if name in known else value
        for name, value in more.items()
    }


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
