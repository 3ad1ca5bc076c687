"""The Python layer type: a class of the user's, found by module and name
(include/caffe/layers/python_layer.hpp, src/caffe/layer_factory.cpp)."""

import importlib
import os
from typing import Any

from .. import python_modules
from ..glog import warning
from ..layer import Layer, describe, register
from ..names import as_text

# (module, class) of Python layers of published nets -> the module here, whose class of that name takes
# their place where theirs is not there
STAND_INS = {
    ("rpn.proposal_layer", "ProposalLayer"): ".forks.proposal",
    ("rpn.anchor_target_layer", "AnchorTargetLayer"): ".forks.faster_rcnn",
    ("rpn.proposal_target_layer", "ProposalTargetLayer"): ".forks.faster_rcnn",
    ("roi_data_layer.layer", "RoIDataLayer"): ".forks.roi_data",
}
# The first name of a module -> where published nets have it from
_HOMES = {
    "pylayer": "MNC",
    "roi_data_layer": "py-faster-rcnn",
    "rpn": "py-faster-rcnn",
}


class PythonLayerError(SystemError):
    """A Python layer's module or class cannot be found or used; a SystemError, as in pycaffe."""


class MissingMethodError(NotImplementedError, RecursionError):
    """A Python layer lacks a method; in pycaffe this ends in endless recursion."""


@register
class Python(Layer):
    """The type's entry in the table of layers; `create` makes an instance of the user's class."""

    @classmethod
    def create(cls, layer_param: Any, folder: str | None = None) -> Layer:
        """A layer of the class that python_param names, with `param_str` and `phase` set.

        `folder` is the prototxt's; python_modules.py says where the module may come from.
        Raises PythonLayerError when it is not there, or has no such class.
        """
        return made(python_layer_class(layer_param, folder), layer_param)


def made(found: type[Layer], layer_param: Any) -> Any:
    """A layer of a user's class."""
    layer: Any = found(layer_param)
    if not hasattr(layer, "layer_param"):
        raise PythonLayerError(
            f"{describe(layer_param)}: {found.__name__}.__init__ must call "
            "super().__init__(layer_param); or leave __init__ out and use setup"
        )
    layer.param_str = os.fsdecode(layer_param.python_param.param_str)
    layer.param_str_ = layer.param_str  # its name until 2015, in py-faster-rcnn and its kin
    layer.settings = {}  # a registered type's block
    layer.phase = layer_param.phase
    return layer


def python_layer_class(layer_param: Any, folder: str | None = None) -> type[Layer]:
    """The class that a Python layer's message names, imported by the rule of python_modules.py.

    Raises PythonLayerError, a SystemError, when there is no such module or class.
    """
    param = layer_param.python_param
    name, layer = as_text(param.module), as_text(param.layer)
    where = f"{describe(layer_param)}: module '{name}'"
    if not name or not layer:
        raise PythonLayerError(f"{where}: python_param must name both module and layer")
    module = import_module(name, layer, where, folder)
    found = getattr(module, layer, None)
    if found is None:
        names = [n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Layer)]
        raise PythonLayerError(
            f"{where} ({module.__file__}) has no class '{layer}'; its layers: "
            f"{', '.join(names) or 'none'}"
        )
    return checked_class(found, f"{where}: {layer}")


def checked_class(found: Any, where: str, kind: type[Exception] | None = None) -> type[Layer]:
    """A class that can be a layer's; else an exception of `kind`, or pycaffe's."""
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise (kind or PythonLayerError)(f"{where} is no subclass of caffe.Layer")
    for method in ("reshape", "forward"):
        if getattr(found, method) is getattr(Layer, method):
            raise (kind or MissingMethodError)(f"{where} has no method {method}")
    return found


def stand_in(module: str, name: str) -> Any:
    """The module here that has a class in the place of a published net's; None if there is none."""
    here = STAND_INS.get((module, name))
    return importlib.import_module(here, __package__) if here else None


def _with_parents(module: str) -> list[str]:
    """A module's name and those of the packages that it lies in."""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _way_out(module: str) -> str:
    """What to do where a module is not there."""
    home = _HOMES.get(module.split(".")[0])
    return f"; it belongs to {home}, whose lib folder must be on PYTHONPATH" if home else ""


def import_module(name: str, layer: str, where: str, folder: str | None) -> Any:
    """The module of a Python layer, or one here that has its class where the module is not there.

    PythonLayerError, beginning with `where`, if it cannot be had.
    """
    try:
        with python_modules.only_allowed(folder):
            if python_modules.is_of_python(name):
                raise PythonLayerError(f"{where} is one of Python's own, which have no layers")
            return importlib.import_module(name)
    except PythonLayerError:
        raise
    except Exception as error:
        places = ", ".join(python_modules.searched(folder))
        missing = getattr(error, "name", None) if isinstance(error, ImportError) else None
        refused = python_modules.why_not(missing or name, folder)
        absent = missing in _with_parents(name)
        if absent and not refused and (module := stand_in(name, layer)):
            warning(
                "layer_factory.cpp:0", f"{where} is not there: the built-in layer takes its place"
            )
            return module
        hint = refused or f"looked in {places}{_way_out(name) * absent}"
        raise PythonLayerError(
            f"{where} cannot be imported: {type(error).__name__}: {error}; {hint}"
        ) from error
